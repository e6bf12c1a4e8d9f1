package jobs

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

// recorder is a Handler that tells what it was asked to do.
type recorder struct {
	mu    sync.Mutex
	fail  map[string]int // how often an update fails before it works
	block map[string]chan struct{}
	ran   chan string
	swept chan struct{}
}

func newRecorder() *recorder {
	return &recorder{fail: map[string]int{}, block: map[string]chan struct{}{}, ran: make(chan string, 100), swept: make(chan struct{}, 100)}
}

func (r *recorder) Run(ctx context.Context, id string) error {
	r.mu.Lock()
	failures, block := r.fail[id], r.block[id]
	r.fail[id] = failures - 1
	r.mu.Unlock()
	if block != nil {
		r.ran <- "began " + id
		<-ctx.Done()
		return ctx.Err()
	}
	if failures > 0 {
		return errors.New("database is gone")
	}
	r.ran <- id
	return nil
}

func (r *recorder) RunRollout(context.Context, string) error { return nil }

func (r *recorder) RunPower(_ context.Context, id string) error {
	r.ran <- "power " + id
	return nil
}

func (r *recorder) Sweep(context.Context) error {
	r.swept <- struct{}{}
	return nil
}

func TestMain(m *testing.M) { storetest.Main(m) }

func openStore(t *testing.T, databaseURL string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func startQueue(t *testing.T, s *store.Store, r *recorder) *Queue {
	t.Helper()
	q, err := New(Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Start(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return q
}

func stopQueue(t *testing.T, q *Queue) {
	t.Helper()
	if err := q.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func enqueue(t *testing.T, s *store.Store, q *Queue, id string, err error) {
	t.Helper()
	got := s.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := q.EnqueueAdvance(ctx, tx, id); err != nil {
			return err
		}
		return err
	})
	if !errors.Is(got, err) {
		t.Fatalf("enqueue = %v, want %v", got, err)
	}
}

func TestJobsRunAfterTheCommitTheyBelongTo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, databaseURL string) {
		s := openStore(t, databaseURL)
		defer s.Close()
		r := newRecorder()
		q := startQueue(t, s, r)
		defer stopQueue(t, q)
		<-r.swept // the sweep at the start
		enqueue(t, s, q, "undone", errors.New("the state did not change"))
		enqueue(t, s, q, "done", nil)
		if id := <-r.ran; id != "done" {
			t.Errorf("ran %q, want only the job whose transaction was committed", id)
		}
	})
}

func TestPowerOperationsHaveJobsOfTheirOwn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, databaseURL string) {
		s := openStore(t, databaseURL)
		defer s.Close()
		r := newRecorder()
		q := startQueue(t, s, r)
		defer stopQueue(t, q)
		err := s.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error { return q.EnqueuePower(ctx, tx, "pow_1") })
		if err != nil {
			t.Fatal(err)
		}
		if id := <-r.ran; id != "power pow_1" {
			t.Errorf("ran %q", id)
		}
	})
}

func TestFailedJobIsTriedAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, databaseURL string) {
		s := openStore(t, databaseURL)
		defer s.Close()
		r := newRecorder()
		r.fail["flaky"] = 1
		q := startQueue(t, s, r)
		defer stopQueue(t, q)
		enqueue(t, s, q, "flaky", nil)
		if id := <-r.ran; id != "flaky" {
			t.Errorf("ran %q", id)
		}
	})
}

func TestJobThatWasStoppedGoesOnAfterARestart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, databaseURL string) {
		s := openStore(t, databaseURL)
		r := newRecorder()
		r.block["long"] = make(chan struct{})
		q := startQueue(t, s, r)
		enqueue(t, s, q, "long", nil)
		if got := <-r.ran; got != "began long" {
			t.Fatalf("ran %q", got)
		}
		stopQueue(t, q)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, databaseURL)
		defer s.Close()
		r = newRecorder()
		q = startQueue(t, s, r)
		defer stopQueue(t, q)
		if got := <-r.ran; got != "long" {
			t.Errorf("after the restart ran %q, want the job that was stopped", got)
		}
	})
}

func TestJobOfAProcessThatDiedGoesOn(t *testing.T) {
	path := storetest.SQLite(t)
	s := openStore(t, path)
	q, err := New(Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	enqueue(t, s, q, "orphan", nil)
	// What a process leaves behind that was killed while it worked.
	if _, err := s.WriteDB().ExecContext(t.Context(), `UPDATE river_job SET state = 'running', attempted_at = CURRENT_TIMESTAMP`); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, path)
	defer s.Close()
	r := newRecorder()
	q = startQueue(t, s, r)
	defer stopQueue(t, q)
	if got := <-r.ran; got != "orphan" {
		t.Errorf("ran %q, want the job of the process that died", got)
	}
}
