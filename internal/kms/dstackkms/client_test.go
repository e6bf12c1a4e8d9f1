package dstackkms_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/kms/dstackkms"
	"github.com/lockstep-cvm/lockstep/internal/kms/dstackkms/kmstest"
)

var app = [20]byte{1, 2, 3}

func newDev(t testing.TB) *kms.Dev {
	t.Helper()
	dev, err := kms.NewDev(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

// setup is a KMS and a client that trusts it.
func setup(t *testing.T, change func(*dstackkms.Config)) (*kmstest.Server, *dstackkms.Client) {
	t.Helper()
	server := &kmstest.Server{Keys: newDev(t)}
	front := httptest.NewTLSServer(server)
	t.Cleanup(front.Close)
	root := server.Keys.K256PublicKey()
	anchor, err := dstackkms.Pinned(root[:])
	if err != nil {
		t.Fatal(err)
	}
	config := dstackkms.Config{URL: front.URL, Anchor: anchor, TLS: front.Client().Transport.(*http.Transport).TLSClientConfig}
	if change != nil {
		change(&config)
	}
	client, err := dstackkms.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return server, client
}

func TestAppEnvKey(t *testing.T) {
	server, client := setup(t, func(c *dstackkms.Config) { c.URL += "/prpc/" })
	got, err := client.AppEnvKey(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	want, err := server.Keys.AppEnvKey(t.Context(), app)
	if err != nil || got != want {
		t.Errorf("key %+v, want %+v (%v)", got, want, err)
	}
	meta, err := client.Meta(t.Context())
	root := server.Keys.K256PublicKey()
	if err != nil || string(meta.K256Pubkey) != string(root[:]) {
		t.Errorf("meta %+v, %v; want the root key %x", meta, err, root)
	}
}

func TestAppEnvKeyRefuses(t *testing.T) {
	other := newDev(t)
	for name, test := range map[string]struct {
		lie  kmstest.Lie
		want error
		text string
	}{
		"another KMS":            {kmstest.Lie{Signer: other}, dstackkms.ErrWrongSigner, "trusted is"},
		"time signed by another": {kmstest.Lie{StampSigner: other}, dstackkms.ErrWrongSigner, "over the time"},
		"the key of another app": {kmstest.Lie{OtherApp: true}, dstackkms.ErrWrongSigner, ""},
		"a key nobody signed":    {kmstest.Lie{SwapKeyBytes: true}, dstackkms.ErrWrongSigner, ""},
		"an old answer":          {kmstest.Lie{Skew: -301 * time.Second}, dstackkms.ErrStale, "clocks"},
		"an answer from ahead":   {kmstest.Lie{Skew: 62 * time.Second}, dstackkms.ErrStale, "clocks"},
		"no time":                {kmstest.Lie{Unstamped: true}, dstackkms.ErrStale, "signature_v1"},
		"a refusal":              {kmstest.Lie{Refuse: "App not allowed"}, dstackkms.ErrRefused, "App not allowed"},
		"a proxy":                {kmstest.Lie{Status: http.StatusBadGateway}, dstackkms.ErrUnreachable, "502"},
		"a web page":             {kmstest.Lie{Body: "<html>"}, dstackkms.ErrMalformed, ""},
		"an empty answer":        {kmstest.Lie{Body: "{}"}, dstackkms.ErrMalformed, "public_key"},
		"bytes that are no hex":  {kmstest.Lie{Body: `{"public_key":"zz"}`}, dstackkms.ErrMalformed, "hex"},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := setup(t, nil)
			server.Lie(test.lie)
			key, err := client.AppEnvKey(t.Context(), app)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%v, want %v with %q", err, test.want, test.text)
			}
			if err == nil {
				t.Errorf("key %+v was taken", key)
			}
		})
	}
}

func TestTimesWithinBounds(t *testing.T) {
	for _, skew := range []time.Duration{-298 * time.Second, 0, 58 * time.Second} {
		server, client := setup(t, nil)
		server.Lie(kmstest.Lie{Skew: skew})
		if _, err := client.AppEnvKey(t.Context(), app); err != nil {
			t.Errorf("skew %s: %v", skew, err)
		}
	}
}

