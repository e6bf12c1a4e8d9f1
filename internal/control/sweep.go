package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// Sweep looks at every update that is not final: candidates whose time is over expire, and every other
// one gets a job. Nothing depends on it as long as no process dies; after a crash it is what makes sure
// that no update is left behind.
func (s *Service) Sweep(ctx context.Context) error {
	open, err := s.store.Read().ListOpenUpdates(ctx)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	advancing := map[string]bool{}
	if queue, ok := s.queue.(JobLister); ok {
		if advancing, err = queue.Advancing(ctx); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	for _, u := range open {
		if advancing[u.ID] {
			continue
		}
		if err := s.sweepOne(ctx, u); err != nil && !errors.Is(err, errStale) {
			return fmt.Errorf("sweep update %s: %w", u.ID, err)
		}
	}
	if err := s.recordLate(ctx); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	if err := s.sweepRequests(ctx); err != nil {
		return fmt.Errorf("sweep idempotency keys: %w", err)
	}
	return errors.Join(s.sweepPower(ctx), s.sweepRollouts(ctx))
}

func (s *Service) sweepOne(ctx context.Context, u store.Update) error {
	waiting := u.State == column.AwaitingApproval && u.TxHash == ""
	if waiting && s.clock.Now().Before(u.ExpiresAt.Time) {
		return nil
	}
	return s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if !waiting {
			return s.queue.EnqueueAdvance(ctx, tx, u.ID)
		}
		row, err := tx.GetAnyCVM(ctx, u.CVMID)
		if err != nil {
			return err
		}
		expired := u // the write may be carried out again
		return s.apply(ctx, tx, &expired, &row, move{to: column.Expired, reason: "expired: the owner did not approve in time"})
	})
}
