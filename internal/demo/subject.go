package demo

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/devcloud"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// subject is a CVM that the story is about.
type subject struct {
	devcloud.CVM
	device   string
	contract common.Address // of the app; with an on-chain KMS
	running  string         // the hash that was approved last, and so has to run
}

// proposal is a version on its way, and what the sides said of it.
type proposal struct {
	compose  string
	expected string // the hash that the client worked out by itself
	demanded *lockstep.Precondition
	tx       common.Hash // of the approval
}

// expect works out, on the client's side, the hash that a new Compose file will have: that of the
// document that runs, with this one field replaced.
func (s *story) expect(ctx context.Context, cvm *subject, compose string) (string, error) {
	file, err := s.user.GetCVMComposeFile(ctx, cvm.Name)
	if err != nil {
		return "", err
	}
	document, err := appcompose.Parse(file.Bytes())
	if err != nil {
		return "", err
	}
	next, err := document.Edit(appcompose.SetDockerComposeFile(compose))
	if err != nil {
		return "", err
	}
	return next.Hash().String(), nil
}

// accepted sends an update that has to be taken on.
func (s *story) accepted(ctx context.Context, cvm *subject, compose string, options ...lockstep.UpdateOption) (*lockstep.InProgress, error) {
	result, err := s.user.UpdateDockerCompose(ctx, cvm.Name, compose, options...)
	if err != nil {
		return nil, err
	}
	accepted, ok := result.(*lockstep.InProgress)
	if !ok {
		return nil, fmt.Errorf("the answer is %T, want 202 in_progress", result)
	}
	s.page.say(control, "202 in_progress, correlation id %s\n%s", accepted.CorrelationID, accepted.Message)
	return accepted, nil
}

// demanded sends an update that the owner has to approve first.
func (s *story) demanded(ctx context.Context, cvm *subject, compose string) (*lockstep.Precondition, error) {
	result, err := s.user.UpdateDockerCompose(ctx, cvm.Name, compose)
	if err != nil {
		return nil, err
	}
	demand, ok := result.(*lockstep.Precondition)
	if !ok {
		return nil, fmt.Errorf("the answer is %T, want 465: a registration on chain is required", result)
	}
	return demand, nil
}

// rolledOut follows the event stream of the CVM until it is at rest and then looks whether it has the
// document of this hash.
func (s *story) rolledOut(ctx context.Context, cvm *subject, want string) (string, error) {
	if err := s.follow(ctx, cvm); err != nil {
		return "", err
	}
	now, err := s.user.GetCVM(ctx, cvm.Name)
	if err != nil {
		return "", err
	}
	if now.Status != api.StatusRunning || now.InProgress || deref(now.ComposeHash) != want {
		return "", fmt.Errorf("%s is %s with document %s, want running with %s", cvm.Name, now.Status, deref(now.ComposeHash), want)
	}
	cvm.running = want
	return "running with document " + want, nil
}

// follow reads the event stream until the CVM runs and nothing is in progress.
func (s *story) follow(ctx context.Context, cvm *subject) error {
	var seen []string
	note := func(word string) {
		if word != "" && !slices.Contains(seen, word) {
			seen = append(seen, word)
		}
	}
	for event, err := range s.user.WatchCVMState(ctx, cvm.Name, lockstep.WatchOptions{Target: api.StatusRunning}) {
		if err != nil {
			return err
		}
		if event.State != nil {
			note(strings.ToUpper(string(event.State.Status)))
			note(progressOf(event.State))
		}
	}
	s.page.say(node, "%s", strings.Join(seen, " > "))
	return nil
}

// progressOf is what a boot or shutdown under way has come to.
func progressOf(state *api.CVMState) string {
	progress := deref(state.BootProgress)
	if progress == string(sim.StageDone) {
		return "" // the end of this boot, or still of the last one
	}
	return progress
}

// witness is somebody who says what the hash is.
type witness struct{ who, hash, how string }

