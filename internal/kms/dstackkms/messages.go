package dstackkms

import "github.com/lockstep-cvm/lockstep/internal/prpc"

// AppID names an app.
type AppID struct {
	AppID prpc.Bytes `json:"app_id"` // 20 bytes
}

// PublicKeyResponse is the answer to GetAppEnvEncryptPubKey.
type PublicKeyResponse struct {
	PublicKey   prpc.Bytes `json:"public_key"`   // X25519, 32 bytes
	Signature   prpc.Bytes `json:"signature"`    // 65 bytes, without the time
	Timestamp   uint64     `json:"timestamp"`    // Unix time in seconds; 0 from a KMS that is too old to sign it
	SignatureV1 prpc.Bytes `json:"signature_v1"` // 65 bytes, over the time too; empty from such a KMS
}

// Meta is the answer to GetMeta: what a KMS says of itself.
type Meta struct {
	CACert                string        `json:"ca_cert"` // PEM
	AllowAnyUpgrade       bool          `json:"allow_any_upgrade"`
	K256Pubkey            prpc.Bytes    `json:"k256_pubkey"` // SEC1
	BootstrapInfo         BootstrapInfo `json:"bootstrap_info"`
	IsDev                 bool          `json:"is_dev"`
	GatewayAppID          *string       `json:"gateway_app_id"`
	KMSContractAddress    *string       `json:"kms_contract_address"`
	ChainID               *uint64       `json:"chain_id"`
	AppAuthImplementation *string       `json:"app_auth_implementation"`
}

// BootstrapInfo is how the root keys of a KMS came to be.
type BootstrapInfo struct {
	CAPubkey    prpc.Bytes `json:"ca_pubkey"`
	K256Pubkey  prpc.Bytes `json:"k256_pubkey"`
	Attestation prpc.Bytes `json:"attestation"`
}

// Methods of the KMS that anybody may call.
const (
	methodEnvKey = "GetAppEnvEncryptPubKey"
	methodMeta   = "GetMeta"
	rpcPath      = "/prpc/KMS."
)
