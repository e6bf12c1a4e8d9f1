package postgrestest

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestStart starts a cluster of each kind, reaches it, closes it, and reaches it no more.
func TestStart(t *testing.T) {
	for name, options := range map[string]Options{"socket": {}, "durable, on a port": {TCP: true, Durable: true}} {
		t.Run(name, func(t *testing.T) {
			c, err := Start(t.Context(), options)
			if errors.Is(err, ErrNotInstalled) {
				t.Skipf("NOT TESTED: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			reach := func() (fsync string, err error) {
				conn, err := pgx.Connect(context.Background(), c.URL)
				if err != nil {
					return "", err
				}
				defer conn.Close(context.Background())
				return fsync, conn.QueryRow(context.Background(), "SHOW fsync").Scan(&fsync)
			}
			if fsync, err := reach(); err != nil || (fsync == "on") != options.Durable {
				t.Errorf("fsync is %q, %v", fsync, err)
			}
			if err := c.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if _, err := reach(); err == nil {
				t.Error("a closed cluster takes connections")
			}
			if _, err := os.Stat(c.folder); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("its folder: %v", err)
			}
		})
	}
}
