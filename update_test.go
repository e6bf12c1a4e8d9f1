package lockstep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
)

const (
	testApp     = "50b0e7ba1fe5e4e6a2ffcf5e9e44aa53d0b78cc1"
	testCompose = "services:\n  web:\n    image: nginx:1.29\n"
	testKMS     = `{"id":"kms_1","slug":"base","url":"u","version":"1","chain_id":8453,"kms_contract_address":"0x2f83","gateway_app_id":null}`
)

var (
	testHash   = strings.Repeat("ab", 32)
	testTx     = "0x" + strings.Repeat("12", 32)
	testDevice = strings.Repeat("ef", 32)
)

func details(pairs ...string) string {
	var items []string
	for i := 0; i < len(pairs); i += 2 {
		items = append(items, fmt.Sprintf(`{"field":%q,"value":%s}`, pairs[i], pairs[i+1]))
	}
	return "[" + strings.Join(items, ",") + "]"
}

func quoted(s string) string { return `"` + s + `"` }

func body465(details string) string {
	return `{"error_code":"ERR-01-005","message":"register it","details":` + details + `,"suggestions":["call addComposeHash"]}`
}

func TestUpdatePhase1And2(t *testing.T) {
	full := details("compose_hash", quoted("0x"+strings.ToUpper(testHash)), "app_id", quoted("0x"+testApp), "device_id", quoted(testDevice),
		"kms_info", testKMS, "commit_token", `"tok"`, "commit_url", `"cu"`, "api_commit_url", `"acu"`,
		"onchain_status", `{"compose_hash_allowed":false,"device_id_allowed":true,"is_allowed":false}`, "new_in_2030", `[1]`)
	for _, wrap := range []string{"%s", `{"detail":%s}`} {
		var seen []*http.Request
		c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body) // checked below
			if string(b) != testCompose || r.Method != "PATCH" || r.URL.Path != "/api/v1/cvms/app_"+testApp+"/docker-compose" || r.Header.Get("Content-Type") != "text/yaml" {
				t.Errorf("%s %s %q %v", r.Method, r.URL, b, r.Header)
			}
			seen = append(seen, r)
			if r.Header.Get(api.HeaderComposeHash) == "" {
				w.WriteHeader(465)
				fmt.Fprintf(w, wrap, body465(full))
				return
			}
			w.WriteHeader(202)
			fmt.Fprint(w, `{"status":"in_progress","message":"on it","correlation_id":"op_1"}`)
		})
		result, err := c.UpdateDockerCompose(t.Context(), testApp, testCompose)
		if err != nil {
			t.Fatal(err)
		}
		p, ok := result.(*Precondition)
		if !ok {
			t.Fatalf("phase 1 = %T", result)
		}
		if p.ComposeHash != testHash || p.AppID != testApp || p.DeviceID != testDevice || p.KMS.ID != "kms_1" || *p.KMS.ChainID != 8453 ||
			p.CommitToken != "tok" || p.CommitURL != "cu" || p.APICommitURL != "acu" || p.Onchain == nil || !p.Onchain.DeviceIDAllowed ||
			p.Message != "register it" || len(p.Suggestions) != 1 {
			t.Errorf("precondition = %+v", p)
		}
		result, err = c.UpdateDockerCompose(t.Context(), testApp, testCompose, WithComposeHash("0x"+p.ComposeHash), WithTransactionHash(strings.ToUpper(testTx[2:])))
		if err != nil {
			t.Fatal(err)
		}
		if r, ok := result.(*InProgress); !ok || r.CorrelationID != "op_1" || r.Message != "on it" {
			t.Errorf("phase 2 = %#v", result)
		}
		h := seen[1].Header
		if h.Get(api.HeaderComposeHash) != testHash || h.Get(api.HeaderTransactionHash) != testTx {
			t.Errorf("proof headers = %v", h)
		}
		if _, sent := seen[0].Header[http.CanonicalHeaderKey(api.HeaderTransactionHash)]; sent {
			t.Error("phase 1 sends a transaction hash")
		}
	}
}

