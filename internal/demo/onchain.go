package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

const (
	phaseOne       = "on-chain: phase 1 asks for the owner's approval (465) and changes nothing"
	ownerApproves  = "on-chain: the owner registers the hash with addComposeHash"
	phaseTwo       = "on-chain: phase 2 is accepted with that transaction (202 in_progress)"
	onChainRolled  = "on-chain: it is rolled out"
	onChainSame    = "on-chain: what runs is what the owner approved, byte for byte"
	phaseTwoRepeat = "on-chain: phase 2 repeated changes nothing"
	onChainAgain   = "on-chain: the same document again needs no approval and restarts nothing"
)

func (s *story) onChainUpdate() chapter {
	p := &proposal{compose: versionTwo()}
	return chapter{"An update with an on-chain KMS: the owner has the say", []step{
		{phaseOne, []string{bothRun}, func(ctx context.Context) (string, error) { return s.phaseOne(ctx, &s.onChain, p) }},
		{ownerApproves, []string{phaseOne}, func(ctx context.Context) (string, error) { return s.approve(ctx, &s.onChain, p) }},
		{phaseTwo, []string{ownerApproves}, func(ctx context.Context) (string, error) { return s.phaseTwo(ctx, &s.onChain, p) }},
		{onChainRolled, []string{phaseTwo}, func(ctx context.Context) (string, error) {
			return s.rolledOut(ctx, &s.onChain, p.demanded.ComposeHash)
		}},
		{onChainSame, []string{onChainRolled}, func(ctx context.Context) (string, error) { return s.agreement(ctx, &s.onChain, p) }},
		{phaseTwoRepeat, []string{onChainRolled}, func(ctx context.Context) (string, error) {
			return "202, and the CVM was not touched", s.untouched(ctx, &s.onChain, func() error {
				_, err := s.phaseTwo(ctx, &s.onChain, p)
				return err
			})
		}},
		{onChainAgain, []string{onChainRolled}, func(ctx context.Context) (string, error) {
			return s.sameAgain(ctx, &s.onChain, p.compose)
		}},
	}}
}

// phaseOne sends a new version, learns what has to be approved, and makes sure that nothing else happened.
func (s *story) phaseOne(ctx context.Context, cvm *subject, p *proposal) (_ string, err error) {
	if p.expected, err = s.expect(ctx, cvm, p.compose); err != nil {
		return "", err
	}
	err = s.untouched(ctx, cvm, func() error {
		s.request(cvm, p.compose)
		p.demanded, err = s.demanded(ctx, cvm, p.compose)
		return err
	})
	if err != nil {
		return "", err
	}
	need := p.demanded
	s.demand(need)
	if len(need.Suggestions) == 0 {
		return "", errors.New("the 465 says nothing about what to do next")
	}
	hash, err := onchain.ParseComposeHash(need.ComposeHash)
	if err != nil {
		return "", err
	}
	allowed, err := onchain.IsComposeHashAllowed(ctx, s.eth, cvm.contract, hash)
	if err != nil {
		return "", err
	}
	return "465 for hash " + need.ComposeHash, errors.Join(
		same("compose_hash", p.expected, need.ComposeHash),
		same("app_id", cvm.AppID, need.AppID),
		same("device_id", cvm.device, need.DeviceID),
		same("chain_id", int64(s.ready.ChainID), deref(need.KMS.ChainID)),
		same("kms_contract_address", s.ready.KMSContract, deref(need.KMS.KMSContractAddress)),
		same("allowedComposeHashes before the approval", false, allowed),
	)
}

// demand shows a 465: all of it the first time, later only what is new.
func (s *story) demand(need *lockstep.Precondition) {
	s.page.say(control, "%d %s: %s\ncompose_hash %s", api.StatusHashRegistrationRequired, api.CodeHashRegistrationRequired,
		need.Message, need.ComposeHash)
	if s.demandSeen {
		return
	}
	s.demandSeen = true
	s.page.say("", "app_id       %s\ndevice_id    %s\nkms_info     chain %d, contract %s", need.AppID, need.DeviceID,
		deref(need.KMS.ChainID), deref(need.KMS.KMSContractAddress))
	s.suggest(need.Suggestions)
}

// approve is the owner's part: one transaction, sent over JSON-RPC.
func (s *story) approve(ctx context.Context, cvm *subject, p *proposal) (string, error) {
	result, err := s.addComposeHash(ctx, cvm.contract, p.demanded.ComposeHash)
	if err != nil {
		return "", err
	}
	p.tx = result.TransactionHash
	return "transaction " + p.tx.Hex(), nil
}

func (s *story) addComposeHash(ctx context.Context, contract common.Address, composeHash string) (*onchain.AddComposeHashResult, error) {
	hash, err := onchain.ParseComposeHash(composeHash)
	if err != nil {
		return nil, err
	}
	s.page.say(owner, "addComposeHash(0x%s) on %s", short(composeHash), contract)
	result, err := onchain.AddComposeHash(ctx, onchain.AddComposeHashRequest{
		WriteOptions: s.signedBy(s.owner), KMSContract: s.kms, AppID: contract, ComposeHash: hash,
	})
	if err != nil {
		return nil, err
	}
	s.page.say(chain, "transaction %s\nmined in block %d, %d gas, event ComposeHashAdded", result.TransactionHash, result.BlockNumber, result.GasUsed)
	return result, nil
}

// signedBy are the options of transactions of an account, sent over JSON-RPC.
func (s *story) signedBy(account devchain.Account) onchain.WriteOptions {
	return onchain.WriteOptions{Backend: s.eth, ChainID: s.ready.ChainID, PrivateKey: account.Key, PollInterval: receiptPoll}
}

// receiptPoll is how often a receipt is looked for on a chain that mines at once.
const receiptPoll = 5 * time.Millisecond

// phaseTwo repeats the update with the proof.
func (s *story) phaseTwo(ctx context.Context, cvm *subject, p *proposal) (string, error) {
	hash, tx := p.demanded.ComposeHash, p.tx.Hex()
	s.request(cvm, p.compose, proofHeaders(hash, tx)...)
	accepted, err := s.accepted(ctx, cvm, p.compose, proof(hash, tx)...)
	if err != nil {
		return "", err
	}
	return "202 in_progress, correlation id " + accepted.CorrelationID, nil
}

// bootOf is which boot of a CVM runs.
func bootOf(status runtime.Status) string {
	return fmt.Sprintf("%s since %s", status.RunningHash, status.StartedAt)
}
