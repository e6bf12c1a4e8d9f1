package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Backup copies the database at a URL into a new file, as it is at one moment; a server may be working
// on it. A file that is there is not overwritten. PostgreSQL has its own means, and the error names them.
func Backup(ctx context.Context, rawURL, file string) error {
	engine, err := engineFor(rawURL)
	if err != nil {
		return err
	}
	return engine.backup(ctx, file)
}

// backup writes the copy beside its place first: a file under the name that was asked for is whole.
func (e sqliteEngine) backup(ctx context.Context, file string) (err error) {
	if _, err := os.Stat(e.path); err != nil {
		return fmt.Errorf("store: backup: %w", err) // opening it would create it
	}
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("store: backup: %s is there already; choose another name", file)
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("store: backup: %w", err)
	}
	folder, err := os.MkdirTemp(filepath.Dir(file), ".lockstep-backup-")
	if err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	whole := filepath.Join(folder, "db")
	db, err := sql.Open("sqlite", e.dsn("deferred"))
	if err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	_, err = db.ExecContext(ctx, `VACUUM INTO ?`, whole)
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	if err := settle(whole); err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	if err := os.Link(whole, file); err != nil { // fails when somebody else made the file meanwhile
		return fmt.Errorf("store: backup: %w", err)
	}
	return nil
}

// settle puts a file on disk that only its owner may read: it has the hashes of keys.
func settle(file string) (err error) {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return errors.Join(f.Chmod(0o600), f.Sync())
}
