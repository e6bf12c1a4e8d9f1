package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/rivermigrate"
)

// Migration is one step of the schema.
type Migration struct {
	Version int64
	Name    string // of its file
	Applied bool
}

// Migrate brings the schema of the database at a URL up to date and returns how it then is.
func Migrate(ctx context.Context, rawURL string) ([]Migration, error) {
	return onSchema(ctx, rawURL, (*Store).migrateUp)
}

// MigrateDown takes back the steps after a version. What those steps had room for is lost, and a program
// that needs them must not run meanwhile.
func MigrateDown(ctx context.Context, rawURL string, version int64) ([]Migration, error) {
	return onSchema(ctx, rawURL, func(s *Store, ctx context.Context) (err error) {
		unlock, err := s.Lock() // where it can be told that a server runs
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, unlock()) }()
		if err := s.noServers(ctx); err != nil {
			return err
		}
		return s.migrateDown(ctx, version)
	})
}

// Migrations tells which steps of the schema a database has. It changes nothing.
func Migrations(ctx context.Context, rawURL string) ([]Migration, error) {
	return onSchema(ctx, rawURL, func(*Store, context.Context) error { return nil })
}

// noServers returns an error while servers share the work of the database.
func (s *Store) noServers(ctx context.Context) error {
	leases := s.Leases()
	if leases == nil {
		return nil
	}
	servers, err := leases.Servers(ctx)
	if hasCode(err, undefinedTable) {
		return nil // of before there were several
	}
	if err == nil && len(servers) > 0 {
		err = fmt.Errorf("store: %d servers work on the database; stop them first", len(servers))
	}
	return err
}

func onSchema(ctx context.Context, rawURL string, change func(*Store, context.Context) error) (_ []Migration, err error) {
	s, err := connect(ctx, rawURL)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := change(s, ctx); err != nil {
		return nil, err
	}
	return s.migrations(ctx)
}

// schema reads the migrations of the engine. The helpers of a release number theirs on their own, so one
// with a lower number may come after one with a higher.
func (s *Store) schema() (*goose.Provider, error) {
	dialect, embedded := s.engine.dialect()
	files, err := fs.Sub(embedded, "migrations/"+s.engine.name())
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(dialect, s.write, files, goose.WithAllowOutofOrder(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
}

func (s *Store) migrateUp(ctx context.Context) error {
	return s.migrate(ctx, func(schema *goose.Provider) error {
		if _, err := schema.Up(ctx); err != nil {
			return err
		}
		// The job queue has tables of its own in the same database.
		queue, err := rivermigrate.New(s.QueueDriver(), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		if _, err := queue.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
			return fmt.Errorf("job queue: %w", err)
		}
		return nil
	})
}

func (s *Store) migrateDown(ctx context.Context, version int64) error {
	return s.migrate(ctx, func(schema *goose.Provider) error {
		sources := schema.ListSources()
		if last := sources[len(sources)-1].Version; version < 0 || version > last {
			return fmt.Errorf("version %d is not known, want 0 to %d", version, last)
		}
		_, err := schema.DownTo(ctx, version)
		return err
	})
}

func (s *Store) migrate(ctx context.Context, change func(*goose.Provider) error) error {
	schema, err := s.schema()
	if err == nil {
		err = s.engine.alone(ctx, func() error { return change(schema) })
	}
	if err != nil {
		return fmt.Errorf("store: migrate %s: %w", s.engine.name(), err)
	}
	return nil
}

func (s *Store) migrations(ctx context.Context) ([]Migration, error) {
	schema, err := s.schema()
	if err != nil {
		return nil, err
	}
	statuses, err := schema.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("store: migrations of %s: %w", s.engine.name(), err)
	}
	all := make([]Migration, len(statuses))
	for i, status := range statuses {
		all[i] = Migration{Version: status.Source.Version, Name: status.Source.Path, Applied: status.State == goose.StateApplied}
	}
	return all, nil
}
