package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// CheckDatabase is fsck, set by the outer test package: fsck imports this one.
var CheckDatabase func(ctx context.Context, db *store.Store, now time.Time) (findings []string, err error)

// crashWorld is a control plane whose process may die at one point, with a chain and a node that live on.
// A scenario drives it with request, work and sweep, which go on after a death as clients, the job queue
// and the sweeper of the next process do.
type crashWorld struct {
	*harness
	fuse    *fuse
	node    *mortalNode
	jobs    tableQueue
	forget  bool // the next process finds no job: only its sweep can go on
	kms     api.KMSType
	cvms    []*CVM
	rollout string
}

// crashBench is where the plays of one scenario happen: a database and a chain, opened once. Each play has
// a workspace, an app and a node of its own.
type crashBench struct {
	*harness
	plays int
}

func newCrashBench(t *testing.T) *crashBench {
	t.Helper()
	b := &crashBench{harness: newHarness(t)}
	b.once = true // a process that dies in a rehearsal died before the write that counts
	b.restart()
	t.Cleanup(b.close)
	must(t, tableQueue{}.create(context.Background(), b.store.WriteDB()))
	return b
}

func (b *crashBench) world(t *testing.T, s crashScenario, blow int, forget bool) *crashWorld {
	t.Helper()
	ctx := context.Background()
	h := *b.harness
	h.t, h.node = t, newFakeNode(h.chain, h.clock)
	w := &crashWorld{harness: &h, fuse: &fuse{blow: blow}, forget: forget, kms: s.kms}
	w.jobs = tableQueue{w.fuse}
	w.node = &mortalNode{fakeNode: h.node, fuse: w.fuse, calls: map[string]int{}}
	w.dress = func(config *Config, node *Node) {
		config.Store, config.Queue = mortalDB{w.store, w.fuse}, w.jobs
		config.Timeouts = DefaultTimeouts()
		config.Timeouts.Retry = 2 * time.Minute // a refusing node is given up after minutes; few looks will do
		node.Runtime = w.node
		if s.prepares {
			node.Runtime = mortalPreparer{w.node}
		}
	}
	w.serve()
	b.plays++
	workspace := fmt.Sprintf("play-%d", b.plays)
	_, err := w.service.EnsureWorkspace(ctx, workspace, workspace)
	must(t, err)
	key, err := w.service.CreateKey(ctx, workspace, "test", []Scope{ScopeAdmin}, 0)
	must(t, err)
	w.alice, err = w.service.Authenticate(ctx, key.Key)
	must(t, err)
	w.populate(s.cvms)
	return w
}

// populate makes the CVMs that run before the story begins.
func (w *crashWorld) populate(n int) {
	w.t.Helper()
	ctx := context.Background()
	if n > 0 {
		w.cvms = append(w.cvms, w.create("cvm-1", w.kms))
	}
	for len(w.cvms) < n {
		replica, err := w.service.Replicate(ctx, w.alice, w.cvms[0].Row.HashID, api.ReplicateRequest{}, false)
		must(w.t, err)
		w.settle(replica.Row.ActiveUpdateID)
		w.cvms = append(w.cvms, w.read(replica))
	}
	must(w.t, w.jobs.drop(ctx, w.store.WriteDB()))
	w.node.calls, w.node.applied, w.node.boots, w.node.stops = map[string]int{}, nil, nil, nil
}

// play runs a scenario and returns what came of it.
func (s crashScenario) play(t *testing.T, b *crashBench, blow int, forget bool) (*crashWorld, string) {
	t.Helper()
	w := b.world(t, s, blow, forget)
	w.fuse.armed = true
	s.story(w)
	w.fuse.armed = false
	if blow >= len(w.fuse.passed) {
		t.Fatalf("the process did not die at point %d", blow)
	}
	return w, w.picture()
}

// check looks over the whole database once all plays are over.
func (b *crashBench) check(t *testing.T) {
	t.Helper()
	findings, err := CheckDatabase(context.Background(), b.store, b.clock.Now())
	must(t, err)
	if len(findings) > 0 {
		t.Errorf("fsck: %s", strings.Join(findings, "; "))
	}
}

