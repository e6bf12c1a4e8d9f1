package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// RevisionDetail is a revision with where it comes from.
type RevisionDetail struct {
	Row     store.Revision
	CVM     store.CVM
	Update  store.Update
	Creator string // name of the API key
	// Document has the bytes that were approved, exactly; empty in a listing.
	Document []byte
}

// Revisions returns one page of the revisions of an app, newest first, and how many there are. Pages count
// from 1.
func (s *Service) Revisions(ctx context.Context, p Principal, appID string, page, size int) ([]*RevisionDetail, int64, error) {
	app, err := s.app(ctx, p, ScopeRead, appID)
	if err != nil {
		return nil, 0, err
	}
	total, err := s.store.Read().CountRevisions(ctx, app.AppID)
	if err != nil {
		return nil, 0, fmt.Errorf("count revisions of %s: %w", app.AppID, err)
	}
	rows, err := s.store.Read().ListRevisions(ctx, app.AppID, int64(size), int64(page-1)*int64(size))
	if err != nil {
		return nil, 0, fmt.Errorf("revisions of %s: %w", app.AppID, err)
	}
	found := make([]*RevisionDetail, 0, len(rows))
	names := map[string]string{}
	for _, row := range rows {
		r := &RevisionDetail{Row: row.Revision, CVM: row.CVM, Update: row.Update}
		if r.Creator, err = s.keyName(ctx, names, r.Row.CreatedBy); err != nil {
			return nil, 0, err
		}
		found = append(found, r)
	}
	return found, total, nil
}

func (s *Service) keyName(ctx context.Context, known map[string]string, id string) (string, error) {
	if name, ok := known[id]; ok {
		return name, nil
	}
	key, err := s.store.Read().GetAPIKey(ctx, id)
	if err != nil {
		return "", fmt.Errorf("author %s: %w", id, err)
	}
	known[id] = key.Name
	return key.Name, nil
}

// Revision returns one revision of an app with its document.
func (s *Service) Revision(ctx context.Context, p Principal, appID, id string) (*RevisionDetail, error) {
	app, err := s.app(ctx, p, ScopeRead, appID)
	if err != nil {
		return nil, err
	}
	r := &RevisionDetail{}
	if r.Row, err = s.revisionOf(ctx, app.AppID, id); err != nil {
		return nil, err
	}
	if r.Creator, err = s.keyName(ctx, map[string]string{}, r.Row.CreatedBy); err != nil {
		return nil, err
	}
	if r.Update, err = s.store.Read().GetUpdate(ctx, r.Row.UpdateID); err != nil {
		return nil, fmt.Errorf("update of revision %s: %w", id, err)
	}
	if r.CVM, err = s.store.Read().GetCVMOfRevision(ctx, id); err != nil {
		return nil, fmt.Errorf("CVM of revision %s: %w", id, err)
	}
	document, err := s.document(ctx, s.store.Read(), r.Row.ComposeHash)
	if err != nil {
		return nil, err
	}
	r.Document = document.Bytes()
	return r, nil
}

// revisionOf finds a revision of an app.
func (s *Service) revisionOf(ctx context.Context, appID, id string) (store.Revision, error) {
	row, err := s.store.Read().GetRevision(ctx, id)
	if errors.Is(err, store.ErrNotFound) || (err == nil && row.AppID != appID) {
		return row, problem.New(problem.KindNotFound, api.CodeInvalidRequest, "revision not found").
			With("revision_id", id, "a revision of this app").
			Suggest("List the revisions of the app with GET /apps/{app_id}/revisions.")
	}
	if err != nil {
		return row, fmt.Errorf("revision %s: %w", id, err)
	}
	return row, nil
}
