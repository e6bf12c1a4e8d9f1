package prpc_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lockstep-cvm/lockstep/internal/prpc"
)

func TestBytes(t *testing.T) {
	for text, want := range map[string][]byte{`"00ff"`: {0, 255}, `"AbCd"`: {0xab, 0xcd}, `""`: nil, `null`: nil} {
		var got prpc.Bytes
		if err := json.Unmarshal([]byte(text), &got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v; want %x", text, got, err, want)
		}
	}
	for _, text := range []string{`"0x00"`, `"0"`, `"zz"`, `[0]`, `5`, `{}`} {
		var got prpc.Bytes
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s: %x, want an error", text, got)
		}
	}
	if text, err := json.Marshal(prpc.Bytes{0, 255}); err != nil || string(text) != `"00ff"` {
		t.Errorf("%s, %v", text, err)
	}
}

func FuzzErrorText(f *testing.F) {
	f.Add([]byte(`{"error":"VM not found"}`))
	f.Add([]byte("\xff"))
	f.Add([]byte(strings.Repeat("ü", prpc.MaxErrorText)))
	f.Fuzz(func(t *testing.T, body []byte) {
		got := prpc.ErrorText(body)
		if got == "" || !utf8.ValidString(got) || len(got) > prpc.MaxErrorText+len(" …") {
			t.Errorf("%q became %q", body, got)
		}
	})
}
