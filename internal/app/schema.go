package app

import (
	"context"

	"github.com/lockstep-cvm/lockstep/internal/store"
)

// Migrate brings the schema of a configuration's database up to date, or down to a version (nil: up), and
// tells how it then is.
func Migrate(ctx context.Context, config Config, downTo *int64) ([]store.Migration, error) {
	if downTo != nil {
		return store.MigrateDown(ctx, config.DatabaseURL, *downTo)
	}
	return store.Migrate(ctx, config.DatabaseURL)
}

// Migrations tells which steps of the schema a configuration's database has.
func Migrations(ctx context.Context, config Config) ([]store.Migration, error) {
	return store.Migrations(ctx, config.DatabaseURL)
}

// Backup copies the database of a configuration into a new file. A server may be working on it.
func Backup(ctx context.Context, config Config, file string) error {
	return store.Backup(ctx, config.DatabaseURL, file)
}
