package demo

import (
	"context"
	"crypto/sha256"
	"errors"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/onchain"
)

const (
	proposed      = "proof: version 3 is proposed (465)"
	notRegistered = "proof: a hash that is not registered is refused (468)"
	yamlChanged   = "proof: YAML that changed between the phases is refused (466)"
	otherApp      = "proof: a transaction that registered it for another app is refused (467)"
	reverted      = "proof: a transaction that was reverted is refused (467)"
	unknownTx     = "proof: a transaction that nobody knows is refused (467)"
	stillTheSame  = "proof: none of that touched the CVM or its contract"
	throughApply  = "proof: with the right transaction the same proposal goes through (SDK: Apply)"
	applySame     = "proof: what runs is what the owner approved, byte for byte"
)

// refusedProofs tries to get a version through that its owner has not approved.
func (s *story) refusedProofs() chapter {
	p := &proposal{compose: versionThree()}
	before := new(string)
	// with tries phase 2 with a transaction.
	with := func(ctx context.Context, compose, tx string, want refusal) (string, error) {
		hash := p.demanded.ComposeHash
		s.request(&s.onChain, compose, proofHeaders(hash, tx)...)
		_, err := s.user.UpdateDockerCompose(ctx, s.onChain.Name, compose, proof(hash, tx)...)
		return s.refused(err, want)
	}
	tx467 := func(says string) refusal {
		return refusal{api.StatusTxVerificationFailed, api.CodeTxVerificationFailed, says}
	}
	needs := []string{proposed}
	return chapter{"Refused: proofs that prove nothing", []step{
		{proposed, []string{onChainRolled}, func(ctx context.Context) (string, error) {
			status, err := s.node.Status(ctx, s.onChain.VMUUID)
			if err != nil {
				return "", err
			}
			*before = bootOf(status)
			return s.phaseOne(ctx, &s.onChain, p)
		}},
		{notRegistered, needs, func(ctx context.Context) (string, error) {
			return with(ctx, p.compose, lockstep.AlreadyRegistered, refusal{api.StatusHashNotAllowed, api.CodeHashNotAllowed, "does not allow this compose hash"})
		}},
		{yamlChanged, needs, func(ctx context.Context) (string, error) {
			return with(ctx, p.compose+"# one more line\n", lockstep.AlreadyRegistered,
				refusal{api.StatusHashInvalidOrExpired, api.CodeHashInvalidOrExpired, "not the one of phase 1"})
		}},
		{otherApp, needs, func(ctx context.Context) (string, error) {
			tx, err := s.registerElsewhere(ctx, p.demanded)
			if err != nil {
				return "", err
			}
			return with(ctx, p.compose, tx.Hex(), tx467("this app's contract"))
		}},
		{reverted, needs, func(ctx context.Context) (string, error) {
			tx, err := s.revert(ctx, p.demanded)
			if err != nil {
				return "", err
			}
			return with(ctx, p.compose, tx.Hex(), tx467("reverted"))
		}},
		{unknownTx, needs, func(ctx context.Context) (string, error) {
			never := common.Hash(sha256.Sum256([]byte("a transaction that was never sent")))
			return with(ctx, p.compose, never.Hex(), tx467("does not know the transaction"))
		}},
		{stillTheSame, needs, func(ctx context.Context) (string, error) { return s.unmoved(ctx, p, *before) }},
		{throughApply, needs, func(ctx context.Context) (string, error) { return s.apply(ctx, p) }},
		{applySame, []string{throughApply}, func(ctx context.Context) (string, error) { return s.agreement(ctx, &s.onChain, p) }},
	}}
}

// registerElsewhere deploys a second app of the same owner and registers the hash there.
func (s *story) registerElsewhere(ctx context.Context, need *lockstep.Precondition) (common.Hash, error) {
	device, err := onchain.ParseDeviceID(need.DeviceID)
	if err != nil {
		return common.Hash{}, err
	}
	second, err := onchain.DeployAppAuth(ctx, onchain.DeployAppAuthRequest{
		WriteOptions: s.signedBy(s.owner), KMSContract: s.kms, DeviceID: device,
	})
	if err != nil {
		return common.Hash{}, err
	}
	s.page.say(owner, "deploys a second app: %s", second.AppAuthAddress)
	result, err := s.addComposeHash(ctx, second.AppAuthAddress, need.ComposeHash)
	if err != nil {
		return common.Hash{}, err
	}
	return result.TransactionHash, nil
}

