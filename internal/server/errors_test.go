package server_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/problem"
)

var errSecret = errors.New("secret cause")

func TestEveryKindOfProblem(t *testing.T) {
	h := newHarness(t)
	for _, tt := range []struct {
		kind   problem.Kind
		code   api.ErrorCode // as the domain sets it
		status int
		sent   string // error_code; empty for a bare error
	}{
		{problem.KindInvalid, api.CodeInvalidRequest, 400, "ERR-02-008"},
		{problem.KindInvalid, "", 400, ""},
		{problem.KindUnprocessable, api.CodeInvalidComposeFile, 422, "ERR-01-003"},
		{problem.KindUnprocessable, "", 422, "ERR-02-008"}, // a bare 422 is unknown to the clients
		{problem.KindTooLarge, api.CodeInvalidComposeFile, 413, "ERR-01-003"},
		{problem.KindUnsupportedMedia, api.CodeComposeFileRequired, 400, "ERR-01-002"},
		{problem.KindUnauthenticated, "", 401, ""},
		{problem.KindUnauthenticated, api.CodeCVMAccessDenied, 401, ""},
		{problem.KindForbidden, "", 403, ""},
		{problem.KindForbidden, api.CodeTeepodNotAccessible, 403, ""},
		{problem.KindNotFound, api.CodeCVMNotFound, 404, "ERR-03-001"},
		{problem.KindNotFound, "", 404, ""},
		{problem.KindBusy, "", 409, ""},
		{problem.KindBusy, api.CodeDuplicateCVMName, 409, ""}, // a code would make it final
		{problem.KindHashRequired, api.CodeHashRegistrationRequired, 465, "ERR-01-005"},
		{problem.KindHashInvalid, api.CodeHashInvalidOrExpired, 466, "ERR-01-006"},
		{problem.KindHashInvalid, "", 466, "ERR-01-006"},
		{problem.KindTxUnverified, api.CodeTxVerificationFailed, 467, "ERR-01-007"},
		{problem.KindTxUnverified, "", 467, "ERR-01-007"},
		{problem.KindHashNotAllowed, api.CodeHashNotAllowed, 468, "ERR-01-008"},
		{problem.KindHashNotAllowed, "", 468, "ERR-01-008"},
		{problem.KindUnavailable, "", 503, ""},
		{problem.KindInternal, "", 500, ""},
		{problem.KindInternal, api.CodeGPUAllocationError, 500, ""},
		{"a kind of tomorrow", "", 500, ""},
	} {
		t.Run(fmt.Sprintf("%s %s", tt.kind, tt.code), func(t *testing.T) {
			h.domain.update = func(control.ComposeUpdate) (control.Outcome, error) {
				p := problem.New(tt.kind, tt.code, "what happened").Because(errSecret).Suggest("do this")
				if tt.kind == problem.KindHashRequired {
					p.With("compose_hash", strings.Repeat("ab", 32), "").With("app_id", strings.Repeat("cd", 20), "").
						With("device_id", strings.Repeat("ef", 32), "").With("kms_info", api.KMSInfo{ID: "kms_1"}, "")
				} else {
					p.With("a", map[string]any{"line": 3}, "an object").With("b", nil, "")
				}
				return control.Outcome{}, fmt.Errorf("wrapped: %w", p)
			}
			got := h.patch("my-app", yamlTwo, api.HeaderRequestID, "my.request-1").want(t, tt.status)
			if strings.Contains(string(got.body), errSecret.Error()) {
				t.Errorf("the cause leaks: %s", got.body)
			}
			if tt.sent != "" {
				got.want(t, tt.status, "error_code", tt.sent, "message", "what happened", "request_id", "my.request-1",
					"suggestions.0", "do this", "detail", nil)
				return
			}
			got.want(t, tt.status, "error_code", nil, "message", nil)
			want := "what happened"
			if tt.status == 500 {
				want = "internal error"
			}
			got.want(t, tt.status, "detail", want)
		})
	}
	if log := h.log.String(); !strings.Contains(log, errSecret.Error()) || !strings.Contains(log, "my.request-1") {
		t.Error("the log does not have the cause with the request id")
	}
}

