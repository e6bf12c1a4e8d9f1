package control_test

import (
	"context"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/fsck"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// Package fsck imports control, so only the outer test package may import fsck.
func init() {
	control.CheckDatabase = func(ctx context.Context, db *store.Store, now time.Time) ([]string, error) {
		report, err := fsck.Check(ctx, db, fsck.Options{Now: now})
		if err != nil {
			return nil, err
		}
		findings := make([]string, len(report.Findings))
		for i, f := range report.Findings {
			findings[i] = f.String()
		}
		return findings, nil
	}
}
