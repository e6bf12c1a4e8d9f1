package store

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

func TestBackupIsWhatWasCommitted(t *testing.T) {
	databaseURL := storetest.SQLite(t)
	s := open(t, databaseURL)
	defer s.Close()
	if err := insert(t, s, "before"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "copy.db")
	err := s.Write(t.Context(), func(ctx context.Context, tx *Tx) error {
		if err := tx.InsertWorkspace(ctx, workspace("during")); err != nil {
			return err
		}
		return Backup(ctx, databaseURL, file)
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file = %v, %v; want one that only its owner may read", info, err)
	}
	if err := Backup(t.Context(), databaseURL, file); err == nil || !strings.Contains(err.Error(), "there already") {
		t.Errorf("second backup = %v, want it refused", err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	restored := open(t, "sqlite:"+file)
	defer restored.Close()
	if got := slugs(t, restored); got != "before" {
		t.Errorf("the copy has %q, want what was committed when it was made", got)
	}
}

func TestBackupThatCannotBe(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.db")
	for url, want := range map[string]string{
		"sqlite:" + missing:           "no such file",
		"postgres://user@db.test/one": "pg_dump",
		"mysql://x":                   "sqlite:PATH",
	} {
		err := Backup(t.Context(), url, filepath.Join(t.TempDir(), "copy"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Backup(%s) = %v, want %q", url, err, want)
		}
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("the backup of a database that is not there created it")
	}
}
