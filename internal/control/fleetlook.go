package control

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// sight is what the node of a CVM said of it.
type sight struct {
	status runtime.Status
	err    error
}

// sightCallers is how many nodes are asked at once.
const sightCallers = 16

// see asks the nodes of CVMs what they see, many at once: one that does not answer must not hold up the
// rollout for each of its CVMs in turn.
func (f *fleetStep) see(ctx context.Context, targets []int) {
	if f.seen == nil {
		f.seen = map[int]sight{}
	}
	var (
		mu     sync.Mutex
		asking sync.WaitGroup
		slots  = make(chan struct{}, sightCallers)
	)
	for _, i := range targets {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			row, err := f.store.Read().GetCVM(ctx, f.targets[i].CVMID)
			if err != nil {
				return // who needs the row reads it again, and says so
			}
			node, err := f.catalog.node(row.NodeID)
			if err != nil {
				return // as above
			}
			s := f.ask(ctx, node, row.VMUUID)
			mu.Lock()
			f.seen[i] = s
			mu.Unlock()
		})
	}
	asking.Wait()
}

func (f *fleetStep) ask(ctx context.Context, node *Node, vmUUID string) sight {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	status, err := node.Runtime.Status(ctx, vmUUID)
	return sight{status, err}
}

// sight is what the node of a target said in this step; it is asked if it was not yet.
func (f *fleetStep) sight(ctx context.Context, i int, node *Node) (runtime.Status, error) {
	s, ok := f.seen[i]
	if !ok {
		s = f.ask(ctx, node, f.targets[i].VMUUID)
	}
	return s.status, s.err
}

// lookAtAll takes up what has become of every CVM since the last step.
func (f *fleetStep) lookAtAll(ctx context.Context) error {
	under, err := f.store.Read().ListRolloutUpdates(ctx, f.row.ID)
	if err != nil {
		return fmt.Errorf("updates under way: %w", err)
	}
	f.updates = make(map[string]store.Update, len(under))
	for _, u := range under {
		f.updates[u.ID] = u
	}
	var settling []int
	for i := range f.targets {
		if f.targets[i].State == column.TargetSettling && f.row.State != column.RolloutRollingBack {
			settling = append(settling, i)
		}
	}
	f.see(ctx, settling)
	for i := range f.targets {
		if err := f.look(ctx, i); err != nil {
			return fmt.Errorf("CVM %s: %w", f.targets[i].VMUUID, err)
		}
	}
	return nil
}

// update is the update of a target that is under way.
func (f *fleetStep) update(id string) (store.Update, error) {
	u, ok := f.updates[id]
	if !ok {
		return u, fmt.Errorf("update %q is not there", id)
	}
	return u, nil
}

// look takes up what has become of a CVM since the last step.
func (f *fleetStep) look(ctx context.Context, i int) error {
	switch f.targets[i].State {
	case column.TargetUpdating:
		return f.lookAtUpdate(ctx, i)
	case column.TargetSettling:
		return f.lookAtHealth(ctx, i)
	case column.TargetReverting:
		return f.lookAtRevert(ctx, i)
	case column.TargetPending, column.TargetDone, column.TargetFailed, column.TargetSkipped, column.TargetReverted, column.TargetStuck:
	}
	return nil
}

func (f *fleetStep) lookAtUpdate(ctx context.Context, i int) error {
	t := &f.targets[i]
	u, err := f.update(t.UpdateID)
	if err != nil {
		return err
	}
	if gone, err := f.deleted(ctx, i, &u); gone || err != nil {
		return err
	}
	back := f.row.State == column.RolloutRollingBack
	switch u.State {
	case column.Succeeded:
		t.Moved = true
		t.ReadyAt = column.At(u.FinishedAt.Add(policy(&f.row).MinReady))
		if err := f.set(i, column.TargetSettling, "runs the document; has to stay healthy for %s", policy(&f.row).MinReady); err != nil || back {
			return err
		}
		return f.lookAtHealth(ctx, i)
	case column.Failed:
		t.Down = true
		return f.set(i, column.TargetFailed, "%s", outcome(&u))
	case column.AwaitingApproval: // the approval was lost before anything was stopped
		f.cancel = append(f.cancel, u)
	case column.RolledBack, column.Cancelled, column.Expired, column.Superseded:
	case column.Proposed, column.Approved, column.RollingOut, column.Verifying, column.RollingBack:
		if back && u.State == column.Approved {
			f.cancel = append(f.cancel, u) // nothing was stopped yet
			return f.set(i, column.TargetReverted, "its update was given up before anything was stopped")
		}
		return nil // its end wakes the rollout
	}
	if back {
		return f.set(i, column.TargetReverted, "its update ended %s; the CVM kept what it ran", u.State)
	}
	return f.set(i, column.TargetFailed, "%s", outcome(&u))
}

