package lockstep

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

func applyTo(t *testing.T, f *fakeCloud) (*Client, *fakeClock) {
	t.Helper()
	return serve(t, f.ServeHTTP, WithRetries(0), WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}))
}

func steps(events *[]ApplyStep) func(ApplyEvent) {
	return func(e ApplyEvent) { *events = append(*events, e.Step) }
}

func (f *fakeCloud) check(t *testing.T, result *ApplyResult, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	spent := 1
	if f.offChain {
		spent = 0
	}
	if f.running != testCompose || f.rollouts != 1 || f.spent != spent {
		t.Errorf("runs %q after %d rollouts and %d transactions", f.running, f.rollouts, f.spent)
	}
	if result.CVM == nil || result.ComposeHash != composeHash(testCompose) {
		t.Errorf("result = %+v", result)
	}
}

func TestApply(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup func(*fakeCloud)
		want  []ApplyStep
	}{
		{"on chain", func(f *fakeCloud) {}, []ApplyStep{StepPropose, StepApprove, StepConfirm, StepAccepted, StepWaiting, StepWaiting, StepDone}},
		{"off chain", func(f *fakeCloud) { f.offChain = true }, []ApplyStep{StepPropose, StepAccepted, StepWaiting, StepWaiting, StepDone}},
		{"busy", func(f *fakeCloud) { f.rolling, f.ticks = oldCompose, 3 }, []ApplyStep{StepPropose, StepBusy, StepBusy, StepApprove, StepConfirm, StepAccepted, StepWaiting, StepWaiting, StepDone}},
		{"the server's view of the chain is behind", func(f *fakeCloud) { f.lag = 2 }, []ApplyStep{StepPropose, StepApprove, StepConfirm, StepUnproven, StepConfirm, StepUnproven, StepConfirm, StepAccepted, StepWaiting, StepWaiting, StepDone}},
		{"the same with 468", func(f *fakeCloud) { f.lag, f.proofCode = 1, 468 }, []ApplyStep{StepPropose, StepApprove, StepConfirm, StepUnproven, StepConfirm, StepAccepted, StepWaiting, StepWaiting, StepDone}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeCloud()
			tt.setup(f)
			c, _ := applyTo(t, f)
			var got []ApplyStep
			result, err := c.Apply(t.Context(), ApplyRequest{CVM: "my-app", Compose: testCompose, Approver: f, Wait: true, Progress: steps(&got)})
			f.check(t, result, err)
			if !slices.Equal(got, tt.want) {
				t.Errorf("steps %v, want %v", got, tt.want)
			}
		})
	}
}

// Apply dies at every request, before or after the server worked on it, with and without a
// checkpoint, twice in a row; the calls after that finish the update with one transaction and one
// rollout.
func TestApplySurvivesACrashAtEveryRequest(t *testing.T) {
	for _, offChain := range []bool{false, true} {
		for _, withCheckpoint := range []bool{true, false} {
			for _, beforeWork := range []bool{true, false} {
				name := fmt.Sprintf("offChain=%v/checkpoint=%v/beforeWork=%v", offChain, withCheckpoint, beforeWork)
				t.Run(name, func(t *testing.T) {
					for first := 0; crashTwice(t, offChain, withCheckpoint, beforeWork, first); first++ {
					}
				})
			}
		}
	}
}

// crashTwice reports whether the first crash happened before the update was done.
func crashTwice(t *testing.T, offChain, withCheckpoint, beforeWork bool, first int) bool {
	var crashed bool
	for second := range 6 {
		f := newFakeCloud()
		f.offChain, f.beforeWork = offChain, beforeWork
		c, _ := applyTo(t, f)
		req := ApplyRequest{CVM: "my-app", Compose: testCompose, Approver: f, Wait: true}
		if withCheckpoint {
			req.Checkpoint = &memoryCheckpoint{crashAt: -1}
		}
		var result *ApplyResult
		var err error
		for _, crash := range []int{first, second} {
			ctx, cancel := context.WithCancel(t.Context())
			f.mu.Lock()
			f.crash, f.crashAt = cancel, f.requests+crash
			f.mu.Unlock()
			result, err = c.Apply(ctx, req)
			cancel()
			if err == nil {
				break
			}
			crashed = true
		}
		f.mu.Lock()
		f.crashAt = -1
		f.mu.Unlock()
		if err != nil {
			result, err = c.Apply(t.Context(), req)
		}
		f.check(t, result, err)
	}
	return crashed && !t.Failed() && first < 20
}

