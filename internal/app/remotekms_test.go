package app_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/internal/app"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/kms/dstackkms/kmstest"
	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

func newDevKMS(t *testing.T) *kms.Dev {
	t.Helper()
	dev, err := kms.NewDev(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

// TestRemoteKMS serves environment keys from a dstack-kms over TLS: one trusted by the key in the settings, one by
// the key in its contract.
func TestRemoteKMS(t *testing.T) {
	ctx := t.Context()
	chain, err := devchain.Start(ctx, devchain.Config{DataDir: t.TempDir(), ListenAddr: "127.0.0.1:0", ChainID: devchain.DefaultChainID})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chain.Close() })
	write := onchain.WriteOptions{Backend: chain.Client(), ChainID: chain.ChainID().Uint64(), PrivateKey: chain.Accounts()[0].Key, PollInterval: time.Millisecond}
	contract, err := onchain.DeployKMS(ctx, onchain.DeployKMSRequest{WriteOptions: write})
	if err != nil {
		t.Fatal(err)
	}
	remote := &kmstest.Server{Keys: newDevKMS(t)}
	front := httptest.NewTLSServer(remote)
	t.Cleanup(front.Close)
	root := remote.Keys.K256PublicKey()

	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	config := app.DefaultConfig()
	config.DatabaseURL, config.Listen = "sqlite:"+filepath.Join(dir, "lockstep.db"), "127.0.0.1:0"
	config.KMS = []app.KMSConfig{
		{Slug: "off", Type: "phala", URL: front.URL, Version: "0.5.5", K256Pubkey: hex.EncodeToString(root[:]), CAFile: ca},
		{Slug: "on", Type: "base", URL: front.URL, Version: "0.5.5", InsecureSkipVerify: true,
			ChainID: chain.ChainID().Int64(), RPCURLs: []string{chain.RPCURL()}, ContractAddress: contract.KMSContract.Hex()},
	}
	server, err := app.Open(ctx, config, app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(context.Background()) })
	if _, err := server.Control.EnsureWorkspace(ctx, "dev", "dev"); err != nil {
		t.Fatal(err)
	}
	key, err := server.Control.CreateKey(ctx, "dev", "dev", []control.Scope{control.ScopeRead}, 0)
	if err != nil {
		t.Fatal(err)
	}
	client, err := lockstep.NewClient(lockstep.WithBaseURL(server.APIURL()), lockstep.WithAPIKey(key.Key), lockstep.WithRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	const appID = "00112233445566778899aabbccddeeff00112233"
	id, err := hex.DecodeString(appID)
	if err != nil {
		t.Fatal(err)
	}
	want, err := remote.Keys.AppEnvKey(ctx, [20]byte(id))
	if err != nil {
		t.Fatal(err)
	}
	served := func(slug string) {
		t.Helper()
		got, err := client.GetAppEnvEncryptPubKey(ctx, slug, appID)
		if err != nil || got.PublicKey != hex.EncodeToString(want.PublicKey[:]) || got.Signature != hex.EncodeToString(want.Signature[:]) {
			t.Errorf("KMS %s: key %+v, %v; want %x", slug, got, err, want.PublicKey)
		}
	}
	refused := func(slug, why string) {
		t.Helper()
		got, err := server.Control.EnvKey(ctx, slug, appID)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("KMS %s: key %x, %v; want an error with %q", slug, got.PublicKey, err, why)
		}
	}

	served("off")
	refused("on", "names no root key")
	if _, err := onchain.SetKMSInfo(ctx, write, contract.KMSContract, onchain.KMSInfo{K256Pubkey: root[:]}); err != nil {
		t.Fatal(err)
	}
	served("on")

	remote.Lie(kmstest.Lie{Signer: newDevKMS(t)})
	refused("off", "not signed by the trusted root key")
	refused("on", "not signed by the trusted root key")
	remote.Lie(kmstest.Lie{Skew: -time.Hour})
	refused("off", "not from now")
	remote.Lie(kmstest.Lie{Status: 502})
	refused("on", "unreachable")
	remote.Lie(kmstest.Lie{})
	served("off")
	served("on")
}

func TestRemoteKMSNeedsARootKey(t *testing.T) {
	config := app.DefaultConfig()
	config.DatabaseURL, config.Listen = "sqlite:"+filepath.Join(t.TempDir(), "lockstep.db"), "127.0.0.1:0"
	for want, c := range map[string]app.KMSConfig{
		"k256_pubkey":            {Slug: "off", Type: "phala", URL: "https://kms.test"},
		"want hex":               {Slug: "off", Type: "phala", URL: "https://kms.test", K256Pubkey: "xyz"},
		"no secp256k1 key":       {Slug: "off", Type: "phala", URL: "https://kms.test", K256Pubkey: "02"},
		"want https://HOST:PORT": {Slug: "off", Type: "phala", K256Pubkey: "0x0217610d74cbd39b6143842c6d8bc310d79da1d82cc9d17f8876376221eda0c38f"},
		"no such file or directory": {Slug: "off", Type: "phala", URL: "https://kms.test", CAFile: "/nonexistent/ca.pem",
			K256Pubkey: "0217610d74cbd39b6143842c6d8bc310d79da1d82cc9d17f8876376221eda0c38f"},
	} {
		config.KMS = []app.KMSConfig{c}
		server, err := app.Open(t.Context(), config, app.Options{})
		if err == nil {
			server.Close(context.Background())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}
