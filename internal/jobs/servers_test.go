package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/lease"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

// start makes a server of a database that works jobs until the test ends.
func start(t *testing.T, databaseURL string, config Config, handler Handler) (*store.Store, *Queue) {
	t.Helper()
	s := openStore(t, databaseURL)
	config.Store = s
	q, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Start(t.Context(), handler); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stopQueue(t, q)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, q
}

// TestJobOfAServerThatIsGoneIsTakenOver leaves behind what a process does that was killed while it worked.
func TestJobOfAServerThatIsGoneIsTakenOver(t *testing.T) {
	databaseURL := storetest.Postgres(t)
	s := openStore(t, databaseURL)
	defer s.Close()
	q, err := New(Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	enqueue(t, s, q, "orphan", nil)
	leases := s.Leases()
	if err := leases.Join(t.Context(), "srv_gone", time.Hour); err != nil {
		t.Fatal(err)
	}
	if mine, err := leases.Claim(t.Context(), "srv_gone", "orphan"); err != nil || !mine {
		t.Fatalf("claim = %v, %v", mine, err)
	}
	storetest.Execute(t, databaseURL,
		`UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = '{srv_before,srv_gone}'`,
		`UPDATE servers SET expires_at = 0`)
	r := newRecorder()
	_, _ = start(t, databaseURL, Config{Lease: 2 * time.Second}, r)
	if got := <-r.ran; got != "orphan" {
		t.Errorf("ran %q, want the job of the server that is gone", got)
	}
}

// stoppable is a clock that can be put forward, as one is that was not looked at for long.
type stoppable struct{ ahead atomic.Int64 }

func (c *stoppable) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// shown is a Handler that hands the context of each run to the test and waits for its end.
type shown struct{ contexts chan context.Context }

func (h shown) Run(ctx context.Context, _ string) error {
	select {
	case h.contexts <- ctx:
	case <-ctx.Done():
		return ctx.Err()
	}
	<-ctx.Done()
	return ctx.Err()
}

func (h shown) RunRollout(context.Context, string) error { return nil }
func (h shown) RunPower(context.Context, string) error   { return nil }
func (h shown) Sweep(context.Context) error              { return nil }

// TestServerThatStoodStillNoticesByItself puts the clock of a server forward by more than its lease while
// it works on something.
func TestServerThatStoodStillNoticesByItself(t *testing.T) {
	clock, h := &stoppable{}, shown{make(chan context.Context)}
	const long = 20 * time.Second // much longer than the test waits for anything
	s, q := start(t, storetest.Postgres(t), Config{Lease: long, Now: clock.now}, h)
	before := q.Server()
	enqueue(t, s, q, "update", nil)
	ctx := <-h.contexts
	if err := lease.Check(ctx); err != nil {
		t.Fatalf("Check = %v while the lease lasts", err)
	}
	clock.ahead.Store(int64(long))
	if err := lease.Check(ctx); !errors.Is(err, lease.ErrOver) {
		t.Errorf("Check = %v after the lease, want ErrOver before anybody told", err)
	}
	clock.ahead.Store(0)
	if err := lease.Check(ctx); !errors.Is(err, lease.ErrOver) {
		t.Errorf("Check = %v once the clock was set back, want it over for good", err)
	}
	<-ctx.Done() // the beat ends the work
	ctx = <-h.contexts
	if err := lease.Check(ctx); err != nil {
		t.Errorf("Check = %v under the new lease", err)
	}
	if after := q.Server(); after == before {
		t.Errorf("the server is still %s, want it to have joined anew", after)
	}
}

// TestServerWhoseLeaseIsTakenStops ends the lease of a server in the database only.
func TestServerWhoseLeaseIsTakenStops(t *testing.T) {
	h := shown{make(chan context.Context)}
	databaseURL := storetest.Postgres(t)
	s, q := start(t, databaseURL, Config{Lease: 2 * time.Second}, h)
	enqueue(t, s, q, "update", nil)
	ctx := <-h.contexts
	storetest.Execute(t, databaseURL, `UPDATE servers SET expires_at = 0`)
	<-ctx.Done()
	if err := lease.Check(ctx); !errors.Is(err, lease.ErrOver) {
		t.Errorf("Check = %v, want ErrOver", err)
	}
	<-h.contexts // it goes on under another lease
}

// crowd is a Handler of several servers that notices when two of them work on one update at once.
type crowd struct {
	mu     sync.Mutex
	at     map[string]string // update: server
	inside map[string]int
	runs   map[string]int
	done   chan struct{}
	t      *testing.T
}

func (c *crowd) enter(server, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inside[id] > 0 && c.at[id] != server {
		c.t.Errorf("%s and %s work on %s at once", c.at[id], server, id)
	}
	c.at[id] = server
	c.inside[id]++
}

func (c *crowd) leave(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inside[id]--
	c.runs[id]++
	c.done <- struct{}{}
}

// member is one server's part of a crowd.
type member struct {
	*crowd
	server string
}

func (m member) Run(_ context.Context, id string) error {
	m.enter(m.server, id)
	defer m.leave(id)
	return nil
}

func (m member) RunRollout(context.Context, string) error { return nil }
func (m member) RunPower(context.Context, string) error   { return nil }
func (m member) Sweep(context.Context) error              { return nil }

// TestNoTwoServersWorkOnOneUpdate gives each update several jobs, on servers that all fetch them.
func TestNoTwoServersWorkOnOneUpdate(t *testing.T) {
	const servers, updates, jobs = 3, 10, 4
	databaseURL := storetest.Postgres(t)
	c := &crowd{at: map[string]string{}, inside: map[string]int{}, runs: map[string]int{}, done: make(chan struct{}, servers*updates*jobs), t: t}
	var s *store.Store
	var q *Queue
	for i := range servers {
		s, q = start(t, databaseURL, Config{Workers: 5}, member{c, fmt.Sprint("server ", i)})
	}
	for range jobs {
		for i := range updates {
			enqueue(t, s, q, fmt.Sprint("update ", i), nil)
		}
	}
	for range updates * jobs {
		<-c.done
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range updates {
		if id := fmt.Sprint("update ", i); c.runs[id] != jobs {
			t.Errorf("%s ran %d times, want once for each of its %d jobs", id, c.runs[id], jobs)
		}
	}
}

// TestWorkGoesOnAfterConnectionsWereLost cuts every connection of a server, those that listen and those
// that hold its lease as well.
func TestWorkGoesOnAfterConnectionsWereLost(t *testing.T) {
	databaseURL := storetest.Postgres(t)
	r := newRecorder()
	s, q := start(t, databaseURL, Config{}, r)
	enqueue(t, s, q, "before", nil)
	if got := <-r.ran; got != "before" {
		t.Fatalf("ran %q", got)
	}
	for i := range 3 {
		storetest.Execute(t, databaseURL, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		id := fmt.Sprint("after ", i)
		for {
			err := s.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error { return q.EnqueueAdvance(ctx, tx, id) })
			if err == nil {
				break
			}
			if t.Context().Err() != nil {
				t.Fatal(err)
			}
		}
		if got := <-r.ran; got != id {
			t.Errorf("ran %q, want %q", got, id)
		}
	}
}

// TestAdvancingTellsWhatHasAJob is asked by sweeps.
func TestAdvancingTellsWhatHasAJob(t *testing.T) {
	storetest.Each(t, func(t *testing.T, databaseURL string) {
		s := openStore(t, databaseURL)
		defer s.Close()
		q, err := New(Config{Store: s})
		if err != nil {
			t.Fatal(err)
		}
		enqueue(t, s, q, "a", nil)
		enqueue(t, s, q, "b", nil)
		enqueue(t, s, q, "undone", errors.New("rolled back"))
		got, err := q.Advancing(t.Context())
		if err != nil || len(got) != 2 || !got["a"] || !got["b"] {
			t.Errorf("Advancing = %v, %v; want a and b", got, err)
		}
	})
}