func TestUpdateAnswersThatAreNotWhatTheAPIPromises(t *testing.T) {
	hash, app, kms := quoted(testHash), quoted(testApp), testKMS
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"other status text", 202, `{"status":"done","message":"m","correlation_id":"c"}`, `status is "done"`},
		{"a precondition with 200", 200, `{"status":"precondition_required","compose_hash":"x"}`, "status is"},
		{"no correlation id", 202, `{"status":"in_progress","message":"m"}`, "correlation_id"},
		{"empty 202", 202, ``, "not a JSON object"},
		{"null 202", 202, `null`, "not a JSON object"},
		{"array 202", 202, `[]`, "not a JSON object"},
		{"wrong type", 202, `{"status":7}`, "status"},
		{"cut off", 202, `{"status":"in_pro`, "JSON"},
		{"465 without details", 465, `{"error_code":"ERR-01-005","message":"m"}`, "details"},
		{"465 with an object", 465, body465(`{"compose_hash":"x"}`), "details"},
		{"465 as text", 465, `{"detail":"register"}`, "details"},
		{"465 without hash", 465, body465(details("app_id", app, "kms_info", kms)), "compose_hash"},
		{"465 without app", 465, body465(details("compose_hash", hash, "kms_info", kms)), "app_id"},
		{"465 without KMS", 465, body465(details("compose_hash", hash, "app_id", app)), "kms_info"},
		{"465 with null KMS", 465, body465(details("compose_hash", hash, "app_id", app, "kms_info", "null")), "kms_info"},
		{"465 with text KMS", 465, body465(details("compose_hash", hash, "app_id", app, "kms_info", `"{}"`)), "kms_info"},
		{"465 with a short hash", 465, body465(details("compose_hash", `"abcd"`, "app_id", app, "kms_info", kms)), "compose_hash"},
		{"465 with a number", 465, body465(details("compose_hash", `5`, "app_id", app, "kms_info", kms)), "compose_hash"},
		{"465 with bad onchain_status", 465, body465(details("compose_hash", hash, "app_id", app, "kms_info", kms, "onchain_status", `"yes"`)), "onchain_status"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, _ := script(answer{status: tt.status, body: tt.body})
			c, _ := serve(t, h)
			result, err := c.UpdateDockerCompose(t.Context(), "my-app", testCompose)
			var unexpected *ResponseError
			if result != nil || !errors.As(err, &unexpected) || !strings.Contains(unexpected.Reason, tt.want) {
				t.Errorf("result %v, err %v, want a ResponseError about %q", result, err, tt.want)
			}
			if isRefusal := errors.Is(err, ErrHashRegistrationRequired); isRefusal != (tt.status == 465) {
				t.Errorf("errors.Is(err, 465) = %v", isRefusal)
			}
		})
	}
}

func TestUpdateChecksInputBeforeItSends(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was sent", r.Method, r.URL) })
	for _, tt := range []struct {
		name, cvm, compose string
		opts               []UpdateOption
		field              string
	}{
		{"empty", "my-app", "", nil, "compose"},
		{"blank", "my-app", " \n\t", nil, "compose"},
		{"too large", "my-app", strings.Repeat("a", api.MaxComposeSize+1), nil, "compose"},
		{"not UTF-8", "my-app", "a: \xff", nil, "compose"},
		{"no CVM", "", testCompose, nil, "cvm"},
		{"bad hash", "my-app", testCompose, []UpdateOption{WithComposeHash("abc")}, "compose_hash"},
		{"bad transaction", "my-app", testCompose, []UpdateOption{WithComposeHash(testHash), WithTransactionHash("0x12")}, "transaction_hash"},
		{"empty transaction", "my-app", testCompose, []UpdateOption{WithComposeHash(testHash), WithTransactionHash("")}, "transaction_hash"},
		{"transaction without hash", "my-app", testCompose, []UpdateOption{WithTransactionHash(testTx)}, "compose_hash"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var field *FieldError
			_, err := c.UpdateDockerCompose(t.Context(), tt.cvm, tt.compose, tt.opts...)
			if !errors.As(err, &field) || field.Field != tt.field || field.Seen == "" || field.Expected == "" {
				t.Errorf("err = %v, want a FieldError of %s", err, tt.field)
			}
		})
	}
}

func TestUpdateTakesTheLargestFileAndTheSentinel(t *testing.T) {
	h, _ := script(answer{status: 202, body: `{"status":"in_progress","message":"","correlation_id":"c"}`})
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get(api.HeaderTransactionHash); got != api.AlreadyRegistered {
			t.Errorf("transaction header = %q", got)
		}
		h(w, r)
	})
	if _, err := c.UpdateDockerCompose(t.Context(), "my-app", strings.Repeat("a", api.MaxComposeSize), WithComposeHash(testHash), WithTransactionHash(AlreadyRegistered)); err != nil {
		t.Error(err)
	}
}

type panickyTransport struct{}

func (panickyTransport) RoundTrip(*http.Request) (*http.Response, error) { panic("boom") }

