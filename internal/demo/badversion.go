package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/examples"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

const (
	badApproved = "bad version: it is approved and accepted like any other"
	badFails    = "bad version: it does not boot, and the guest says why"
	badBack     = "bad version: the previous version runs again by itself"
)

// badVersion is a document that its owner approved and that does not boot.
func (s *story) badVersion() chapter {
	p := &proposal{compose: badCompose()}
	var booting, goingBack *sim.Armed
	var before runtime.Status
	return chapter{"A version that does not boot", []step{
		{badApproved, []string{onChainRolled}, func(ctx context.Context) (_ string, err error) {
			if p.compose == examples.ComposeV2 {
				return "", errors.New("the bad version is the good one; nothing would be shown")
			}
			if before, err = s.node.Status(ctx, s.onChain.VMUUID); err != nil {
				return "", err
			}
			s.request(&s.onChain, p.compose)
			if p.demanded, err = s.demanded(ctx, &s.onChain, p.compose); err != nil {
				return "", err
			}
			s.demand(p.demanded)
			if _, err := s.approve(ctx, &s.onChain, p); err != nil {
				return "", err
			}
			booting = s.faults.HoldStage(s.onChain.VMUUID, sim.StageBooting)
			defer func() {
				if err != nil {
					booting.Disarm() // nobody comes to release it
				}
			}()
			return s.phaseTwo(ctx, &s.onChain, p)
		}},
		{badFails, []string{badApproved}, func(ctx context.Context) (string, error) {
			defer booting.Disarm()
			if err := struck(ctx, booting); err != nil {
				return "", err
			}
			// The next start clears the boot error, so the way back is held until it has been read.
			goingBack = s.faults.Add(sim.Fault{CVM: s.onChain.VMUUID, Call: sim.CallApply, Hold: true})
			defer goingBack.Disarm()
			booting.Release()
			if err := struck(ctx, goingBack); err != nil {
				return "", err
			}
			state, err := s.user.GetCVMState(ctx, s.onChain.Name)
			if err != nil {
				return "", err
			}
			s.page.say(node, "boot_progress: %s\nboot_error: %s", deref(state.BootProgress), deref(state.BootError))
			if !strings.Contains(deref(state.BootError), guestWords) {
				return "", fmt.Errorf("boot_error is %q, want it to say %q", deref(state.BootError), guestWords)
			}
			return "boot_error: " + deref(state.BootError), nil
		}},
		{badBack, []string{badFails}, func(ctx context.Context) (string, error) {
			if err := s.follow(ctx, &s.onChain); err != nil {
				return "", err
			}
			return s.back(ctx, before)
		}},
	}}
}

// back makes sure that the CVM is where it was before the bad version, after a boot of its own.
func (s *story) back(ctx context.Context, before runtime.Status) (string, error) {
	after, err := s.node.Status(ctx, s.onChain.VMUUID)
	if err != nil {
		return "", err
	}
	shown, err := s.user.GetCVM(ctx, s.onChain.Name)
	if err != nil {
		return "", err
	}
	return "running again: " + after.RunningHash.String(), errors.Join(
		s.compare(s.onChain.running, []witness{
			{node, before.RunningHash.String(), "measured by the guest before the bad version"},
			{node, after.RunningHash.String(), "measured by the guest that runs now"},
			{control, deref(shown.ComposeHash), "compose_hash of the CVM"},
		}),
		same("the status", api.StatusRunning, shown.Status),
		same("the health", runtime.HealthHealthy, after.Health),
		fail(!after.StartedAt.After(before.StartedAt), errors.New("the node did not boot anything in between")),
	)
}