// The process dies around every save of the checkpoint.
func TestApplySurvivesACrashAtEverySave(t *testing.T) {
	for _, kept := range []bool{true, false} {
		for at := 0; ; at++ {
			f := newFakeCloud()
			c, _ := applyTo(t, f)
			store := &memoryCheckpoint{crashAt: at, kept: kept}
			req := ApplyRequest{CVM: "my-app", Compose: testCompose, Approver: f, Wait: true, Checkpoint: store}
			_, err := c.Apply(t.Context(), req)
			if err == nil {
				if at < 3 {
					t.Fatalf("only %d saves", at)
				}
				break
			}
			if !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			result, err := c.Apply(t.Context(), req)
			f.check(t, result, err)
			if store.rec != nil {
				t.Errorf("the checkpoint is left: %+v", store.rec)
			}
		}
	}
}

// The transaction is mined, and the process dies before the approver returns.
func TestApplySurvivesACrashInsideTheApprover(t *testing.T) {
	f := newFakeCloud()
	c, _ := applyTo(t, f)
	store := &memoryCheckpoint{crashAt: -1}
	var asked []Approval
	req := ApplyRequest{CVM: "my-app", Compose: testCompose, Wait: true, Checkpoint: store, Approver: ApproverFunc(func(ctx context.Context, a Approval) (string, error) {
		asked = append(asked, a)
		tx, err := f.Approve(ctx, a)
		if len(asked) == 1 {
			return tx, errors.Join(err, errKilled)
		}
		return tx, err
	})}
	if _, err := c.Apply(t.Context(), req); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	result, err := c.Apply(t.Context(), req)
	f.check(t, result, err)
	if len(asked) != 2 || asked[0].AskedBefore || asked[0].PreviousTransaction != "" || !asked[1].AskedBefore || asked[1].PreviousTransaction != fmt.Sprintf("0x%064x", 1) {
		t.Errorf("asked %+v", asked)
	}
}

func TestApplyGoesStraightToPhase2WithASavedTransaction(t *testing.T) {
	f := newFakeCloud()
	c, _ := applyTo(t, f)
	store := NewFileCheckpoint(filepath.Join(t.TempDir(), "update.json"))
	ctx, cancel := context.WithCancel(t.Context())
	req := ApplyRequest{CVM: "my-app", Compose: testCompose, Approver: ApproverFunc(func(ctx context.Context, a Approval) (string, error) {
		defer cancel() // dies after the approval was saved
		return f.Approve(ctx, a)
	}), Checkpoint: store}
	if _, err := c.Apply(ctx, req); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	var got []ApplyStep
	req.Progress, req.Wait = steps(&got), true
	result, err := c.Apply(t.Context(), req)
	f.check(t, result, err)
	if want := []ApplyStep{StepConfirm, StepAccepted, StepWaiting, StepWaiting, StepDone}; !slices.Equal(got, want) {
		t.Errorf("steps %v, want %v", got, want)
	}
	if result.TransactionHash != fmt.Sprintf("0x%064x", 1) || result.CorrelationID != "op" {
		t.Errorf("result %+v", result)
	}
}

func TestApplyBeginsAgainWhenTheServerForgot(t *testing.T) {
	f := newFakeCloud()
	c, _ := applyTo(t, f)
	store := &memoryCheckpoint{crashAt: -1}
	req := ApplyRequest{CVM: "my-app", Compose: testCompose, Wait: true, Checkpoint: store, Approver: ApproverFunc(func(ctx context.Context, a Approval) (string, error) {
		tx, err := f.Approve(ctx, a)
		f.mu.Lock()
		defer f.mu.Unlock()
		clear(f.candidates) // 14 days pass
		return tx, err
	})}
	var got []ApplyStep
	req.Progress = steps(&got)
	result, err := c.Apply(t.Context(), req)
	f.check(t, result, err)
	if want := []ApplyStep{StepPropose, StepApprove, StepConfirm, StepRestart, StepPropose, StepConfirm, StepAccepted, StepWaiting, StepWaiting, StepDone}; !slices.Equal(got, want) {
		t.Errorf("steps %v, want %v", got, want)
	}
}

