package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// Rename is PATCH /cvms/{id}/name. It names the CVM here. The document, which has a name too, stays as its
// owner approved it.
func (s *Service) Rename(ctx context.Context, p Principal, identifier, name string) error {
	if err := p.Require(ScopeUpdate); err != nil {
		return err
	}
	row, err := s.find(ctx, p, identifier)
	if err != nil {
		return err
	}
	if err := api.ValidateCVMName(name); err != nil {
		return fieldProblem(err)
	}
	err = s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.RenameCVM(ctx, row.ID, name, column.At(s.clock.Now()))
	})
	if errors.Is(err, store.ErrDuplicate) {
		return nameTaken(name).Because(err)
	}
	if err != nil {
		return fmt.Errorf("rename %s: %w", row.HashID, err)
	}
	s.events.Publish(row.ID)
	return nil
}

// SetListed is PATCH /cvms/{id}/listed.
func (s *Service) SetListed(ctx context.Context, p Principal, identifier string, listed bool) (*CVM, error) {
	if err := p.Require(ScopeUpdate); err != nil {
		return nil, err
	}
	row, err := s.find(ctx, p, identifier)
	if err != nil {
		return nil, err
	}
	err = s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.SetCVMListed(ctx, row.ID, listed, column.At(s.clock.Now()))
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", row.HashID, err)
	}
	if row, err = s.store.Read().GetAnyCVM(ctx, row.ID); err != nil {
		return nil, err
	}
	return s.view(ctx, row, false)
}
