package app_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/examples"
	"github.com/lockstep-cvm/lockstep/internal/app"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

// TestHostOfAServerThatRuns adds a host beside a running server, drains it, and starts the server again. A CVM
// on it stays there, and is updated all the while.
func TestHostOfAServerThatRuns(t *testing.T) {
	f := newFleet(t, storetest.SQLite(t))
	ctx := t.Context()
	admin, err := app.OpenNodes(ctx, f.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin.Close(); err != nil {
			t.Error(err)
		}
	})
	late := newHost(t, kms.AuthorizerFunc(f.authorize))
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(vmmToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	row, err := admin.Add(ctx, fmt.Appendf(nil, `{name: tdx-2, driver: dstack, device_id: "%s", dstack: {url: "%s", token_file: "%s"},
		images: [{name: dstack-0.5.5, version: [0, 5, 5]}]}`, hex.EncodeToString(device[:]), late.front.URL, token))
	if err != nil {
		t.Fatal(err)
	}
	const name = "late-cvm"
	reread := func() {
		t.Helper()
		if err := f.server.RereadNodes(ctx); err != nil {
			t.Fatal(err)
		}
	}
	update := func(version string) {
		t.Helper()
		if err := f.update(ctx, name, version); err != nil {
			t.Fatal(err)
		}
		f.check(name, version, row.ID)
	}
	reread()
	f.server.LookAtNodes(ctx) // nothing is configured about its capacity, so it has to say
	f.create(name, row.ID, api.KMSPhala)
	update(version("2"))

	if _, err := admin.Drain(ctx, "tdx-2", "new kernel"); err != nil {
		t.Fatal(err)
	}
	reread()
	wire := string(api.KMSPhala)
	_, err = f.server.Control.Provision(ctx, f.user, api.ProvisionRequest{
		Name: "one-more", KMS: &wire, TeepodID: &row.ID, ComposeFile: api.ComposeFile{DockerComposeFile: examples.ComposeV1},
	}, nil)
	if err == nil || !strings.Contains(err.Error(), "drained") {
		t.Errorf("a new CVM on a drained node: %v", err)
	}
	update(version("3"))
	if _, _, err := admin.Remove(ctx, "tdx-2", true); err == nil {
		t.Error("a node that answers was removed with its CVM")
	}

	f.close()
	f.serve()
	f.connect()
	update(version("4"))
}
