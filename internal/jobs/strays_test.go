package jobs

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

// fetched makes the job of an update what it is after the answer to its fetch was lost.
func fetched(ctx context.Context, tx *store.Tx, s *store.Store, update, server string) error {
	set, args := `CURRENT_TIMESTAMP, attempted_by = json_array('`+server+`')`, `args`
	if s.Leases() != nil {
		set, args = `now(), attempted_by = '{srv_before,`+server+`}'`, `args::text`
	}
	_, err := tx.SQL.ExecContext(ctx, `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = `+set+` WHERE `+args+` LIKE '%"`+update+`"%'`)
	return err
}

// enqueueFetched does it in the transaction of the job, so that no queue can fetch it properly.
func enqueueFetched(t *testing.T, s *store.Store, q *Queue, update, server string) {
	t.Helper()
	err := s.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(q.EnqueueAdvance(ctx, tx, update), fetched(ctx, tx, s, update, server))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// look looks for strays and returns how many were given back.
func look(t *testing.T, s *strays) int {
	t.Helper()
	released, err := s.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(released)
}

// current is the shift of a queue that works.
func current(q *Queue) *shift {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.shift
}

// TestJobWhoseFetchWasLostIsWorked has a server that lives and does not know of a job that runs in its name.
func TestJobWhoseFetchWasLostIsWorked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, databaseURL string) {
		r := newRecorder()
		s, q := start(t, databaseURL, Config{Lease: time.Hour}, r)
		shift := current(q)
		enqueueFetched(t, s, q, "lost", shift.id)
		look(t, shift.strays)
		look(t, shift.strays)
		if got := <-r.ran; got != "lost" {
			t.Errorf("ran %q, want the job whose fetch was lost", got)
		}
	})
}

// TestJobThatIsWorkedIsNoStray looks while a job runs.
func TestJobThatIsWorkedIsNoStray(t *testing.T) {
	storetest.Each(t, func(t *testing.T, databaseURL string) {
		h := shown{make(chan context.Context)}
		s, q := start(t, databaseURL, Config{Lease: time.Hour}, h)
		enqueue(t, s, q, "update", nil)
		ctx := <-h.contexts
		for range 3 {
			if n := look(t, current(q).strays); n != 0 {
				t.Errorf("%d jobs were given back while they were worked", n)
			}
		}
		if ctx.Err() != nil {
			t.Error("the job was interrupted")
		}
	})
}

// TestStrayIsOneAtTwoLooks has jobs of which one is just being fetched at the first look.
func TestStrayIsOneAtTwoLooks(t *testing.T) {
	s := openStore(t, storetest.Postgres(t))
	defer s.Close()
	q, err := New(Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	leases := s.Leases()
	for _, server := range []string{"srv_here", "srv_other"} {
		if err := leases.Join(t.Context(), server, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	for update, server := range map[string]string{"mine": "srv_here", "theirs": "srv_other", "nobodys": "srv_gone"} {
		enqueueFetched(t, s, q, update, server)
	}
	strays := newStrays(s, "srv_here")
	if n := look(t, strays); n != 0 {
		t.Errorf("%d jobs were given back at the first look, want none: they may have just been fetched", n)
	}
	enqueueFetched(t, s, q, "late", "srv_here")
	released, err := strays.look(t.Context())
	if err != nil || len(released) != 2 {
		t.Fatalf("gave back %v, %v; want the one of this server and the one of the server that is gone", released, err)
	}
	running, err := s.ListRuns(t.Context(), "srv_here")
	if err != nil || len(running) != 1 {
		t.Errorf("still running here: %v, %v; want the one that came late", running, err)
	}
	others, err := s.ListRuns(t.Context(), "srv_other")
	if err != nil || len(others) != 1 || slices.Contains(released, others[0]) {
		t.Errorf("running on the other server: %v, %v; want its job left to it", others, err)
	}
	if ok, err := s.ReleaseRun(t.Context(), released[0]); err != nil || ok {
		t.Errorf("gave back %v twice (%v)", released[0], err)
	}
}
