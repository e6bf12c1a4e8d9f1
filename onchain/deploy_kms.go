package onchain

import (
	"context"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/lockstep-cvm/lockstep/onchain/contracts"
	"github.com/lockstep-cvm/lockstep/onchain/internal/bindings/proxy"
)

// DeployKMSRequest deploys a KMS contract with a factory for apps.
type DeployKMSRequest struct {
	WriteOptions
	// Owner owns the KMS contract at once. Zero: the sender.
	Owner common.Address
}

// DeployKMSResult names the three contracts, in the order they were deployed.
type DeployKMSResult struct {
	AppImplementation common.Address
	KMSImplementation common.Address
	// KMSContract is the proxy: the address that everybody else needs.
	KMSContract common.Address
	// TransactionResult is of the last transaction, which made the proxy.
	TransactionResult
}

// DeployKMS deploys the implementation of apps, that of the KMS, and the KMS
// proxy, in three transactions.
func DeployKMS(ctx context.Context, request DeployKMSRequest) (*DeployKMSResult, error) {
	var result DeployKMSResult
	err := write(ctx, request.WriteOptions, func(w *writer) error {
		app, err := w.create(ctx, contracts.DstackApp().Bytecode)
		if err != nil {
			return err
		}
		kms, err := w.create(ctx, contracts.DstackKms().Bytecode)
		if err != nil {
			return err
		}
		owner := request.Owner
		if owner == (common.Address{}) {
			owner = w.signer.Address()
		}
		receipt, err := w.create(ctx, ProxyCreationCode(kms.ContractAddress, kmsContract().PackInitialize(owner, app.ContractAddress)))
		if err != nil {
			return err
		}
		result = DeployKMSResult{
			AppImplementation: app.ContractAddress,
			KMSImplementation: kms.ContractAddress,
			KMSContract:       receipt.ContractAddress,
			TransactionResult: resultOf(receipt),
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &result, nil
}

// ProxyCreationCode is the creation code of an ERC-1967 proxy before the
// implementation; the call data is run on it at once.
func ProxyCreationCode(implementation common.Address, calldata []byte) []byte {
	code := contracts.ERC1967Proxy().Bytecode
	arguments := proxy.NewERC1967Proxy().PackConstructor(implementation, calldata)
	return append(code[:len(code):len(code)], arguments...)
}

func (w *writer) create(ctx context.Context, code []byte) (*types.Receipt, error) {
	return w.send(ctx, nil, code)
}