func (f *fleetStep) lookAtRevert(ctx context.Context, i int) error {
	t := &f.targets[i]
	u, err := f.update(t.RevertID)
	if err != nil {
		return err
	}
	if gone, err := f.deleted(ctx, i, &u); gone || err != nil {
		return err
	}
	switch {
	case u.State == column.Succeeded:
		t.Moved, t.Down = false, false
		return f.set(i, column.TargetReverted, "runs again what it ran before")
	case u.State == column.AwaitingApproval:
		f.cancel = append(f.cancel, u)
	case !u.State.Final():
		return nil
	}
	t.Down = u.State == column.Failed
	return f.set(i, column.TargetStuck, "could not go back: %s", outcome(&u))
}

// deleted leaves out a CVM that was deleted while the rollout's update of it ran, once that has ended.
func (f *fleetStep) deleted(ctx context.Context, i int, u *store.Update) (bool, error) {
	if !u.State.Final() {
		return false, nil
	}
	_, err := f.store.Read().GetCVM(ctx, u.CVMID)
	if !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	return true, f.set(i, column.TargetSkipped, "the CVM was deleted")
}

// outcome tells how an update ended, in its own words.
func outcome(u *store.Update) string {
	text := fmt.Sprintf("its update is %s: %s", u.State, u.Reason)
	if u.Error != "" {
		text += ": " + u.Error
	}
	return text
}

// lookAtHealth watches a CVM that has to stay healthy.
func (f *fleetStep) lookAtHealth(ctx context.Context, i int) error {
	t := &f.targets[i]
	row, err := f.store.Read().GetCVM(ctx, t.CVMID)
	if errors.Is(err, store.ErrNotFound) {
		return f.set(i, column.TargetSkipped, "the CVM was deleted")
	}
	if err != nil {
		return err
	}
	if f.row.State == column.RolloutRollingBack {
		return nil // it goes back whatever its health is
	}
	if row.RevisionID != RevisionID(t.UpdateID) {
		return f.set(i, column.TargetSkipped, "another update moved the CVM; it is left alone")
	}
	if row.ActiveUpdateID != "" {
		f.after(f.timeouts.Retry)
		f.note(i, "waits for another operation of the CVM")
		return nil
	}
	if row.Status == StatusStopped {
		return f.set(i, column.TargetSkipped, "it was stopped, and keeps the document")
	}
	node, err := f.catalog.node(row.NodeID)
	if err != nil {
		t.Down = true
		return f.set(i, column.TargetFailed, "its health cannot be known: %v", err)
	}
	left := t.ReadyAt.Sub(f.clock.Now())
	status, err := f.sight(ctx, i, node)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, runtime.ErrNotFound):
		err = errors.New("the node does not know the CVM any more")
	case err != nil:
		f.after(f.timeouts.Retry)
		f.note(i, "its health is not known: node %s: %v", node.Name, err)
		return nil
	default:
		err = unwell(&status, f.row.ComposeHash.String())
	}
	if err != nil {
		t.Down = true
		return f.set(i, column.TargetFailed, "did not stay healthy for %s: %v", policy(&f.row).MinReady, err)
	}
	if left <= 0 {
		return f.set(i, column.TargetDone, "runs the document and stayed healthy for %s", policy(&f.row).MinReady)
	}
	f.note(i, "runs the document; has to stay healthy for %s", policy(&f.row).MinReady)
	f.after(min(left, max(settlePoll, f.timeouts.Poll)))
	return nil
}