func TestApplyGivesUpOnAProofThatIsNeverSeen(t *testing.T) {
	f := newFakeCloud()
	f.lag = 1 << 30
	c, clock := applyTo(t, f)
	begin := clock.Now()
	store := &memoryCheckpoint{crashAt: -1}
	req := ApplyRequest{CVM: "my-app", Compose: testCompose, Approver: f, Checkpoint: store, ProofPatience: 20 * time.Second}
	if _, err := c.Apply(t.Context(), req); !errors.Is(err, ErrTxVerificationFailed) {
		t.Fatal(err)
	}
	if waited := clock.Now().Sub(begin); waited < 20*time.Second || waited > 45*time.Second {
		t.Errorf("waited %v", waited)
	}
	// The next run asks again, and the approver hears of the transaction.
	f.lag = 0
	var asked Approval
	req.Approver = ApproverFunc(func(ctx context.Context, a Approval) (string, error) { asked = a; return f.Approve(ctx, a) })
	req.Wait = true
	result, err := c.Apply(t.Context(), req)
	f.check(t, result, err)
	if !asked.AskedBefore || asked.PreviousTransaction != fmt.Sprintf("0x%064x", 1) {
		t.Errorf("asked %+v", asked)
	}
}

// TestApplySaysWhyItWaitedWhenItsTimeEnds: the end of the context alone would not tell what to do.
func TestApplySaysWhyItWaitedWhenItsTimeEnds(t *testing.T) {
	f := newFakeCloud()
	f.lag, f.proofCode = 1<<30, 468
	c, _ := applyTo(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.crash, f.crashAt, f.beforeWork = cancel, 2, true // phase 1, phase 2 refused, phase 2 cut off
	_, err := c.Apply(ctx, ApplyRequest{CVM: "my-app", Compose: testCompose, Approver: f})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrHashNotAllowed) {
		t.Errorf("Apply = %v, want the end of the context and the last refusal", err)
	}
}

func TestApplyNeedsNoApproverWhenTheContractAllowsTheHash(t *testing.T) {
	f := newFakeCloud()
	f.saysOnWire = true
	f.allowed[composeHash(testCompose)] = true
	f.spent = 1 // by somebody else
	c, _ := applyTo(t, f)
	result, err := c.Apply(t.Context(), ApplyRequest{CVM: "my-app", Compose: testCompose, Wait: true})
	f.check(t, result, err)
	if result.TransactionHash != AlreadyRegistered {
		t.Errorf("transaction %q", result.TransactionHash)
	}
}

func TestApplyWithoutApprover(t *testing.T) {
	f := newFakeCloud()
	c, _ := applyTo(t, f)
	_, err := c.Apply(t.Context(), ApplyRequest{CVM: "my-app", Compose: testCompose})
	var need *ApprovalRequiredError
	if !errors.As(err, &need) || !errors.Is(err, ErrHashRegistrationRequired) || need.Precondition.ComposeHash != composeHash(testCompose) {
		t.Errorf("err = %v", err)
	}
}

func TestApplyRefusesAnApproversNonsense(t *testing.T) {
	f := newFakeCloud()
	c, _ := applyTo(t, f)
	for _, answer := range []string{"", "0x12", "done"} {
		var field *FieldError
		_, err := c.Apply(t.Context(), ApplyRequest{CVM: "my-app", Compose: testCompose, Approver: ApproverFunc(func(context.Context, Approval) (string, error) { return answer, nil })})
		if !errors.As(err, &field) || field.Field != "transaction_hash" {
			t.Errorf("answer %q: %v", answer, err)
		}
	}
	if f.rollouts != 0 {
		t.Errorf("%d rollouts", f.rollouts)
	}
}