func TestUnstampedCanBeAllowed(t *testing.T) {
	server, client := setup(t, func(c *dstackkms.Config) { c.AllowUnstamped = true })
	server.Lie(kmstest.Lie{Unstamped: true})
	if _, err := client.AppEnvKey(t.Context(), app); err != nil {
		t.Error(err)
	}
	server.Lie(kmstest.Lie{Unstamped: true, Signer: newDev(t)})
	if _, err := client.AppEnvKey(t.Context(), app); !errors.Is(err, dstackkms.ErrWrongSigner) {
		t.Errorf("%v, want ErrWrongSigner", err)
	}
}

// TestAnchorIsReadAgain plays a KMS contract whose owner publishes another root key.
func TestAnchorIsReadAgain(t *testing.T) {
	first, second := newDev(t), newDev(t)
	published, reads := first.K256PublicKey(), 0
	read := func(context.Context) ([]byte, error) { reads++; return published[:], nil }
	now := time.Now()
	server, client := setup(t, func(c *dstackkms.Config) {
		c.Anchor = dstackkms.Cached(read, time.Minute, func() time.Time { return now })
	})
	server.Lie(kmstest.Lie{Signer: first})
	for range 3 {
		if _, err := client.AppEnvKey(t.Context(), app); err != nil {
			t.Fatal(err)
		}
	}
	if reads != 1 {
		t.Errorf("the contract was read %d times, want once", reads)
	}
	server.Lie(kmstest.Lie{Signer: second})
	if _, err := client.AppEnvKey(t.Context(), app); !errors.Is(err, dstackkms.ErrWrongSigner) {
		t.Errorf("a key that is not published: %v, want ErrWrongSigner", err)
	}
	published = second.K256PublicKey()
	if _, err := client.AppEnvKey(t.Context(), app); err != nil {
		t.Errorf("after it was published: %v", err)
	}
	failing := errors.New("no chain")
	broken := dstackkms.Cached(func(context.Context) ([]byte, error) { return nil, failing }, time.Minute, time.Now)
	if _, err := broken(t.Context(), false); !errors.Is(err, failing) {
		t.Errorf("%v, want %v", err, failing)
	}
	unset := dstackkms.Cached(func(context.Context) ([]byte, error) { return nil, nil }, time.Minute, time.Now)
	if _, err := unset(t.Context(), false); !errors.Is(err, dstackkms.ErrNoRootKey) {
		t.Errorf("%v, want ErrNoRootKey", err)
	}
}

func TestUnreachable(t *testing.T) {
	anchor := func(context.Context, bool) ([]byte, error) { return nil, errors.New("is not asked") }
	client, err := dstackkms.New(dstackkms.Config{URL: "http://127.0.0.1:1", Anchor: anchor})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.AppEnvKey(t.Context(), app); !errors.Is(err, dstackkms.ErrUnreachable) {
		t.Errorf("%v, want ErrUnreachable", err)
	}
	for _, url := range []string{"", "kms.test", "ftp://kms.test", "https://user@kms.test", "https://kms.test/?a=b", "unix:/x"} {
		if _, err := dstackkms.New(dstackkms.Config{URL: url, Anchor: anchor}); err == nil {
			t.Errorf("URL %q was taken", url)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	dev := newDev(f)
	key, err := dev.AppEnvKey(f.Context(), app)
	if err != nil {
		f.Fatal(err)
	}
	good, err := json.Marshal(dstackkms.PublicKeyResponse{PublicKey: key.PublicKey[:], Signature: key.Signature[:]})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	f.Add(`{"public_key":null,"timestamp":-1}`)
	f.Add(`[]`)
	server := &kmstest.Server{Keys: dev}
	front := httptest.NewServer(server)
	f.Cleanup(front.Close)
	root := dev.K256PublicKey()
	anchor, err := dstackkms.Pinned(root[:])
	if err != nil {
		f.Fatal(err)
	}
	client, err := dstackkms.New(dstackkms.Config{URL: front.URL, Anchor: anchor, AllowUnstamped: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) {
		server.Lie(kmstest.Lie{Body: body})
		got, err := client.AppEnvKey(context.Background(), app)
		if err == nil && body != "" && got.PublicKey != key.PublicKey {
			t.Errorf("a key was taken that the root did not sign: %x", got.PublicKey)
		}
	})
}