// agreement asks everybody who knows for the hash of what runs. All have to name the hash that was
// approved.
func (s *story) agreement(ctx context.Context, cvm *subject, p *proposal) (string, error) {
	file, err := s.user.GetCVMComposeFile(ctx, cvm.Name)
	if err != nil {
		return "", err
	}
	shown, err := s.user.GetCVM(ctx, cvm.Name)
	if err != nil {
		return "", err
	}
	status, err := s.node.Status(ctx, cvm.VMUUID)
	if err != nil {
		return "", err
	}
	said := []witness{
		{client, file.Hash(), fmt.Sprintf("sha256 of GET compose_file, %d bytes", len(file.Bytes()))},
		{control, deref(shown.ComposeHash), "compose_hash of the CVM"},
		{node, status.NextHash.String(), "document on the disk of the node"},
		{node, status.RunningHash.String(), "measured by the guest that runs"},
	}
	if p.demanded != nil {
		said = append(said, witness{control, p.demanded.ComposeHash, "compose_hash of the 465"})
		approved, err := s.approvedOnChain(ctx, cvm, p.tx)
		if err != nil {
			return "", err
		}
		said = append(said, approved)
	}
	if err := s.compare(p.expected, said); err != nil {
		return "", err
	}
	yaml, err := s.user.GetDockerCompose(ctx, cvm.Name)
	if err != nil {
		return "", err
	}
	if yaml != p.compose {
		return "", fmt.Errorf("GET docker-compose.yml has %d bytes that are not the %d sent", len(yaml), len(p.compose))
	}
	if status.State != runtime.StateRunning || status.Health != runtime.HealthHealthy {
		return "", fmt.Errorf("the node says %s, %s; want running, healthy", status.State, status.Health)
	}
	return fmt.Sprintf("all %d agree on %s", len(said), p.expected), nil
}

// compare shows who says what, and is an error unless everybody says the same.
func (s *story) compare(want string, said []witness) error {
	s.page.say("expected", "%s  by the client", want)
	var errs []error
	for _, w := range said {
		err := same("the hash ("+w.how+")", want, w.hash)
		if err != nil {
			s.page.say(w.who, "%s", w.hash)
		}
		s.page.say(w.who, "%s  %s", map[bool]string{true: "same", false: "OTHER"}[err == nil], w.how)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// approvedOnChain reads from the chain itself what a transaction approved, and whether it still holds.
func (s *story) approvedOnChain(ctx context.Context, cvm *subject, tx common.Hash) (witness, error) {
	receipt, err := s.eth.TransactionReceipt(ctx, tx)
	if err != nil {
		return witness{}, err
	}
	for _, log := range receipt.Logs {
		if log.Address != cvm.contract || len(log.Data) != common.HashLength {
			continue
		}
		hash := common.BytesToHash(log.Data)
		allowed, err := onchain.IsComposeHashAllowed(ctx, s.eth, cvm.contract, hash)
		if err != nil {
			return witness{}, err
		}
		if !allowed {
			return witness{}, fmt.Errorf("allowedComposeHashes(%s) is false", hash)
		}
		return witness{chain, hex.EncodeToString(hash[:]), "ComposeHashAdded, and allowedComposeHashes is true"}, nil
	}
	return witness{}, fmt.Errorf("transaction %s has no event of the app's contract %s", tx, cvm.contract)
}

// untouched makes sure that something left the CVM alone: the same boot of the same document, and nothing
// in progress.
func (s *story) untouched(ctx context.Context, cvm *subject, act func() error) error {
	before, err := s.node.Status(ctx, cvm.VMUUID)
	if err != nil {
		return err
	}
	if err := act(); err != nil {
		return err
	}
	// A CVM that is to be changed leaves "running" before the answer is sent, so this look is not too early.
	shown, err := s.user.GetCVM(ctx, cvm.Name)
	if err != nil {
		return err
	}
	if shown.Status != api.StatusRunning || shown.InProgress {
		return fmt.Errorf("%s is %s, in progress: %t; want running and at rest", cvm.Name, shown.Status, shown.InProgress)
	}
	after, err := s.node.Status(ctx, cvm.VMUUID)
	if err != nil {
		return err
	}
	if after.State != runtime.StateRunning || !after.StartedAt.Equal(before.StartedAt) || after.RunningHash != before.RunningHash {
		return fmt.Errorf("the node booted %s: was %s since %s, is %s since %s", cvm.Name,
			before.RunningHash, before.StartedAt, after.RunningHash, after.StartedAt)
	}
	return same("the hash that runs", cvm.running, after.RunningHash.String())
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
