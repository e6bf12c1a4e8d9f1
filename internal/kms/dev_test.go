package kms

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func newDev(t *testing.T) *Dev {
	t.Helper()
	dev, err := NewDev(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

func TestSignerKnownAnswer(t *testing.T) {
	var appID [20]byte
	key := EnvKey{
		PublicKey: [32]byte(unhex(t, "e33a1832c6562067ff8f844a61e51ad051f1180b66ec2551fb0251735f3ee90a")),
		Signature: [65]byte(unhex(t, "8542c49081fbf4e03f62034f13fbf70630bdf256a53032e38465a27c36fd6bed7a5e7111652004aef37f7fd92fbfc1285212c4ae6a6154203a48f5e16cad2cef00")),
	}
	signer, err := key.Signer(appID)
	if err != nil {
		t.Fatal(err)
	}
	const want = "0217610d74cbd39b6143842c6d8bc310d79da1d82cc9d17f8876376221eda0c38f"
	if hex.EncodeToString(signer[:]) != want {
		t.Errorf("signer is %x, want %s", signer, want)
	}
}

func TestAppEnvKeyIsSignedByTheRoot(t *testing.T) {
	dev := newDev(t)
	seen := map[[32]byte]bool{}
	for i := range 50 { // enough to meet both recovery ids
		appID := [20]byte{byte(i)}
		key, err := dev.AppEnvKey(t.Context(), appID)
		if err != nil {
			t.Fatal(err)
		}
		if key.Signature[64] > 1 {
			t.Errorf("recovery id is %d, want 0 or 1", key.Signature[64])
		}
		if signer, err := key.Signer(appID); err != nil || signer != dev.K256PublicKey() {
			t.Errorf("signer is %x, %v; want %x", signer, err, dev.K256PublicKey())
		}
		if signer, _ := key.Signer([20]byte{0xff}); signer == dev.K256PublicKey() {
			t.Error("the signature holds for another app")
		}
		if seen[key.PublicKey] {
			t.Error("two apps share a key")
		}
		seen[key.PublicKey] = true
	}
}

func TestAppEnvKeyAtCoversTheTime(t *testing.T) {
	dev := newDev(t)
	appID, at := [20]byte{7}, time.Unix(1_790_000_000, 0)
	key, err := dev.AppEnvKeyAt(t.Context(), appID, at)
	if err != nil {
		t.Fatal(err)
	}
	if signer, err := key.SignerAt(appID, at); err != nil || signer != dev.K256PublicKey() {
		t.Errorf("signer is %x, %v; want %x", signer, err, dev.K256PublicKey())
	}
	if signer, _ := key.SignerAt(appID, at.Add(time.Second)); signer == dev.K256PublicKey() {
		t.Error("the signature holds for another time")
	}
	if signer, _ := key.Signer(appID); signer == dev.K256PublicKey() {
		t.Error("the signature holds without a time")
	}
}

func TestSignerRefusesGarbage(t *testing.T) {
	for name, signature := range map[string][65]byte{
		"zero":              {},
		"recovery id":       {64: 4},
		"ethereum-style id": {64: 27},
	} {
		if _, err := (EnvKey{Signature: signature}).Signer([20]byte{}); !errors.Is(err, ErrBadSignature) {
			t.Errorf("%s: %v, want ErrBadSignature", name, err)
		}
	}
}

func TestNewDevIsMadeOfItsReader(t *testing.T) {
	seed := bytes.Repeat([]byte{0x42}, 64)
	one, err := NewDev(bytes.NewReader(seed))
	if err != nil {
		t.Fatal(err)
	}
	two, err := NewDev(bytes.NewReader(seed))
	if err != nil {
		t.Fatal(err)
	}
	if !one.rootCA.Equal(two.rootCA) || one.K256PublicKey() != two.K256PublicKey() {
		t.Error("the same bytes gave other keys")
	}
	if _, err := NewDev(bytes.NewReader(seed[:40])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a reader that ends: %v, want unexpected EOF", err)
	}
	for name, b := range map[string]byte{"zeros": 0, "values above the order": 0xff} {
		if _, err := NewDev(constant(b)); !errors.Is(err, errNoKey) {
			t.Errorf("a reader of %s: %v, want errNoKey", name, err)
		}
	}
}

// constant reads one byte for ever.
type constant byte

func (c constant) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c)
	}
	return len(p), nil
}

func TestCAPublicKey(t *testing.T) {
	dev := newDev(t)
	der, err := dev.CAPublicKey()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil || !dev.rootCA.PublicKey.Equal(parsed) || len(der) != 91 {
		t.Errorf("CA public key of %d bytes: %v", len(der), err)
	}
}

func TestOpenDevKeepsItsKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	one, err := OpenDev(dir, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	two, err := OpenDev(dir, constant(0)) // needs no randomness any more
	if err != nil {
		t.Fatal(err)
	}
	if !one.rootCA.Equal(two.rootCA) || one.K256PublicKey() != two.K256PublicKey() {
		t.Error("opened again, the keys are others")
	}
	for _, name := range []string{caKeyFile, k256KeyFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", name, info.Mode())
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("folder holds %v, want the two key files", entries)
	}
}

func TestOpenDevRefusesBrokenFiles(t *testing.T) {
	for _, test := range []struct{ file, content string }{
		{caKeyFile, ""},
		{caKeyFile, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
		{k256KeyFile, "not hex"},
		{k256KeyFile, "00"},
		{k256KeyFile, "0000000000000000000000000000000000000000000000000000000000000000"},
		{k256KeyFile, "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, test.file)
		if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenDev(dir, rand.Reader); err == nil {
			t.Errorf("OpenDev took %s with %q", test.file, test.content)
		}
		if kept, _ := os.ReadFile(path); string(kept) != test.content {
			t.Errorf("OpenDev changed a broken %s", test.file)
		}
	}
}

func TestOpenDevRace(t *testing.T) {
	dir := t.TempDir()
	var wait sync.WaitGroup
	devs := make([]*Dev, 8)
	for i := range devs {
		wait.Go(func() {
			var err error
			if devs[i], err = OpenDev(dir, rand.Reader); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if t.Failed() {
		return
	}
	for _, dev := range devs {
		if !dev.rootCA.Equal(devs[0].rootCA) || dev.K256PublicKey() != devs[0].K256PublicKey() {
			t.Error("two that opened at once have other keys")
		}
	}
}