// request does what a client asks for, and asks again when the process dies meanwhile.
func (w *crashWorld) request(f func()) {
	w.t.Helper()
	for !w.survives(f) {
		w.fuse.dead = false
		w.serve() // all that a process holds in memory is new; opening the file again would tell nothing more
		if w.forget {
			must(w.t, w.jobs.drop(context.Background(), w.store.WriteDB()))
			must(w.t, w.service.Sweep(context.Background()))
		}
	}
}

// survives runs f and reports whether the process still lives.
func (w *crashWorld) survives(f func()) (alive bool) {
	defer func() {
		switch p := recover().(type) {
		case nil, killed:
		default:
			panic(p)
		}
	}()
	f()
	return true
}

// sweep lets the sweeper look once.
func (w *crashWorld) sweep() { w.request(func() { must(w.t, w.service.Sweep(context.Background())) }) }

// work lets the jobs run, one step each in turn, until there is none.
func (w *crashWorld) work() {
	w.t.Helper()
	ctx := context.Background()
	for range 500 {
		jobs, err := w.jobs.list(ctx, w.store.WriteDB())
		must(w.t, err)
		if len(jobs) == 0 {
			return
		}
		wait := time.Duration(0)
		for _, job := range jobs {
			w.request(func() {
				advance := w.service.Advance // that of the process which lives now
				switch job.kind {
				case "power":
					advance = w.service.AdvancePower
				case "rollout":
					advance = w.service.AdvanceRollout
				}
				step, err := advance(ctx, job.id)
				must(w.t, err)
				if step.Done {
					must(w.t, w.jobs.done(ctx, w.store.WriteDB(), job))
				}
				if step.Wait > 0 && (wait == 0 || step.Wait < wait) {
					wait = step.Wait
				}
			})
		}
		w.harness.node.tick()
		w.clock.advance(wait)
	}
	w.t.Fatalf("jobs do not end; updates: %s", w.picture())
}

func short(hash appcompose.ComposeHash) string {
	if hash.IsZero() {
		return "nothing"
	}
	return hash.String()[:8]
}

// picture tells all that must not depend on whether and where a process died: the end of every update and
// how it came there, what the CVMs are said to run, what they do run, and what was done on the node.
func (w *crashWorld) picture() string {
	w.t.Helper()
	ctx := context.Background()
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	rows, err := w.store.Read().ListCVMs(ctx, w.alice.Workspace.ID, 100, 0)
	must(w.t, err)
	slices.Reverse(rows) // the oldest first
	for _, cvm := range w.cvms {
		row, err := w.store.Read().GetAnyCVM(ctx, cvm.Row.ID)
		must(w.t, err)
		if row.DeletedAt != nil {
			rows = append(rows, row)
		}
	}
	names := map[string]string{}
	for i, row := range rows {
		name := fmt.Sprintf("cvm-%d", i+1) // a replica is named after its id, which is random
		names[row.VMUUID], names[row.Name] = name, name
		runs := "nothing"
		if row.RevisionID != "" {
			revision, err := w.store.Read().GetRevision(ctx, row.RevisionID)
			must(w.t, err)
			runs = short(revision.ComposeHash)
		}
		status, err := w.harness.node.Status(ctx, row.VMUUID)
		if err != nil && !errors.Is(err, runtime.ErrNotFound) { // it may have been given up before it was made
			w.t.Fatal(err)
		}
		add("%s is %s with %s, owned: %v; on the node %s, holds %s, runs %s, %s", name, row.Status, runs, row.ActiveUpdateID != "",
			status.State, short(status.NextHash), short(status.RunningHash), status.Health)
		updates, err := w.store.Read().ListUpdates(ctx, row.ID, 100)
		must(w.t, err)
		for _, u := range updates {
			add("%s %s to %s, failed: %v: %s", name, u.Kind, short(u.ComposeHash), u.Error != "", w.walk(u))
		}
		for _, op := range w.powerOperations(row.ID) {
			add("%s power %s, wrong: %v, %s", name, op.Kind, op.Error != "", w.walkPower(op))
		}
	}
	for _, id := range w.harness.node.stops {
		add("stopped %s", names[id])
	}
	for _, applied := range w.node.applied {
		name, rest, _ := strings.Cut(applied, " ")
		add("%s %s", names[name], rest)
	}
	for _, b := range w.harness.node.boots {
		add("booted %s, allowed once: %v", short(b.hash), w.chain.wasAllowed(b.app, b.hash))
	}
	if w.rollout != "" {
		view, err := w.service.Rollout(ctx, w.alice, rows[0].AppID, w.rollout)
		must(w.t, err)
		add("the rollout is %s: %s", view.Row.State, states(view))
		for _, e := range view.Events {
			add("the rollout went from %q to %q", e.FromState, e.ToState)
		}
	}
	slices.Sort(lines)
	for i := len(lines) - 1; i > 0; i-- {
		if lines[i] == lines[i-1] && strings.HasSuffix(lines[i], ": proposed succeeded") {
			lines = slices.Delete(lines, i, i+1) // asked again to change nothing, nothing is noted once more
		}
	}
	return strings.Join(lines, "\n")
}

