package control

import (
	"context"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// Observer is told what operators watch. It is called after the commit, by whatever moved the update, so it must
// not wait for anything.
type Observer interface {
	// UpdateEnded says that an accepted update is final: what it was for, how it ended, and how long after it was
	// accepted.
	UpdateEnded(kind column.UpdateKind, result column.UpdateState, took time.Duration)
}

// noObserver is for a Service that nobody watches.
type noObserver struct{}

// UpdateEnded implements Observer.
func (noObserver) UpdateEnded(column.UpdateKind, column.UpdateState, time.Duration) {}

// observe tells the observer of an update that has come to its end. One that was never accepted has no revision and
// took up nothing. What cannot be read now is not counted: a figure is no reason to fail an update that is done.
func (s *Service) observe(ctx context.Context, u *store.Update) {
	if u.FinishedAt == nil {
		return
	}
	if revision, err := s.store.Read().GetRevision(ctx, RevisionID(u.ID)); err == nil {
		s.observer.UpdateEnded(u.Kind, u.State, u.FinishedAt.Sub(revision.CreatedAt.Time))
	}
}