func TestSafeUpdate(t *testing.T) {
	h, _ := script(answer{status: 202, body: `{"status":"in_progress","message":"m","correlation_id":"c"}`}, answer{status: 468, body: `{"error_code":"ERR-01-008","message":"no"}`})
	c, _ := serve(t, h)
	r := c.SafeUpdateDockerCompose(t.Context(), "my-app", testCompose)
	if _, ok := r.Data.(*InProgress); !r.Success || !ok || r.Error != nil {
		t.Errorf("success = %+v", r)
	}
	r = c.SafeUpdateDockerCompose(t.Context(), "my-app", testCompose)
	if r.Success || r.Data != nil || !errors.Is(r.Error, ErrHashNotAllowed) {
		t.Errorf("refusal = %+v", r)
	}
	if data, err := r.Unwrap(); data != nil || err != r.Error {
		t.Errorf("Unwrap = %v, %v", data, err)
	}
	if r = c.SafeUpdateDockerCompose(t.Context(), "", ""); r.Success || r.Error == nil {
		t.Errorf("bad input = %+v", r)
	}
	c, _ = serve(t, h, WithHTTPClient(&http.Client{Transport: panickyTransport{}}))
	var panicked *PanicError
	if r = c.SafeUpdateDockerCompose(context.Background(), "my-app", testCompose); r.Success || !errors.As(r.Error, &panicked) {
		t.Errorf("panic = %+v", r)
	}
}

func TestErrorForms(t *testing.T) {
	for _, tt := range []struct {
		name    string
		status  int
		body    string
		is      error
		message string
		check   func(*APIError) bool
	}{
		{"401 text", 401, `{"detail":"no key"}`, ErrUnauthorized, "no key", (*APIError).IsAuth},
		{"403 text", 403, `{"detail":"not yours"}`, ErrUnauthorized, "not yours", (*APIError).IsAuth},
		{"404 structured", 404, `{"error_code":"ERR-03-001","message":"no CVM"}`, ErrNotFound, "no CVM", func(e *APIError) bool {
			return e.HasErrorCode(api.CodeNodeNotFound, api.CodeCVMNotFound) && !e.HasErrorCode(api.CodeNodeNotFound) && e.IsBusiness()
		}},
		{"409 bare", 409, `{"detail":"busy"}`, ErrConflict, "busy", (*APIError).IsRetryable},
		{"409 coded", 409, `{"error_code":"ERR-01-004","message":"taken"}`, ErrConflict, "taken", func(e *APIError) bool { return !e.IsRetryable() }},
		{"422", 422, `{"detail":[{"loc":["body","name"],"msg":"too short","type":"t"}]}`, nil, "validation failed: name: too short", func(e *APIError) bool {
			return e.IsValidation() && e.Validation[0].Field() == "name"
		}},
		{"466", 466, `{"error_code":"ERR-01-006","message":"expired"}`, ErrHashInvalidOrExpired, "expired", (*APIError).IsStructured},
		{"467", 467, `{"error_code":"ERR-01-007","message":"reverted"}`, ErrTxVerificationFailed, "reverted", (*APIError).IsBusiness},
		{"468", 468, `{"detail":{"error_code":"ERR-01-008","message":"not there"}}`, ErrHashNotAllowed, "not there", (*APIError).IsStructured},
		{"500 html", 500, `<h1>oops</h1>`, nil, "the server answered with status 500", (*APIError).IsServer},
		{"500 empty", 500, ``, nil, "the server answered with status 500", (*APIError).IsServer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, _ := script(answer{status: tt.status, body: tt.body, header: map[string]string{"X-Request-Id": "req_9"}})
			c, _ := serve(t, h, WithRetries(0))
			_, err := c.UpdateDockerCompose(t.Context(), "my-app", testCompose)
			var e *APIError
			if !errors.As(err, &e) || e.StatusCode != tt.status || e.Message != tt.message || e.Body != tt.body || e.RequestID != "req_9" || e.Headers == nil {
				t.Fatalf("err = %+v", err)
			}
			if !tt.check(e) {
				t.Errorf("check fails for %+v", e)
			}
			for _, sentinel := range []error{ErrHashRegistrationRequired, ErrHashInvalidOrExpired, ErrTxVerificationFailed, ErrHashNotAllowed, ErrNotFound, ErrUnauthorized, ErrConflict} {
				if got := errors.Is(err, sentinel); got != (sentinel == tt.is) {
					t.Errorf("errors.Is(err, %v) = %v", sentinel, got)
				}
			}
		})
	}
}

func TestFormatError(t *testing.T) {
	e := &APIError{
		Operation: "PATCH /x", StatusCode: 422, ErrorCode: "ERR-01-003", Message: "bad file", RequestID: "r1",
		Details:     []api.ErrorDetail{{Field: "line", Value: json.RawMessage("3"), Message: "here"}, {Field: "note"}},
		Suggestions: []string{"fix it"}, Links: []api.ErrorLink{{URL: "https://example.org", Label: "docs"}},
		Validation: []api.ValidationItem{{Loc: []any{"body", "name"}, Msg: "short"}},
	}
	const want = "lockstep: PATCH /x: 422 ERR-01-003: bad file (request r1)\n  line: 3 (here)\n  note: \n  name: short\n  → fix it\n  docs: https://example.org"
	if got := e.FormatError(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
