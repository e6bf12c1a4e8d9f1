package fsck

import (
	"context"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

func (c *check) readCVMs(ctx context.Context, q *store.Queries) error {
	return pages(c, "cvms", int64(0), func(v store.CVM) int64 { return v.ID },
		func(after int64) ([]store.CVM, error) { return q.PageCVMs(ctx, after, pageSize) },
		func(rows []store.CVM) error {
			for _, v := range rows {
				v.EncryptedEnv = nil // not looked at, and may be large
				c.cvms[v.ID] = v
			}
			return nil
		})
}

// checkCVMs compares every CVM with the updates and revisions that are about it.
func (c *check) checkCVMs() {
	for _, v := range c.cvms {
		wrong := func(rule, seen string, args ...any) { c.found("cvms", v.HashID, rule, seen, args...) }
		if v.ActiveUpdateID != "" && c.active[v.ID] != v.ActiveUpdateID {
			wrong("the operation that owns it exists and is under way", "%s", v.ActiveUpdateID)
		}
		if u := c.fromNothing[v.ID]; u != "" && c.booted[v.ID] {
			c.found("updates", u, "only a CVM that never ran starts from nothing", "the first boot of the CVM succeeded")
		}
		if v.RevisionID != "" {
			switch r, ok := c.revisions[v.RevisionID]; {
			case !ok:
				wrong("its revision exists", "%s", v.RevisionID)
			case r.cvm != v.ID || r.appID != v.AppID:
				wrong("its revision is its own", "%s of CVM %d, app %s", v.RevisionID, r.cvm, r.appID)
			}
		}
		c.status(v, wrong)
	}
}

// status compares what a CVM is said to be with how its newest rollout ended.
func (c *check) status(v store.CVM, wrong func(rule, seen string, args ...any)) {
	last, ok := c.newest[v.ID]
	if v.ActiveUpdateID != "" || v.DeletedAt != nil || !ok {
		return
	}
	if !c.powerStatus(v, last, wrong) && (last.state == column.Failed) != (v.Status == control.StatusError) {
		wrong("its status is error exactly after a rollout that failed", "status %s after %s (%s)", v.Status, last.state, last.update)
	}
	changes := last.kind == column.KindDeploy || last.kind == column.KindUpdate
	if changes && last.state == column.Succeeded && v.RevisionID != control.RevisionID(last.update) {
		wrong("it runs the revision of its newest rollout", "revision %q after %s", v.RevisionID, last.update)
	}
	if changes && last.state != column.Succeeded && v.RevisionID == control.RevisionID(last.update) {
		wrong("it does not run the revision of a rollout that did not succeed", "%s is %s", last.update, last.state)
	}
}
