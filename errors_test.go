package lockstep

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

// A person who reads only the message must learn what is wrong and with what.
func TestErrorMessages(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want []string
	}{
		{&RolloutError{CVM: "my-app", Status: api.StatusRunning, ComposeHash: "old", Want: "new", CorrelationID: "op"}, []string{"my-app", "running", "old", "new", "op"}},
		{&ApprovalRequiredError{"my-app", &Precondition{ComposeHash: "h", AppID: "a"}}, []string{"my-app", "hash h", "app a", "no approver"}},
		{&ResponseError{"GET /x", 200, "no JSON"}, []string{"GET /x", "200", "no JSON"}},
		{&TransportError{"GET /x", context.DeadlineExceeded}, []string{"GET /x", "deadline"}},
		{&PanicError{"boom"}, []string{"panic", "boom"}},
		{&FieldError{Field: "f", Seen: "s", Expected: "e"}, []string{"f: got s, want e"}},
	} {
		for _, word := range tt.want {
			if !strings.Contains(tt.err.Error(), word) {
				t.Errorf("%q does not say %q", tt.err, word)
			}
		}
	}
}

func TestSystemClock(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := (systemClock{}).Sleep(ctx, time.Nanosecond); err != nil {
		t.Errorf("Sleep = %v", err)
	}
	cancel(errKilled)
	if err := (systemClock{}).Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) && !errors.Is(err, errKilled) {
		t.Errorf("Sleep after the end = %v", err)
	}
	if (systemClock{}).Now().IsZero() {
		t.Error("Now is zero")
	}
}

// After a rollout was seen at work, its failure is told at once and not after the patience.
func TestAFailedRolloutIsToldAtOnce(t *testing.T) {
	f := newFakeCloud()
	f.rollFails = true
	c, clock := applyTo(t, f)
	begin := clock.Now()
	_, err := c.Apply(t.Context(), ApplyRequest{CVM: "my-app", Compose: testCompose, Approver: f, Wait: true, SettlePatience: time.Hour})
	var failed *RolloutError
	if !errors.As(err, &failed) || clock.Now().Sub(begin) > time.Minute {
		t.Errorf("err = %v after %v", err, clock.Now().Sub(begin))
	}
}

// A proof with which the server asks for a proof makes Apply begin again once, not for ever.
func TestApplyIsNotLedInCircles(t *testing.T) {
	body := body465(details("compose_hash", quoted(testHash), "app_id", quoted(testApp), "kms_info", testKMS))
	h, calls := script(answer{status: 465, body: body})
	c, _ := serve(t, h)
	var asked int
	_, err := c.Apply(t.Context(), ApplyRequest{CVM: "my-app", Compose: testCompose, Approver: ApproverFunc(func(context.Context, Approval) (string, error) {
		asked++
		return testTx, nil
	})})
	if !errors.Is(err, errAskedAgain) || asked != 1 || calls() != 4 {
		t.Errorf("err = %v, asked %d times, %d requests", err, asked, calls())
	}
}

// While waiting, a server that is away for a moment is waited for; a lost key is not.
func TestWaitingOutlivesAServerThatIsAway(t *testing.T) {
	accepted := answer{status: 202, body: `{"status":"in_progress","message":"","correlation_id":"op"}`}
	cvm := answer{status: 200, body: `{"id":"cvm_1","name":"my-app","status":"running","resource":{},"gateway":{}}`}
	file := answer{status: 200, header: map[string]string{"Content-Type": "text/yaml"}, body: testCompose}
	h, calls := script(accepted, answer{status: 502}, answer{status: 409}, cvm, file)
	c, _ := serve(t, h, WithRetries(0))
	result, err := c.Apply(t.Context(), ApplyRequest{CVM: "my-app", Compose: testCompose, Wait: true})
	if err != nil || result.CVM == nil || calls() != 5 {
		t.Errorf("%+v, %v after %d requests", result, err, calls())
	}
	h, _ = script(accepted, answer{status: 401, body: `{"detail":"revoked"}`})
	c, _ = serve(t, h, WithRetries(0))
	if _, err := c.Apply(t.Context(), ApplyRequest{CVM: "my-app", Compose: testCompose, Wait: true}); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("err = %v", err)
	}
}
