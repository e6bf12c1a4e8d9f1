package api

import (
	"encoding/json"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDecodeErrorForms(t *testing.T) {
	for _, tt := range []struct {
		name    string
		status  int
		body    string
		code    ErrorCode
		message string
	}{
		{"structured", 404, `{"error_code":"ERR-03-001","message":"no such CVM"}`, CodeCVMNotFound, "no such CVM"},
		{"structured in detail", 409, `{"detail":{"error_code":"ERR-03-007","message":"conflict"}}`, CodeCVMAppIDConflict, "conflict"},
		{"detail hides a code beside it", 409, `{"detail":"busy","error_code":"ERR-03-007","message":"x"}`, "", "busy"},
		{"text detail", 401, `{"detail":"no key"}`, "", "no key"},
		{"object detail with message", 400, `{"detail":{"message":"m"}}`, "", "m"},
		{"object detail of the device flow", 400, `{"detail":{"error":"slow_down"}}`, "", "slow_down"},
		{"one validation item", 422, `{"detail":[{"loc":["body","ports",0],"msg":"bad","type":"t"}]}`, "", "validation failed: ports.0: bad"},
		{"several validation items", 422, `{"detail":[{"msg":"a"},{"msg":"b"},"c"]}`, "", "validation failed: a (and 2 more)"},
		{"message without code", 500, `{"message":"m"}`, "", "m"},
		{"code without message", 400, `{"error_code":"ERR-01-001"}`, "", "the server answered with status 400"},
		{"null detail", 400, `{"detail":null}`, "", "the server answered with status 400"},
		{"number detail", 400, `{"detail":7}`, "", "the server answered with status 400"},
		{"empty", 502, ``, "", "the server answered with status 502"},
		{"html", 502, "<html><body>Bad Gateway</body></html>", "", "the server answered with status 502"},
		{"text", 503, "upstream connect error\n", "", "upstream connect error"},
		{"JSON string", 400, `"just text"`, "", "just text"},
		{"JSON null", 400, `null`, "", "null"},
		{"wrong types inside", 400, `{"error_code":5,"message":"m","details":{},"links":7}`, "", "m"},
		{"465 without code keeps its details", 465, `{"detail":{"details":[{"field":"app_id","value":"a"}]}}`, "", "the server answered with status 465"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := DecodeError(tt.status, []byte(tt.body))
			if e.Status != tt.status || e.ErrorCode != tt.code || e.Message != tt.message || e.Structured() != (tt.code != "") {
				t.Errorf("got %d %q %q, want code %q message %q", e.Status, e.ErrorCode, e.Message, tt.code, tt.message)
			}
			if tt.status == StatusHashRegistrationRequired {
				if v, ok := e.Lookup(DetailAppID); !ok || string(v) != `"a"` {
					t.Errorf("app_id = %s, %v", v, ok)
				}
			}
		})
	}
}

func TestDecodeErrorStructured(t *testing.T) {
	file, want := readJSON(t, "error_465.json")
	for _, body := range []string{string(file), `{"detail":` + string(file) + `}`} {
		e := DecodeError(465, []byte(body))
		out, err := json.Marshal(e.ErrorEnvelope)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(parse(t, out), want) {
			t.Errorf("envelope became %s", out)
		}
		if v, ok := e.Lookup("none"); ok {
			t.Errorf("unknown field = %s", v)
		}
	}
}

func TestDecodeErrorIsTolerantInside(t *testing.T) {
	e := DecodeError(400, []byte(`{"error_code":"X","message":"m","details":[1,null,{"field":7,"value":{"a":1},"message":null}],
		"suggestions":["s",1,null],"links":[{"url":"u"},"x",null],"request_id":9}`))
	if len(e.Details) != 1 || e.Details[0].Field != "" || string(e.Details[0].Value) != `{"a":1}` {
		t.Errorf("details = %+v", e.Details)
	}
	if !reflect.DeepEqual(e.Suggestions, []string{"s"}) || !reflect.DeepEqual(e.Links, []ErrorLink{{URL: "u"}}) {
		t.Errorf("suggestions %q, links %v", e.Suggestions, e.Links)
	}
}

func TestDecodeErrorBoundsText(t *testing.T) {
	e := DecodeError(500, []byte(strings.Repeat("ä", 100_000)))
	if len(e.Message) > maxErrorText+len("…") || !utf8.ValidString(e.Message) {
		t.Errorf("message has %d bytes", len(e.Message))
	}
}

func TestNewErrorDetail(t *testing.T) {
	if d := NewErrorDetail("f", map[string]int{"a": 1}); string(d.Value) != `{"a":1}` {
		t.Errorf("value = %s", d.Value)
	}
	if d := NewErrorDetail("f", math.Inf(1)); string(d.Value) != `"+Inf"` {
		t.Errorf("value = %s", d.Value)
	}
}

func TestCatalogue(t *testing.T) {
	codes, names := map[ErrorCode]bool{}, map[string]bool{}
	for _, info := range Catalogue() {
		if codes[info.Code] || names[info.Name] || info.Name == "" || info.Meaning == "" || info.Status < 400 {
			t.Errorf("bad or doubled entry %+v", info)
		}
		codes[info.Code], names[info.Name] = true, true
		if got := info.Code.HTTPStatus(); got != info.Status {
			t.Errorf("%s has status %d, want %d", info.Code, got, info.Status)
		}
	}
	if len(codes) != 40 {
		t.Errorf("%d codes, want 40", len(codes))
	}
	for code, status := range map[ErrorCode]int{
		CodeHashRegistrationRequired: 465, CodeHashInvalidOrExpired: 466, CodeTxVerificationFailed: 467, CodeHashNotAllowed: 468,
		CodeDuplicateCVMName: 409, CodeMultipleCVMsForIdentifier: 400, "ERR-99-999": 400,
	} {
		if got := code.HTTPStatus(); got != status {
			t.Errorf("%s has status %d, want %d", code, got, status)
		}
	}
}

func FuzzDecodeError(f *testing.F) {
	file, err := os.ReadFile("testdata/error_465.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(465, file)
	for _, s := range []string{`{"detail":"x"}`, `{"detail":[{"loc":["body",1],"msg":"m","type":"t"}]}`, `{"detail":{"error_code":"a","message":"b"}}`, `<html>`, `"x"`, `[]`, "\xff", ``} {
		f.Add(400, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := DecodeError(status, body)
		if e == nil || e.Message == "" || e.Status != status {
			t.Fatalf("DecodeError(%d, %q) = %+v", status, body, e)
		}
		if len(e.Detail) > 0 && !json.Valid(e.Detail) {
			t.Fatalf("detail is not JSON: %q", e.Detail)
		}
		// What was understood can be sent on, and is understood in the same way.
		if e.Structured() {
			out, err := json.Marshal(e.ErrorEnvelope)
			if err != nil {
				t.Fatal(err)
			}
			again := DecodeError(status, out)
			if again.ErrorCode != e.ErrorCode || again.Message != e.Message || len(again.Details) != len(e.Details) {
				t.Fatalf("%s → %s", body, out)
			}
		}
	})
}
