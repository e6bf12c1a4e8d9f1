package sim_test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

func seal(t *testing.T, dev *kms.Dev, env []kms.EnvVar) []byte {
	t.Helper()
	app, err := hex.DecodeString(appID)
	if err != nil {
		t.Fatal(err)
	}
	key, err := dev.AppEnvKey(t.Context(), [20]byte(app))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := kms.EncryptEnv(rand.Reader, key.PublicKey, env)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestEncryptedEnv(t *testing.T) {
	dev, err := kms.NewDev(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	many := make([]kms.EnvVar, 1025)
	big := make([]kms.EnvVar, 9)
	for i := range many {
		many[i] = kms.EnvVar{Key: fmt.Sprintf("K%d", i)}
	}
	for i := range big {
		big[i] = kms.EnvVar{Key: "A", Value: strings.Repeat("v", 120<<10)}
	}
	for name, test := range map[string]struct {
		allowed []string
		env     []byte
		failure string   // beginning of the boot error, or
		names   string   // what the container's log tells
		console []string // what the console tells
	}{
		"allowed ones only": {
			allowed: []string{"TOKEN", "A", "ABSENT"},
			env:     seal(t, dev, []kms.EnvVar{{Key: "TOKEN", Value: "s3cret-1"}, {Key: "EVIL", Value: "s3cret-2"}, {Key: "A", Value: "s3cret-3"}, {Key: "A", Value: "s3cret-4"}}),
			names:   "web: environment has A, TOKEN\n",
			console: []string{"encrypted env: 4 variables, 1 not in allowed_envs"},
		},
		"none":                             {env: nil},
		"empty":                            {env: seal(t, dev, nil), console: []string{"encrypted env: 0 variables, 0 not in allowed_envs"}},
		"bad name that is not allowed":     {env: seal(t, dev, []kms.EnvVar{{Key: "a b", Value: "s3cret"}}), console: []string{"encrypted env: 1 variables, 1 not in allowed_envs"}},
		"bad name that is allowed":         {allowed: []string{"1A"}, env: seal(t, dev, []kms.EnvVar{{Key: "1A", Value: "s3cret"}}), failure: `failed to decrypt env: invalid name "1A"`},
		"long name":                        {allowed: []string{strings.Repeat("K", 256)}, env: seal(t, dev, []kms.EnvVar{{Key: strings.Repeat("K", 256)}}), failure: "failed to decrypt env: invalid name"},
		"long value":                       {allowed: []string{"A"}, env: seal(t, dev, []kms.EnvVar{{Key: "A", Value: strings.Repeat("s", 128<<10+1)}}), failure: "failed to decrypt env: value of A has 131073 bytes"},
		"many":                             {env: seal(t, dev, many), failure: "failed to decrypt env: 1025 variables"},
		"big file":                         {allowed: []string{"A"}, env: seal(t, dev, big), failure: "failed to decrypt env: file has"},
		"not encrypted to this app":        {env: make([]byte, 100), failure: "failed to decrypt env: kms: environment cannot be decrypted"},
		"not even as long as a ciphertext": {env: []byte("x"), failure: "failed to decrypt env: kms: environment cannot be decrypted"},
	} {
		t.Run(name, func(t *testing.T) {
			node := open(t, sim.Config{EnvDecrypter: dev})
			doc := document(t, webCompose, func(f map[string]any) { f["allowed_envs"] = test.allowed })
			create(t, node, doc)
			if err := node.Apply(t.Context(), cvmID, runtime.Config{Document: doc, EncryptedEnv: test.env}); err != nil {
				t.Fatal(err)
			}
			status := boot(t, node)
			console := readLog(t, node, runtime.LogOptions{})
			for _, line := range test.console {
				if !strings.Contains(console, line) {
					t.Errorf("console is %q, want %q in it", console, line)
				}
			}
			if strings.Contains(console, "s3cret") || strings.Contains(fmt.Sprintf("%+v", status), "s3cret") {
				t.Error("a value got out")
			}
			if test.failure != "" {
				if status.State != runtime.StateExited || !strings.HasPrefix(status.BootError, test.failure) {
					t.Errorf("status %+v, want exited with %q", status, test.failure)
				}
				return
			}
			log := readLog(t, node, runtime.LogOptions{Container: "web"})
			if status.State != runtime.StateRunning || !strings.Contains(log, test.names) || strings.Contains(log, "environment has") != (test.names != "") {
				t.Errorf("status %+v, log %q, want %q", status, log, test.names)
			}
			if strings.Contains(log, "s3cret") {
				t.Error("a value got out")
			}
		})
	}
}

func TestEncryptedEnvWithoutKeys(t *testing.T) {
	node := open(t, sim.Config{})
	doc := document(t, webCompose, nil)
	create(t, node, doc)
	if err := node.Apply(t.Context(), cvmID, runtime.Config{Document: doc, EncryptedEnv: []byte("whatever")}); err != nil {
		t.Fatal(err)
	}
	if status := boot(t, node); status.State != runtime.StateRunning {
		t.Errorf("status: %+v", status)
	}
	if console := readLog(t, node, runtime.LogOptions{}); !strings.Contains(console, "left alone") {
		t.Errorf("console is %q", console)
	}
}
