package onchain

import (
	"context"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/onchain/internal/bindings/dstackkms"
)

// KMSInfo is what the owner of a KMS contract published about the KMS, for others to hold against what the
// KMS says itself.
type KMSInfo struct {
	K256Pubkey []byte // secp256k1 root key in SEC1 form, usually compressed (33 bytes)
	CAPubkey   []byte // root CA key, SubjectPublicKeyInfo DER
	Quote      []byte
	EventLog   []byte
}

// ReadKMSInfo reads kmsInfo() of the KMS contract at the latest block. Members that were never set are
// empty.
func ReadKMSInfo(ctx context.Context, caller Caller, kms common.Address) (KMSInfo, error) {
	c := kmsContract()
	out, err := read(ctx, caller, kms, "kmsInfo()", c.PackKmsInfo(), nil, c.UnpackKmsInfo)
	return KMSInfo{K256Pubkey: out.K256Pubkey, CAPubkey: out.CaPubkey, Quote: out.Quote, EventLog: out.Eventlog}, err
}

// SetKMSInfo sends setKmsInfo to the KMS contract. Only its owner may.
func SetKMSInfo(ctx context.Context, opts WriteOptions, kms common.Address, info KMSInfo) (*TransactionResult, error) {
	return sendToOwned(ctx, opts, kms, kmsContract().PackSetKmsInfo(dstackkms.DstackKmsKmsInfo{
		K256Pubkey: info.K256Pubkey, CaPubkey: info.CAPubkey, Quote: info.Quote, Eventlog: info.EventLog,
	}))
}
