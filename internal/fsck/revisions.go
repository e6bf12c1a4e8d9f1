package fsck

import (
	"context"

	"github.com/lockstep-cvm/lockstep/internal/store"
)

func (c *check) readRevisions(ctx context.Context, q *store.Queries) error {
	return pages(c, "revisions", "", func(r store.Revision) string { return r.ID },
		func(after string) ([]store.Revision, error) { return q.PageRevisions(ctx, after, pageSize) },
		func(rows []store.Revision) error {
			for _, r := range rows {
				c.revisions[r.ID] = revision{cvm: r.CVMID, appID: r.AppID, update: r.UpdateID, hash: r.ComposeHash}
				if v, ok := c.cvms[r.CVMID]; !ok || v.AppID != r.AppID {
					c.found("revisions", r.ID, "it is of the app of its CVM", "app %s, CVM %d of app %s", r.AppID, r.CVMID, v.AppID)
				}
			}
			return nil
		})
}

func (c *check) checkRevisions() {
	for id, r := range c.revisions {
		if !r.hasUpdate {
			c.found("revisions", id, "its update exists and is of the same CVM", "update %s, CVM %d", r.update, r.cvm)
		}
	}
}