// walk is the history of an update, each step one of the state machine.
func (w *crashWorld) walk(u store.Update) string {
	w.t.Helper()
	events, err := w.store.Read().ListUpdateEvents(context.Background(), u.ID)
	must(w.t, err)
	var at column.UpdateState
	steps := make([]string, 0, len(events))
	for i, e := range events {
		if e.FromState != at || (i > 0 && !CanMove(e.FromState, e.ToState)) {
			w.t.Fatalf("update %s: step %d goes from %s to %s, but was in %s", u.ID, i, e.FromState, e.ToState, at)
		}
		at = e.ToState
		steps = append(steps, string(at))
	}
	if at != u.State || u.Reason == "" {
		w.t.Fatalf("update %s is %s (%q), its history ends in %s", u.ID, u.State, u.Reason, at)
	}
	return strings.Join(steps, " ")
}

// transitions are the edges of the state machine that the updates of a story went along.
func (w *crashWorld) transitions() map[[2]column.UpdateState]bool {
	w.t.Helper()
	ctx := context.Background()
	seen := map[[2]column.UpdateState]bool{}
	updates, err := w.store.Read().PageUpdates(ctx, "", 100000)
	must(w.t, err)
	for _, u := range updates {
		events, err := w.store.Read().ListUpdateEvents(ctx, u.ID)
		must(w.t, err)
		for _, e := range events {
			seen[[2]column.UpdateState{e.FromState, e.ToState}] = true
		}
	}
	return seen
}

// The words of the stories.

// propose is phase 1.
func (w *crashWorld) propose(n int) *Precondition {
	w.t.Helper()
	var need *Precondition
	w.request(func() { need = w.harness.propose(w.cvms[0], yamlNumber(n)) })
	return need
}

// approve is phase 2.
func (w *crashWorld) approve(need *Precondition, n int, tx string) {
	w.t.Helper()
	w.request(func() {
		out, err := w.update(w.cvms[0], ComposeUpdate{YAML: yamlNumber(n), ComposeHash: need.Update.ComposeHash.String(), TransactionHash: tx})
		must(w.t, err)
		if out.Accepted == nil {
			w.t.Fatalf("phase 2 = %+v, want it accepted", out)
		}
	})
}

// approved does both phases; the rollout has not begun.
func (w *crashWorld) approved(n int) *Precondition {
	w.t.Helper()
	need := w.propose(n)
	w.approve(need, n, w.chain.add(w.cvms[0].Row.AppID, need.Update.ComposeHash))
	return need
}

// offChain is the only phase with a KMS that asks no chain.
func (w *crashWorld) offChain(n int) {
	w.t.Helper()
	w.request(func() {
		_, err := w.update(w.cvms[0], ComposeUpdate{YAML: yamlNumber(n)})
		must(w.t, err)
	})
}
