package control

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// fuse counts the points at which a process may die, and lets it die at one of them. What a process holds
// in memory is lost then, and nothing of it acts any more.
type fuse struct {
	armed  bool
	passed []string // the points that were passed, by name
	blow   int      // the point to die at; -1 for none
	dead   bool
}

// killed is what a process dies of.
type killed struct{ point string }

func (f *fuse) point(format string, args ...any) {
	if f.dead {
		panic(killed{"was dead already"})
	}
	if !f.armed {
		return
	}
	name := fmt.Sprintf(format, args...)
	f.passed = append(f.passed, name)
	if len(f.passed)-1 == f.blow {
		f.dead = true
		panic(killed{name})
	}
}

// mortalDB dies right before a transaction is committed, with all its statements done, and right after.
type mortalDB struct {
	*store.Store
	fuse *fuse
}

func (d mortalDB) Write(ctx context.Context, f func(context.Context, *store.Tx) error) error {
	err := d.Store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := f(ctx, tx); err != nil {
			return err
		}
		d.fuse.point("before a commit")
		return nil
	})
	if err == nil {
		d.fuse.point("after a commit")
	}
	return err
}

// mortalNode dies right before and right after every call of the node that changes something. To die around
// one that only looks is to die before the next that changes something.
type mortalNode struct {
	*fakeNode
	fuse    *fuse
	calls   map[string]int
	applied []string // CVM and document of every call that replaced a document

	refuseStart   error
	refusePrepare error
}

func (n *mortalNode) call(name string, f func() error) error {
	n.fuse.point("before %s", name)
	n.calls[name]++
	err := f()
	n.fuse.point("after %s", name)
	return err
}

func (n *mortalNode) held(id string) appcompose.ComposeHash {
	n.mu.Lock()
	defer n.mu.Unlock()
	if cvm := n.cvms[id]; cvm != nil {
		return appcompose.Hash(cvm.doc)
	}
	return appcompose.ComposeHash{}
}

func (n *mortalNode) Create(ctx context.Context, spec runtime.Spec) error {
	return n.call("create", func() error {
		if n.held(spec.ID).IsZero() {
			n.applied = append(n.applied, spec.Name+" created with "+appcompose.Hash(spec.Config.Document).String()[:8])
		}
		return n.fakeNode.Create(ctx, spec)
	})
}

func (n *mortalNode) Apply(ctx context.Context, id string, config runtime.Config) error {
	return n.call("apply", func() error {
		before := n.held(id)
		err := n.fakeNode.Apply(ctx, id, config)
		if after := n.held(id); after != before {
			n.applied = append(n.applied, n.cvms[id].spec.Name+" given "+after.String()[:8])
		}
		return err
	})
}

func (n *mortalNode) Start(ctx context.Context, id string) error {
	return n.call("start", func() error {
		if n.refuseStart != nil {
			return n.refuseStart
		}
		return n.fakeNode.Start(ctx, id)
	})
}

func (n *mortalNode) Stop(ctx context.Context, id string, options runtime.StopOptions) error {
	return n.call("stop", func() error { return n.fakeNode.Stop(ctx, id, options) })
}

func (n *mortalNode) Remove(ctx context.Context, id string) error {
	return n.call("remove", func() error { return n.fakeNode.Remove(ctx, id) })
}

// tableQueue keeps jobs where the real one does: in rows that are written with the state they follow. One
// stays until it is done.
type tableQueue struct{ fuse *fuse }

type queued struct {
	seq  int64
	kind string // update, rollout or power
	id   string
}

func (q tableQueue) EnqueueAdvance(ctx context.Context, tx *store.Tx, id string) error {
	return q.add(ctx, tx, queued{kind: "update", id: id})
}

func (q tableQueue) EnqueueRollout(ctx context.Context, tx *store.Tx, id string) error {
	return q.add(ctx, tx, queued{kind: "rollout", id: id})
}

func (q tableQueue) EnqueuePower(ctx context.Context, tx *store.Tx, id string) error {
	return q.add(ctx, tx, queued{kind: "power", id: id})
}

func (q tableQueue) add(ctx context.Context, tx *store.Tx, job queued) error {
	q.fuse.point("before a job is enqueued")
	// Right after comes the point before the commit.
	_, err := tx.SQL.ExecContext(ctx, "INSERT INTO crash_jobs (kind, id) VALUES (?, ?)", job.kind, job.id)
	return err
}

func (q tableQueue) create(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, "CREATE TABLE crash_jobs (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL)")
	return err
}

func (q tableQueue) list(ctx context.Context, db *sql.DB) ([]queued, error) {
	rows, err := db.QueryContext(ctx, "SELECT seq, kind, id FROM crash_jobs ORDER BY seq")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var jobs []queued
	for rows.Next() {
		var job queued
		if err := rows.Scan(&job.seq, &job.kind, &job.id); err != nil {
			return nil, err
		}
		jobs = append(jobs, job)
	}
	return jobs, rows.Err()
}

// done takes a job away; the process may die before it is, and then it is worked on once more.
func (q tableQueue) done(ctx context.Context, db *sql.DB, job queued) error {
	q.fuse.point("before a job is taken off")
	_, err := db.ExecContext(ctx, "DELETE FROM crash_jobs WHERE seq = ?", job.seq)
	return err
}

func (q tableQueue) drop(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, "DELETE FROM crash_jobs")
	return err
}
