package control

import (
	"context"
	"fmt"

	"github.com/lockstep-cvm/lockstep/internal/store"
)

// App is an app of a workspace with its CVMs, oldest first.
type App struct {
	Row  store.App
	KMS  *KMS
	CVMs []*CVM
}

// App returns an app of the caller's workspace by its app id. It does not ask the nodes.
func (s *Service) App(ctx context.Context, p Principal, appID string) (*App, error) {
	row, err := s.app(ctx, p, ScopeRead, appID)
	if err != nil {
		return nil, err
	}
	found := &App{Row: row}
	if found.KMS, err = s.catalog.kmsOf(row.KMSID); err != nil {
		return nil, err
	}
	rows, err := s.store.Read().FindCVMsByApp(ctx, row.AppID)
	if err != nil {
		return nil, fmt.Errorf("CVMs of %s: %w", row.AppID, err)
	}
	for _, row := range rows {
		if row.WorkspaceID != p.Workspace.ID {
			continue
		}
		cvm, err := s.view(ctx, row, false)
		if err != nil {
			return nil, err
		}
		found.CVMs = append(found.CVMs, cvm)
	}
	return found, nil
}
