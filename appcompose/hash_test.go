package appcompose_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lockstep-cvm/lockstep/appcompose"
)

const someHash = "1120e42a7b5f2ca50128696ea414771441b4fa92373427108a7173181cc80b55"

func TestHashIsOfTheBytes(t *testing.T) {
	doc := []byte(`{"runner":"docker-compose"}`)
	if got := appcompose.Hash(doc).String(); got != someHash {
		t.Errorf("got %s, want %s", got, someHash)
	}
	// The same document with a final newline, as an editor saves it, is another.
	if got := appcompose.Hash(append(doc, '\n')).String(); got != "3b5ffe5f36addec8dbae4ca44302657a1f0f78934ffbea1ff387f8290b12d131" {
		t.Errorf("with a final newline: got %s", got)
	}
}

func TestParseComposeHash(t *testing.T) {
	upper := strings.ToUpper(someHash)
	for _, text := range []string{someHash, upper, "0x" + someHash, "0X" + upper, "0x" + upper} {
		h, err := appcompose.ParseComposeHash(text)
		if err != nil || h.String() != someHash || h.Hex0x() != "0x"+someHash || h.IsZero() {
			t.Errorf("%q: got %s, %v", text, h, err)
		}
	}
	for _, text := range []string{
		"", "0x", someHash[1:], someHash + "0", "x" + someHash[1:], "0x0x" + someHash[4:], " " + someHash,
		someHash + "\n", strings.Repeat("é", 32), strings.Repeat("g", 64), strings.Repeat("0", 1<<20),
	} {
		_, err := appcompose.ParseComposeHash(text)
		var typed *appcompose.InvalidHashError
		if !errors.As(err, &typed) || !errors.Is(err, appcompose.ErrInvalidHash) {
			t.Fatalf("%.80q: got %v, want an InvalidHashError", text, err)
		}
		if !strings.HasPrefix(text, strings.TrimSuffix(typed.Value, "…")) || len(err.Error()) > 1000 {
			t.Errorf("the error must name the value, shortened: %.200v", err)
		}
	}
	if !(appcompose.ComposeHash{}).IsZero() {
		t.Error("32 zero bytes must be zero")
	}
}

func TestComposeHashTextForms(t *testing.T) {
	h, _ := appcompose.ParseComposeHash(someHash)
	b, err := json.Marshal(map[string]appcompose.ComposeHash{"h": h})
	if err != nil || string(b) != `{"h":"`+someHash+`"}` {
		t.Errorf("got %s, %v", b, err)
	}
	var back map[string]appcompose.ComposeHash
	if err := json.Unmarshal([]byte(`{"h":"0X`+strings.ToUpper(someHash)+`"}`), &back); err != nil || back["h"] != h {
		t.Errorf("got %v, %v", back, err)
	}
	v, err := h.Value()
	if err != nil || v != someHash {
		t.Errorf("got %v, %v", v, err)
	}
	for _, src := range []any{someHash, []byte("0x" + someHash)} {
		var got appcompose.ComposeHash
		if err := got.Scan(src); err != nil || got != h {
			t.Errorf("scan %v: got %s, %v", src, got, err)
		}
	}
	for _, src := range []any{nil, 1, []byte("zz"), h[:]} {
		got := h
		if err := got.Scan(src); !errors.Is(err, appcompose.ErrInvalidHash) || got != h {
			t.Errorf("scan %v: got %s, %v, want an error and the old value", src, got, err)
		}
	}
}

func TestComposeHashRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h appcompose.ComposeHash
		copy(h[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
		for _, text := range []string{h.String(), h.Hex0x(), strings.ToUpper(h.String())} {
			if got, err := appcompose.ParseComposeHash(text); err != nil || got != h {
				t.Fatalf("%q: got %s, %v", text, got, err)
			}
		}
	})
}

func FuzzParseComposeHash(f *testing.F) {
	for _, seed := range []string{someHash, "0x" + someHash, "0X" + strings.ToUpper(someHash), "", "0x", "0x0X" + someHash[4:]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := appcompose.ParseComposeHash(text)
		if err != nil {
			if !errors.Is(err, appcompose.ErrInvalidHash) || !h.IsZero() {
				t.Fatalf("got %s, %v", h, err)
			}
			return
		}
		digits := strings.TrimPrefix(strings.ToLower(text), "0x")
		if h.String() != digits {
			t.Fatalf("%q became %s", text, h)
		}
	})
}

// document150KB is a canonical document whose Compose text is 150 KB of lines
// as they are in real ones.
func document150KB(tb testing.TB) []byte {
	tb.Helper()
	line := "      - NAME=value with \"quotes\", <tags> & more\n"
	text := "services:\n  web:\n    image: nginx\n    environment:\n" + strings.Repeat(line, 150<<10/len(line))
	d, err := appcompose.New(appcompose.Spec{Name: "bench", DockerComposeFile: text})
	if err != nil {
		tb.Fatal(err)
	}
	return d.Bytes()
}

func BenchmarkHash150KB(b *testing.B) {
	doc := document150KB(b)
	b.SetBytes(int64(len(doc)))
	var sink appcompose.ComposeHash
	for b.Loop() {
		sink = appcompose.Hash(doc)
	}
	if sink.IsZero() {
		b.Fatal("no hash")
	}
}

func BenchmarkRawSHA256(b *testing.B) {
	doc := document150KB(b)
	b.SetBytes(int64(len(doc)))
	var sink [32]byte
	for b.Loop() {
		sink = sha256.Sum256(doc)
	}
	if bytes.Equal(sink[:], make([]byte, 32)) {
		b.Fatal("no hash")
	}
}
