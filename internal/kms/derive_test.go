package kms

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"testing"
)

// upstreamRoot is the root key of the known-answer vector of dstack's key derivation.
const upstreamRoot = "f57527cea4ab7ffb49af99b158cdc0e3ec06398f528349ea236b7d2afe19cec1"

func rootKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), unhex(t, upstreamRoot))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	out, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDeriveDHKnownAnswer(t *testing.T) {
	got, err := deriveDH(rootKey(t), []byte("context one"), []byte("context two"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "663afd58820be8ad645f9c035e93199d114ab16f738db62393bc1d7d623e8813"
	if hex.EncodeToString(got[:]) != want {
		t.Errorf("secret is %x, want %s", got, want)
	}
}

func TestEnvKeyKnownAnswer(t *testing.T) {
	var appID [20]byte
	for i := range appID {
		appID[i] = 0x11
	}
	key, err := envPrivateKey(rootKey(t), appID)
	if err != nil {
		t.Fatal(err)
	}
	const private = "a7470db8cfdd0fe24134b461d60766afa7c078abe6dce9f2c8a5c44034ca400e"
	const public = "93cf259f68b24775d54290a8ea57cf93efc994d3ff28a7b8ba7a39e9f512302f"
	if got := hex.EncodeToString(key.Bytes()); got != private {
		t.Errorf("private key is %s, want %s", got, private)
	}
	if got := hex.EncodeToString(key.PublicKey().Bytes()); got != public {
		t.Errorf("public key is %s, want %s", got, public)
	}
}
