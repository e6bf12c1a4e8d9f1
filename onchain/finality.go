package onchain

import (
	"context"
	"fmt"
	"math/big"
	"strconv"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
)

// Finality is how deep in the chain a block must lie before it counts. The zero
// value is Latest.
type Finality struct {
	tag   string
	depth uint64
}

// Latest counts every block at once.
var Latest = Finality{}

// Safe counts what the chain's own rule calls safe from reorganisation under
// honest conditions.
var Safe = Finality{tag: "safe"}

// Finalized counts what can no longer be taken back.
var Finalized = Finality{tag: "finalized"}

// Depth counts a block once n blocks lie on top of it; Depth(0) is Latest.
func Depth(n uint64) Finality { return Finality{depth: n} }

// maxDepth keeps a mistyped number from waiting for ever; ten thousand blocks
// are more than a day on any chain in use.
const maxDepth = 10_000

// ParseFinality reads "latest", "safe", "finalized", or a number of blocks from
// 0 to 10000.
func ParseFinality(s string) (Finality, error) {
	switch s {
	case "latest":
		return Latest, nil
	case "safe":
		return Safe, nil
	case "finalized":
		return Finalized, nil
	}
	depth, err := strconv.ParseUint(s, 10, 64)
	if err != nil || depth > maxDepth {
		return Finality{}, &InputError{Field: "finality", Value: clip(s), Want: fmt.Sprintf("latest, safe, finalized, or 0 to %d blocks", maxDepth)}
	}
	return Depth(depth), nil
}

// String is what ParseFinality reads.
func (f Finality) String() string {
	switch {
	case f.tag != "":
		return f.tag
	case f.depth > 0:
		return strconv.FormatUint(f.depth, 10)
	}
	return "latest"
}

// MarshalText writes String.
func (f Finality) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads what ParseFinality reads.
func (f *Finality) UnmarshalText(text []byte) error {
	parsed, err := ParseFinality(string(text))
	if err == nil {
		*f = parsed
	}
	return err
}

// headerReader is what finding the newest final block needs.
type headerReader interface {
	HeaderByNumber(ctx context.Context, number *big.Int) (*types.Header, error)
}

// heads returns the newest block and the newest final one. On a chain shorter
// than the depth, the latter is genesis.
func (f Finality) heads(ctx context.Context, chain headerReader) (latest, final *types.Header, err error) {
	latest, err = headerAt(ctx, chain, nil)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case f.tag == "safe":
		final, err = headerAt(ctx, chain, big.NewInt(int64(rpc.SafeBlockNumber)))
	case f.tag == "finalized":
		final, err = headerAt(ctx, chain, big.NewInt(int64(rpc.FinalizedBlockNumber)))
	case f.depth > 0:
		number := new(big.Int).Sub(latest.Number, new(big.Int).SetUint64(f.depth))
		if number.Sign() < 0 {
			number = new(big.Int)
		}
		final, err = headerAt(ctx, chain, number)
	default:
		final = latest
	}
	return latest, final, err
}
