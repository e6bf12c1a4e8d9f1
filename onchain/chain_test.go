package onchain_test

import (
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

// fixture is a fresh chain in memory with a KMS contract that trusts one OS
// image. The owner of everything is account 0.
type fixture struct {
	*devchain.Chain
	kms             *onchain.DeployKMSResult
	owner, stranger devchain.Account
}

var (
	osImage = common.HexToHash("0x05")
	device  = common.HexToHash("0xd1")
	hash    = common.HexToHash("0xc1")
	other   = common.HexToHash("0xc2")
)

// quick makes retries immediate.
var quick = onchain.RetryOptions{MaxRetries: 3, InitialDelay: time.Microsecond, MaxDelay: time.Millisecond}

func newFixture(t testing.TB, cfg devchain.Config) *fixture {
	t.Helper()
	chain, err := devchain.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := chain.Close(); err != nil {
			t.Error(err)
		}
	})
	f := &fixture{Chain: chain, owner: chain.Accounts()[0], stranger: chain.Accounts()[1]}
	f.kms, err = onchain.DeployKMS(t.Context(), onchain.DeployKMSRequest{WriteOptions: f.as(f.owner)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := onchain.RegisterOSImage(t.Context(), f.as(f.owner), f.kms.KMSContract, osImage); err != nil {
		t.Fatal(err)
	}
	return f
}

// as are options for a write by the account.
func (f *fixture) as(account devchain.Account) onchain.WriteOptions {
	return onchain.WriteOptions{Backend: f.Client(), PrivateKey: account.Key, Retry: quick}
}

// deploy makes an app of the owner's without any approval.
func (f *fixture) deploy(t testing.TB) common.Address {
	t.Helper()
	app, err := onchain.DeployAppAuth(t.Context(), onchain.DeployAppAuthRequest{
		WriteOptions: f.as(f.owner), KMSContract: f.kms.KMSContract,
	})
	if err != nil {
		t.Fatal(err)
	}
	return app.AppAuthAddress
}

// approve adds a compose hash and returns the transaction.
func (f *fixture) approve(t testing.TB, app common.Address, hash common.Hash) *onchain.AddComposeHashResult {
	t.Helper()
	result, err := onchain.AddComposeHash(t.Context(), onchain.AddComposeHashRequest{
		WriteOptions: f.as(f.owner), KMSContract: f.kms.KMSContract, AppID: app, ComposeHash: hash,
	})
	if err != nil {
		t.Fatal(err)
	}
	return result
}
