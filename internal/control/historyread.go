package control

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/history"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// History returns up to limit entries of the history of an app after one of them, oldest first, with the head.
// p is nil for a reader without an API key, who sees public histories only and does not learn which others
// there are.
func (s *Service) History(ctx context.Context, p *Principal, appID string, after uint64, limit int) (*api.History, error) {
	app, err := s.historyApp(ctx, p, appID)
	if err != nil {
		return nil, err
	}
	shown := &api.History{AppID: app.AppID, Head: api.HistoryHead{Hash: history.NoHash}}
	row, err := s.store.Read().GetHistory(ctx, app.AppID)
	if errors.Is(err, store.ErrNotFound) {
		return shown, nil
	}
	if err != nil {
		return nil, fmt.Errorf("history of %s: %w", app.AppID, err)
	}
	shown.Public, shown.Head = row.Public, api.HistoryHead{Seq: uint64(row.Seq), Hash: row.Hash}
	if after >= shown.Head.Seq {
		return shown, nil
	}
	entries, err := s.store.Read().ListHistoryEntries(ctx, store.ListHistoryEntriesParams{
		AppID: app.AppID, After: int64(after), UpTo: row.Seq, Most: int64(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("history of %s: %w", app.AppID, err)
	}
	for _, e := range entries {
		_, entry, err := history.Parse(e.Bytes)
		if err != nil {
			return nil, fmt.Errorf("entry %d in the history of %s: %w", e.Seq, app.AppID, err)
		}
		shown.Entries = append(shown.Entries, entry)
	}
	if n := len(shown.Entries); n > 0 && shown.Entries[n-1].Seq < shown.Head.Seq {
		shown.NextAfter = &shown.Entries[n-1].Seq
	}
	return shown, nil
}

// historyApp finds the app whose history a reader may see.
func (s *Service) historyApp(ctx context.Context, p *Principal, ref string) (store.App, error) {
	if p != nil {
		app, err := s.app(ctx, *p, ScopeRead, ref)
		if err == nil || !problem.Is(err, problem.KindNotFound) {
			return app, err
		}
		if app, public := s.publicApp(ctx, ref); public {
			return app, nil
		}
		return app, err
	}
	app, public := s.publicApp(ctx, ref)
	if !public {
		return app, errBadKey("no key was sent, and no app with a public history was named")
	}
	return app, nil
}

func (s *Service) publicApp(ctx context.Context, ref string) (store.App, bool) {
	id, err := api.ParseAppID("app_id", ref)
	if err != nil {
		return store.App{}, false
	}
	row, err := s.store.Read().GetHistory(ctx, id)
	if err != nil || !row.Public {
		return store.App{}, false
	}
	app, err := s.store.Read().GetApp(ctx, id)
	return app, err == nil
}

// SetHistory is PATCH /apps/{app_id}/history: whether the history is served without an API key. Setting what
// is set already changes nothing.
func (s *Service) SetHistory(ctx context.Context, p Principal, appID string, settings api.HistorySettings) (*api.History, error) {
	app, err := s.app(ctx, p, ScopeAdmin, appID)
	if problem.Is(err, problem.KindForbidden) {
		if own, missing := s.ownApp(ctx, p, appID); missing == nil {
			err = s.refused(ctx, p, attempt{what: "setting", appID: own.AppID}, err)
		}
	}
	if err != nil {
		return nil, err
	}
	if settings.Public == nil {
		return nil, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "nothing to set").With("public", nil, "true or false")
	}
	err = s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		row, err := tx.GetHistory(ctx, app.AppID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if row.Public == *settings.Public {
			return nil
		}
		if _, err := s.enter(ctx, tx, app.AppID, s.clock.Now(), api.HistoryEntry{Kind: history.KindSetting, Actor: p.KeyID, Facts: map[string]string{
			"public_history": strconv.FormatBool(*settings.Public),
		}}); err != nil {
			return err
		}
		return tx.SetHistoryPublic(ctx, app.AppID, *settings.Public)
	})
	if err != nil {
		return nil, fmt.Errorf("set history of %s: %w", app.AppID, err)
	}
	return s.History(ctx, &p, appID, 1<<62, 1) // the head, without entries
}