// enoughGas is more than addComposeHash needs. Without an estimate nobody notices before it is mined that
// the call reverts.
const enoughGas = 200_000

// revert has somebody who does not own the app call addComposeHash.
func (s *story) revert(ctx context.Context, need *lockstep.Precondition) (common.Hash, error) {
	hash, err := onchain.ParseComposeHash(need.ComposeHash)
	if err != nil {
		return common.Hash{}, err
	}
	nonce, err := s.eth.PendingNonceAt(ctx, s.stranger.Address)
	if err != nil {
		return common.Hash{}, err
	}
	price, err := s.eth.SuggestGasPrice(ctx)
	if err != nil {
		return common.Hash{}, err
	}
	id := new(big.Int).SetUint64(s.ready.ChainID)
	tx, err := onchain.KeySigner(s.stranger.Key).SignTx(ctx, types.NewTx(&types.DynamicFeeTx{
		ChainID: id, Nonce: nonce, Gas: enoughGas, GasTipCap: big.NewInt(1), GasFeeCap: price.Lsh(price, 1),
		To: &s.onChain.contract, Data: onchain.AddComposeHashCalldata(hash),
	}), id)
	if err != nil {
		return common.Hash{}, err
	}
	s.page.say("stranger", "addComposeHash(0x%s) on %s", short(need.ComposeHash), s.onChain.contract)
	if err := s.eth.SendTransaction(ctx, tx); err != nil {
		return common.Hash{}, err
	}
	receipt, err := onchain.WaitForReceipt(ctx, s.eth, tx.Hash(), stepLimit)
	if err != nil {
		return common.Hash{}, err
	}
	s.page.say(chain, "transaction %s\nmined in block %s, status %d", tx.Hash(), receipt.BlockNumber, receipt.Status)
	return tx.Hash(), same("the status of the receipt", types.ReceiptStatusFailed, receipt.Status)
}

// unmoved makes sure that the refusals had no effect.
func (s *story) unmoved(ctx context.Context, p *proposal, before string) (string, error) {
	status, err := s.node.Status(ctx, s.onChain.VMUUID)
	if err != nil {
		return "", err
	}
	hash, err := onchain.ParseComposeHash(p.demanded.ComposeHash)
	if err != nil {
		return "", err
	}
	allowed, err := onchain.IsComposeHashAllowed(ctx, s.eth, s.onChain.contract, hash)
	if err != nil {
		return "", err
	}
	s.page.say(node, "%s still runs, in the same boot", short(status.RunningHash.String()))
	s.page.say(chain, "allowedComposeHashes(0x%s) is %t", short(p.demanded.ComposeHash), allowed)
	return "not restarted, not allowed", errors.Join(
		same("the boot that runs", before, bootOf(status)),
		same("the hash that runs", s.onChain.running, status.RunningHash.String()),
		same("allowedComposeHashes", false, allowed),
	)
}

// apply carries the proposal to its end with one call of the SDK.
func (s *story) apply(ctx context.Context, p *proposal) (string, error) {
	approve := func(ctx context.Context, approval lockstep.Approval) (string, error) {
		result, err := s.addComposeHash(ctx, s.onChain.contract, approval.ComposeHash)
		if err != nil {
			return "", err
		}
		p.tx = result.TransactionHash
		return p.tx.Hex(), nil
	}
	s.page.say(client, "client.Apply(%s, version 3, approver, wait)", s.onChain.Name)
	result, err := s.user.Apply(ctx, lockstep.ApplyRequest{
		CVM: s.onChain.Name, Compose: p.compose, Approver: lockstep.ApproverFunc(approve), Wait: true, PollInterval: applyPoll,
	})
	if err != nil {
		return "", err
	}
	s.onChain.running = p.expected
	s.page.say(control, "done: document %s runs", short(result.ComposeHash))
	return "approved and running: " + result.ComposeHash, errors.Join(
		same("the compose hash", p.demanded.ComposeHash, result.ComposeHash),
		same("the transaction", p.tx.Hex(), result.TransactionHash),
		fail(result.CVM == nil, errors.New("the SDK was to wait and returned no CVM")),
	)
}

// applyPoll is how often Apply looks at the CVM.
const applyPoll = 25 * time.Millisecond

func fail(when bool, err error) error {
	if when {
		return err
	}
	return nil
}
