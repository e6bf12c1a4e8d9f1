package devchain

import (
	"context"
	"errors"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
)

// submission replaces eth_sendRawTransaction with one that answers after the
// block is made. Clients that miss the receipt at their first look wait two
// seconds before the next; this way they never miss it.
type submission struct{ chain *Chain }

// SendRawTransaction is eth_sendRawTransaction.
func (s submission) SendRawTransaction(ctx context.Context, input hexutil.Bytes) (common.Hash, error) {
	tx := new(types.Transaction)
	if err := tx.UnmarshalBinary(input); err != nil {
		return common.Hash{}, err
	}
	if !tx.Protected() {
		return common.Hash{}, errors.New("only replay-protected (EIP-155) transactions are accepted")
	}
	if err := s.chain.backend.APIBackend.SendTx(ctx, tx); err != nil {
		return common.Hash{}, err
	}
	if !s.chain.manual {
		s.chain.mineExecutable()
	}
	return tx.Hash(), nil
}
