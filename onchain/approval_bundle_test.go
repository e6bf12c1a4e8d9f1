package onchain_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

func TestApprovalBundleFile(t *testing.T) {
	bundle, err := onchain.ApprovalBundle(8453, common.HexToAddress(checksummed), hash, &device, time.UnixMilli(1_700_000_000_123))
	if err != nil {
		t.Fatal(err)
	}
	have, err := json.MarshalIndent(bundle, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "version": "1.0",
  "chainId": "8453",
  "createdAt": 1700000000123,
  "meta": {
    "name": "Approve compose hash 0x00000000000000000000000000000000000000000000000000000000000000c1",
    "description": "Lets app 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed boot the app-compose document with this SHA-256."
  },
  "transactions": [
    {
      "to": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
      "value": "0",
      "data": "0x2a81972800000000000000000000000000000000000000000000000000000000000000d1",
      "contractMethod": {
        "inputs": [
          {
            "internalType": "bytes32",
            "name": "deviceId",
            "type": "bytes32"
          }
        ],
        "name": "addDevice",
        "payable": false
      },
      "contractInputsValues": {
        "deviceId": "0x00000000000000000000000000000000000000000000000000000000000000d1"
      }
    },
    {
      "to": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
      "value": "0",
      "data": "0xdfc7722300000000000000000000000000000000000000000000000000000000000000c1",
      "contractMethod": {
        "inputs": [
          {
            "internalType": "bytes32",
            "name": "composeHash",
            "type": "bytes32"
          }
        ],
        "name": "addComposeHash",
        "payable": false
      },
      "contractInputsValues": {
        "composeHash": "0x00000000000000000000000000000000000000000000000000000000000000c1"
      }
    }
  ]
}`
	if string(have) != want {
		t.Errorf("bundle\n%s\nwant\n%s", have, want)
	}
}

func TestApprovalBundleRefuses(t *testing.T) {
	zero := common.Hash{}
	app := common.HexToAddress(checksummed)
	for name, err := range map[string]error{
		"app":    second(onchain.ApprovalBundle(1, common.Address{}, hash, nil, time.Time{})),
		"hash":   second(onchain.ApprovalBundle(1, app, zero, nil, time.Time{})),
		"device": second(onchain.ApprovalBundle(1, app, hash, &zero, time.Time{})),
	} {
		if !errors.Is(err, onchain.ErrInvalidInput) {
			t.Errorf("zero %s: %v", name, err)
		}
	}
}

func second(_ *onchain.Bundle, err error) error { return err }

// The bundle's transactions do what it says when its owner executes them.
func TestApprovalBundleWorks(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	bundle, err := onchain.ApprovalBundle(devchain.DefaultChainID, app, hash, &device, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tx := range bundle.Transactions {
		f.must(t, f.owner, tx.To, tx.Data)
	}
	if state, err := f.verifier(onchain.Latest).State(t.Context(), app, device, hash); err != nil || !state.Allowed() {
		t.Errorf("state %+v, %v", state, err)
	}
}
