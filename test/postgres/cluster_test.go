package postgres

import (
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// TestStart starts a cluster, reaches it, closes it, and reaches it no more.
func TestStart(t *testing.T) {
	if _, err := program("initdb"); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	dir, err := os.MkdirTemp("", "lockstep-postgres-") // not t.TempDir, through which another user may not pass
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cluster, err := Start(t.Context(), filepath.Join(dir, "pg"))
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(cluster.URL)
	if err != nil {
		t.Fatal(err)
	}
	reach := func() error {
		conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", address.Host)
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	if err := reach(); err != nil {
		t.Errorf("a cluster that was started is not reached: %v", err)
	}
	if err := cluster.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if reach() == nil {
		t.Error("a closed cluster takes connections")
	}
}
