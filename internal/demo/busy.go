package demo

import (
	"context"
	"errors"
	"net/http"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

const (
	firstBoots    = "one at a time: while an update boots, the CVM shows it as in progress"
	secondRefused = "one at a time: another update meanwhile is refused (409)"
	firstRolled   = "one at a time: the first one is rolled out all the same"
	firstSame     = "one at a time: what runs is what was sent, byte for byte"
)

// oneAtATime keeps the node in the middle of a boot, so that there is no race in what comes meanwhile.
func (s *story) oneAtATime() chapter {
	p := &proposal{compose: versionThree()}
	var held *sim.Armed
	return chapter{"Refused: a second update while one is under way", []step{
		{firstBoots, []string{bothRun}, func(ctx context.Context) (_ string, err error) {
			if p.expected, err = s.expect(ctx, &s.offChain, p.compose); err != nil {
				return "", err
			}
			held = s.faults.HoldStage(s.offChain.VMUUID, sim.StageBooting)
			defer func() {
				if err != nil {
					held.Disarm() // nobody comes to release it
				}
			}()
			s.request(&s.offChain, p.compose)
			accepted, err := s.accepted(ctx, &s.offChain, p.compose)
			if err != nil {
				return "", err
			}
			if err := struck(ctx, held); err != nil {
				return "", err
			}
			s.page.say(node, "booting, and held there for now")
			shown, err := s.user.GetCVM(ctx, s.offChain.Name)
			if err != nil {
				return "", err
			}
			var correlation string
			if shown.Progress != nil {
				correlation = deref(shown.Progress.CorrelationID)
			}
			s.page.say(control, "GET /cvms/%s: status %s, correlation id %s", s.offChain.Name, shown.Status, correlation)
			return "updating, correlation id " + correlation, errors.Join(
				same("the status", api.StatusUpdating, shown.Status),
				same("in_progress", true, shown.InProgress),
				same("the correlation id", accepted.CorrelationID, correlation),
			)
		}},
		{secondRefused, []string{firstBoots}, func(ctx context.Context) (string, error) {
			compose := versionFour()
			s.request(&s.offChain, compose)
			_, err := s.user.UpdateDockerCompose(ctx, s.offChain.Name, compose)
			return s.refused(err, refusal{status: http.StatusConflict, says: "another operation is in progress"})
		}},
		{firstRolled, []string{firstBoots}, func(ctx context.Context) (string, error) {
			held.Release()
			return s.rolledOut(ctx, &s.offChain, p.expected)
		}},
		{firstSame, []string{firstRolled}, func(ctx context.Context) (string, error) { return s.agreement(ctx, &s.offChain, p) }},
	}}
}

// struck waits until a fault holds the node.
func struck(ctx context.Context, fault *sim.Armed) error {
	select {
	case <-fault.Struck():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
