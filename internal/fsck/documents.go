package fsck

import (
	"context"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// documents hashes every document again. The rows are keyed by that hash, so this is the heart of the
// invariant: what was approved is what is kept.
func (c *check) documents(ctx context.Context, q *store.Queries) error {
	return pages(c, "documents", appcompose.ComposeHash{},
		func(d store.Document) appcompose.ComposeHash { return d.ComposeHash },
		func(after appcompose.ComposeHash) ([]store.Document, error) {
			return q.PageDocuments(ctx, after, pageSize)
		},
		func(rows []store.Document) error {
			for _, d := range rows {
				if hash := appcompose.Hash(d.Bytes); hash != d.ComposeHash {
					c.found("documents", d.ComposeHash.String(), "the key is the SHA-256 of the bytes", "bytes of hash %s", hash)
				} else if _, err := appcompose.Parse(d.Bytes); err != nil {
					c.found("documents", d.ComposeHash.String(), "the bytes are an app-compose document", "%v", err)
				}
			}
			return nil
		})
}
