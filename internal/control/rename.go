package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/history"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// Rename is PATCH /cvms/{id}/name. It names the CVM here. The document, which has a name too, stays as its
// owner approved it.
func (s *Service) Rename(ctx context.Context, p Principal, identifier, name string) error {
	row, err := s.find(ctx, p, identifier)
	if err != nil {
		return cmp.Or(p.Require(ScopeUpdate), err)
	}
	return s.refused(ctx, p, attempt{what: "rename", appID: row.AppID, cvm: row.VMUUID}, s.rename(ctx, p, row, name))
}

func (s *Service) rename(ctx context.Context, p Principal, row store.CVM, name string) error {
	if err := p.Require(ScopeUpdate); err != nil {
		return err
	}
	if err := api.ValidateCVMName(name); err != nil {
		return fieldProblem(err)
	}
	err := s.changeSetting(ctx, p, row, "name", name, func(ctx context.Context, tx *store.Tx, now column.Time) error {
		return tx.RenameCVM(ctx, row.ID, name, now)
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
	row, err := s.find(ctx, p, identifier)
	if err != nil {
		return nil, cmp.Or(p.Require(ScopeUpdate), err)
	}
	shown, err := s.setListed(ctx, p, row, listed)
	return shown, s.refused(ctx, p, attempt{what: "listed", appID: row.AppID, cvm: row.VMUUID}, err)
}

func (s *Service) setListed(ctx context.Context, p Principal, row store.CVM, listed bool) (*CVM, error) {
	if err := p.Require(ScopeUpdate); err != nil {
		return nil, err
	}
	err := s.changeSetting(ctx, p, row, "listed", strconv.FormatBool(listed), func(ctx context.Context, tx *store.Tx, now column.Time) error {
		return tx.SetCVMListed(ctx, row.ID, listed, now)
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", row.HashID, err)
	}
	if row, err = s.store.Read().GetAnyCVM(ctx, row.ID); err != nil {
		return nil, err
	}
	return s.view(ctx, row, false)
}

// changeSetting changes a setting of a CVM, once for one request, and records it.
func (s *Service) changeSetting(
	ctx context.Context, p Principal, row store.CVM, name, value string, set func(context.Context, *store.Tx, column.Time) error,
) error {
	if _, ok := madeBefore(p); ok {
		return nil // others may have changed it since
	}
	now := column.At(s.clock.Now())
	return s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := made(ctx, tx, p, row.HashID); err != nil {
			return err
		}
		if _, err := s.enter(ctx, tx, row.AppID, now.Time, api.HistoryEntry{
			Kind: history.KindSetting, Actor: p.KeyID, CVM: row.VMUUID, Facts: map[string]string{name: value},
		}); err != nil {
			return err
		}
		return set(ctx, tx, now)
	})
}
