package onchain_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

// The owner's half of an update: approve a compose hash on the app's contract,
// then let a verifier confirm it as a server does.
func ExampleAddComposeHash() {
	ctx := context.Background()
	chain, err := devchain.Start(ctx, devchain.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer chain.Close()
	owner := onchain.WriteOptions{RPCURL: chain.RPCURL(), ChainID: devchain.DefaultChainID, PrivateKey: chain.Accounts()[0].Key}

	kms, err := onchain.DeployKMS(ctx, onchain.DeployKMSRequest{WriteOptions: owner})
	if err != nil {
		log.Fatal(err)
	}
	app, err := onchain.DeployAppAuth(ctx, onchain.DeployAppAuthRequest{WriteOptions: owner, KMSContract: kms.KMSContract, AllowAnyDevice: true})
	if err != nil {
		log.Fatal(err)
	}

	hash := common.HexToHash("0x6af4ac17")
	result, err := onchain.AddComposeHash(ctx, onchain.AddComposeHashRequest{
		WriteOptions: owner,
		KMSContract:  kms.KMSContract,
		AppID:        app.AppAuthAddress,
		ComposeHash:  hash,
	})
	if err != nil {
		log.Fatal(err)
	}

	verifier := onchain.NewVerifier(chain.Client(), onchain.Latest)
	if _, err := verifier.Registration(ctx, app.AppAuthAddress, hash, result.TransactionHash); err != nil {
		log.Fatal(err)
	}
	state, err := verifier.State(ctx, app.AppAuthAddress, common.Hash{}, hash)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("may boot:", state.Allowed())
	// Output: may boot: true
}

// Only the owner may approve, and that is found out before gas is spent.
func ExampleAddComposeHash_notOwner() {
	ctx := context.Background()
	chain, err := devchain.Start(ctx, devchain.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer chain.Close()
	owner := onchain.WriteOptions{Backend: chain.Client(), PrivateKey: chain.Accounts()[0].Key}
	stranger := onchain.WriteOptions{Backend: chain.Client(), PrivateKey: chain.Accounts()[1].Key}
	kms, err := onchain.DeployKMS(ctx, onchain.DeployKMSRequest{WriteOptions: owner})
	if err != nil {
		log.Fatal(err)
	}
	app, err := onchain.DeployAppAuth(ctx, onchain.DeployAppAuthRequest{WriteOptions: owner, KMSContract: kms.KMSContract})
	if err != nil {
		log.Fatal(err)
	}

	_, err = onchain.AddComposeHash(ctx, onchain.AddComposeHashRequest{
		WriteOptions: stranger, AppID: app.AppAuthAddress, ComposeHash: common.HexToHash("0x01"),
	})
	var notOwner *onchain.NotOwnerError
	if errors.As(err, &notOwner) {
		fmt.Println("owner:", notOwner.Owner == chain.Accounts()[0].Address)
	}
	// Output: owner: true
}

// A multisig imports the bundle into its Transaction Builder and signs there.
func ExampleApprovalBundle() {
	app, err := onchain.ParseAppID("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
	if err != nil {
		log.Fatal(err)
	}
	hash, err := onchain.ParseComposeHash("6af4ac17b5e0c1f2a3948576615243342516071829304a5b6c7d8e9fa0b1c2d3")
	if err != nil {
		log.Fatal(err)
	}
	bundle, err := onchain.ApprovalBundle(8453, app, hash, nil, time.UnixMilli(1_790_000_000_000))
	if err != nil {
		log.Fatal(err)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(bundle.Transactions[0]); err != nil {
		log.Fatal(err)
	}
	// Output:
	// {
	//   "to": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
	//   "value": "0",
	//   "data": "0xdfc772236af4ac17b5e0c1f2a3948576615243342516071829304a5b6c7d8e9fa0b1c2d3",
	//   "contractMethod": {
	//     "inputs": [
	//       {
	//         "internalType": "bytes32",
	//         "name": "composeHash",
	//         "type": "bytes32"
	//       }
	//     ],
	//     "name": "addComposeHash",
	//     "payable": false
	//   },
	//   "contractInputsValues": {
	//     "composeHash": "0x6af4ac17b5e0c1f2a3948576615243342516071829304a5b6c7d8e9fa0b1c2d3"
	//   }
	// }
}