// unwell tells why a CVM does not count as healthy with the document of a hash, or nil.
func unwell(status *runtime.Status, hash string) error {
	switch {
	case status.State != runtime.StateRunning:
		if status.BootError != "" {
			return fmt.Errorf("it is %s: %s", status.State, status.BootError)
		}
		return fmt.Errorf("it is %s", status.State)
	case status.RunningHash.String() != hash:
		return fmt.Errorf("it runs %s", status.RunningHash)
	case status.Health != runtime.HealthHealthy && status.Health != runtime.HealthUnknown:
		return fmt.Errorf("its services are %s", status.Health)
	default:
		return nil
	}
}

// prepareStart looks at a CVM whose turn has come.
func (f *fleetStep) prepareStart(ctx context.Context, i int) error {
	t := &f.targets[i]
	row, err := f.store.Read().GetCVM(ctx, t.CVMID)
	if errors.Is(err, store.ErrNotFound) {
		return f.set(i, column.TargetSkipped, "the CVM was deleted")
	}
	if err != nil {
		return err
	}
	if f.waits(i, &row) {
		return nil
	}
	node, err := f.catalog.node(row.NodeID)
	if err != nil {
		return f.set(i, column.TargetFailed, "its update could not begin: %v", err)
	}
	status, err := f.sight(ctx, i, node)
	if row.Status == StatusStopped || err == nil && status.State == runtime.StateStopped && row.Status != StatusError {
		return f.set(i, column.TargetSkipped, "it is stopped, and an update would start it; start it and roll out again")
	}
	f.begun[i] = true
	f.exited[i] = err == nil && status.State == runtime.StateExited
	return nil
}

// waits reports whether another operation owns the CVM. Nobody wakes the rollout when that ends, so it looks
// again.
func (f *fleetStep) waits(i int, row *store.CVM) bool {
	if row.ActiveUpdateID == "" {
		return false
	}
	f.note(i, "waits for another operation of the CVM")
	f.after(f.timeouts.Retry)
	return true
}

// prepareRevert looks at a CVM that is to go back.
func (f *fleetStep) prepareRevert(ctx context.Context, i int) error {
	t := &f.targets[i]
	row, err := f.store.Read().GetCVM(ctx, t.CVMID)
	if errors.Is(err, store.ErrNotFound) {
		return f.set(i, column.TargetSkipped, "the CVM was deleted")
	}
	if err != nil {
		return err
	}
	if f.waits(i, &row) {
		return nil
	}
	if leftAlone(t, &row) {
		return f.set(i, column.TargetSkipped, "another update moved the CVM; it is left alone")
	}
	if row.Status == StatusStopped {
		return f.set(i, column.TargetSkipped, "it was stopped, and going back would start it; it is left as it is")
	}
	if t.FromRevisionID == "" {
		return f.set(i, column.TargetSkipped, "it ran nothing before; it is left as the update left it")
	}
	previous, err := f.store.Read().GetRevision(ctx, t.FromRevisionID)
	if err != nil {
		return fmt.Errorf("previous revision: %w", err)
	}
	if _, err := f.catalog.node(row.NodeID); err != nil {
		return f.set(i, column.TargetStuck, "could not go back: %v", err)
	}
	cvm, err := f.target(ctx, row)
	if err != nil {
		return err
	}
	found, gone := (&rollout{Service: f.Service, cvm: cvm}).forbidden(ctx, previous)
	if gone != "" {
		return f.set(i, column.TargetStuck, "could not go back: what it ran before may not run any more: %s", gone)
	}
	f.owners[i] = found.owner
	f.back[i] = true
	return nil
}

// lookAtApproval reads, for the record of the updates that are to begin, who allows the document and in which
// block. They are of one app, so one look tells it of all. Whether the document may run is not decided here:
// each update asks right before it stops anything.
func (f *fleetStep) lookAtApproval(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	for i := range f.begun {
		row, err := f.store.Read().GetCVM(ctx, f.targets[i].CVMID)
		if err != nil {
			continue
		}
		cvm, err := f.target(ctx, row)
		if err != nil || !cvm.kms.OnChain() {
			continue
		}
		tx := f.row.TxHash
		if api.NoReceipt(tx) {
			tx = ""
		}
		found, _, err := f.prove(ctx, cvm, f.row.ComposeHash, tx)
		if err != nil {
			return // the updates say what is wrong, if it still is when their turn comes
		}
		f.block = found.block
		for j := range f.begun {
			f.owners[j] = found.owner
		}
		return
	}
}
