package app

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/fsck"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// Fsck checks every invariant over the database of a configuration. A server may be working on it.
func Fsck(ctx context.Context, config Config, now time.Time) (*fsck.Report, error) {
	db, err := store.Open(ctx, config.DatabaseURL)
	if err != nil {
		return nil, err
	}
	report, err := fsck.Check(ctx, db, fsck.Options{Now: now})
	return report, errors.Join(err, db.Close())
}