func TestFinalConflict(t *testing.T) {
	h := newHarness(t)
	again := h.provision("my-app", "PHALA")
	h.create("my-app", "PHALA")
	h.do("POST", base+"/cvms", fmt.Sprintf(`{"app_id":%q,"compose_hash":%q}`, again.text(t, "app_id"), again.text(t, "compose_hash"))).
		want(t, 409, "error_code", "ERR-01-004")
}

func TestUnknownErrorsSayNothing(t *testing.T) {
	h := newHarness(t)
	h.domain.update = func(control.ComposeUpdate) (control.Outcome, error) { return control.Outcome{}, errSecret }
	got := h.patch("my-app", yamlTwo).want(t, 500, "detail", "internal error")
	if got.text(t, "request_id") != got.header.Get(api.HeaderRequestID) || strings.Contains(string(got.body), "secret") {
		t.Errorf("got %s", got.body)
	}
}

// TestDatabaseThatIsAway is no fault of the request, and clients may repeat it.
func TestDatabaseThatIsAway(t *testing.T) {
	h := newHarness(t)
	h.domain.update = func(control.ComposeUpdate) (control.Outcome, error) {
		return control.Outcome{}, fmt.Errorf("read update: %w", &net.OpError{Op: "dial", Err: errSecret})
	}
	got := h.patch("my-app", yamlTwo).want(t, 503, "error_code", nil, "detail", "the database does not answer; try again")
	if got.header.Get("Retry-After") != "1" || strings.Contains(string(got.body), errSecret.Error()) {
		t.Errorf("Retry-After %q, body %s", got.header.Get("Retry-After"), got.body)
	}
	// What the domain knows better stays as it says.
	h.domain.update = func(control.ComposeUpdate) (control.Outcome, error) {
		return control.Outcome{}, problem.New(problem.KindHashInvalid, "", "no").Because(&net.OpError{Op: "dial", Err: errSecret})
	}
	h.patch("my-app", yamlTwo).want(t, 466)
}

func TestDetailThatIsNoJSON(t *testing.T) {
	h := newHarness(t)
	h.domain.update = func(control.ComposeUpdate) (control.Outcome, error) {
		return control.Outcome{}, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "no").With("n", math.NaN(), "")
	}
	h.patch("my-app", yamlTwo).want(t, 400, "details.0.value", "NaN")
}

func TestPanicIsAnAnswer(t *testing.T) {
	h := newHarness(t)
	h.domain.update = func(control.ComposeUpdate) (control.Outcome, error) { panic("a bug with a secret") }
	got := h.patch("my-app", yamlTwo).want(t, 500, "detail", "internal error")
	if strings.Contains(string(got.body), "secret") {
		t.Errorf("the panic leaks: %s", got.body)
	}
	if log := h.log.String(); !strings.Contains(log, "a bug with a secret") || !strings.Contains(log, "errors_test.go") {
		t.Error("the log does not have the panic with its stack")
	}
}

// A client that does not wait is no fault of the server.
func TestClientThatLeaves(t *testing.T) {
	h := newHarness(t)
	began, seen := make(chan struct{}), make(chan error, 1)
	h.domain.setCVM(func(ctx context.Context) (*control.CVM, error) {
		close(began)
		<-ctx.Done()
		seen <- ctx.Err()
		return nil, fmt.Errorf("read: %w", ctx.Err())
	})
	ctx, cancel := context.WithCancel(t.Context())
	request := h.request(ctx, "GET", base+"/cvms/my-app")
	done := make(chan error, 1)
	go func() {
		response, err := h.client.Do(request)
		if err == nil {
			err = response.Body.Close()
		}
		done <- err
	}()
	<-began
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v", err)
	}
	if err := <-seen; !errors.Is(err, context.Canceled) {
		t.Errorf("the domain got %v", err)
	}
	h.listener.Close() // waits for the handler
	if log := h.log.String(); strings.Contains(log, "request failed") || !strings.Contains(log, `"status":499`) {
		t.Errorf("logged as a failure: %s", log)
	}
}