func TestApplyTellsOfAFailedRollout(t *testing.T) {
	f := newFakeCloud()
	f.rollFails = true
	c, _ := applyTo(t, f)
	req := ApplyRequest{CVM: "my-app", Compose: testCompose, Approver: f, Wait: true, Checkpoint: &memoryCheckpoint{crashAt: -1}}
	_, err := c.Apply(t.Context(), req)
	var failed *RolloutError
	if !errors.As(err, &failed) || failed.ComposeHash != composeHash(oldCompose) || failed.Want != composeHash(testCompose) || failed.Status != api.StatusRunning {
		t.Fatalf("err = %v", err)
	}
	// Tried again, the approval still stands.
	f.rollFails, f.rollouts = false, 0
	result, err := c.Apply(t.Context(), req)
	f.check(t, result, err)
}

func TestApplyEndsWhenAnAcceptedUpdateHasNoEffect(t *testing.T) {
	h, _ := script(answer{status: 202, body: `{"status":"in_progress","message":"","correlation_id":"op"}`})
	c, clock := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "PATCH" {
			h(w, r)
			return
		}
		fmt.Fprint(w, `{"id":"cvm_1","name":"my-app","status":"running","compose_hash":"old","resource":{},"gateway":{}}`)
	})
	begin := clock.Now()
	_, err := c.Apply(t.Context(), ApplyRequest{CVM: "my-app", Compose: testCompose, Wait: true, SettlePatience: 10 * time.Second})
	var failed *RolloutError
	if !errors.As(err, &failed) || clock.Now().Sub(begin) < 10*time.Second {
		t.Errorf("err = %v after %v", err, clock.Now().Sub(begin))
	}
}

func TestApplyStopsAtFinalErrors(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		want   error
	}{
		{409, `{"error_code":"ERR-03-007","message":"conflict"}`, ErrConflict},
		{404, `{"error_code":"ERR-03-001","message":"no CVM"}`, ErrNotFound},
		{401, `{"detail":"no key"}`, ErrUnauthorized},
	} {
		h, calls := script(answer{status: tt.status, body: tt.body})
		c, _ := serve(t, h)
		if _, err := c.Apply(t.Context(), ApplyRequest{CVM: "my-app", Compose: testCompose}); !errors.Is(err, tt.want) || calls() != 1 {
			t.Errorf("err = %v after %d requests", err, calls())
		}
	}
}

func TestApplyIgnoresTheCheckpointOfAnotherUpdate(t *testing.T) {
	f := newFakeCloud()
	c, _ := applyTo(t, f)
	store := &memoryCheckpoint{crashAt: -1, rec: &CheckpointRecord{API: c.BaseURL(), CVM: "my-app", ComposeSHA256: sha256Hex([]byte("other")), ComposeHash: testHash, TransactionHash: testTx, Accepted: true}}
	result, err := c.Apply(t.Context(), ApplyRequest{CVM: "my-app", Compose: testCompose, Approver: f, Wait: true, Checkpoint: store})
	f.check(t, result, err)
}

func TestFileCheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "update.json")
	f := NewFileCheckpoint(path)
	if r, err := f.Load(); r != nil || err != nil {
		t.Fatalf("without a file: %v, %v", r, err)
	}
	want := CheckpointRecord{API: "a", CVM: "c", ComposeSHA256: "s", ComposeHash: "h", Asked: true, TransactionHash: "t", PreviousTransaction: "p", Accepted: true, CorrelationID: "o"}
	for range 2 {
		if err := f.Save(&want); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if got, err := f.Load(); err != nil || *got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("files %v, %v", left, err)
	}
	for range 2 {
		if err := f.Clear(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := f.Load(); err == nil {
		t.Errorf("a broken file gives %+v", r)
	}
	if err := NewFileCheckpoint(filepath.Join(t.TempDir(), "none", "x")).Save(&want); err == nil {
		t.Error("saved into a folder that does not exist")
	}
}
