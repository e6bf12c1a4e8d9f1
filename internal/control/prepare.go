package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// prepare has the node get ready for the new document while the old one still runs: an image that cannot be
// pulled must not take the old version down. It comes before the approval is looked at once more, because it may
// take long. Where ready is false the step is over.
//
// What the node refuses is tried again until the time that a revision has to become healthy is over. Then the
// update is rolled back, which finds that the previous revision was never touched.
func (r *rollout) prepare(ctx context.Context) (step Step, ready bool, err error) {
	node := r.cvm.node
	preparer, ok := node.Runtime.(runtime.Preparer)
	if !ok {
		return Step{}, true, nil
	}
	status, err := r.status(ctx)
	if err != nil {
		return Step{}, false, err
	}
	if status == nil || status.State != runtime.StateRunning || status.NextHash == r.u.ComposeHash {
		return Step{}, true, nil // nothing runs that could be lost, or the node has it already
	}
	document, err := r.document(ctx, r.store.Read(), r.u.ComposeHash)
	if err != nil {
		return Step{}, false, err
	}
	left := max(r.u.StateSince.Add(r.timeouts.Healthy).Sub(r.clock.Now()), time.Second)
	bounded, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	err = preparer.Prepare(bounded, r.cvm.row.VMUUID, runtime.Config{Document: document.Bytes(), EncryptedEnv: r.cvm.row.EncryptedEnv})
	switch {
	case err == nil:
		return Step{}, true, nil
	case errors.Is(err, runtime.ErrUnreachable) || ctx.Err() != nil:
		return Step{}, false, err
	}
	text := fmt.Sprintf("node %s: prepare: %v", node.Name, err)
	if !r.overdue(r.timeouts.Healthy) {
		step, err = r.wait(ctx, r.timeouts.Retry, "tries again, nothing was stopped: %s", text)
		return step, false, err
	}
	step, err = r.move(ctx, move{to: column.RollingBack, reason: "the node cannot run the new revision; nothing was stopped", err: text})
	return step, false, err
}
