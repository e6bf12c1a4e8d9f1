package api

import "strings"

// KMSType is the kind of key management service a CVM takes its keys from. The clients reject any
// other value in a CVM object.
type KMSType string

// The kinds of KMS. In requests they come in any case (the JavaScript SDK sends upper case).
const (
	// KMSPhala is run by the platform: an update needs no approval on chain.
	KMSPhala KMSType = "phala"
	// KMSEthereum and KMSBase ask a contract on that chain before they release keys.
	KMSEthereum KMSType = "ethereum"
	KMSBase     KMSType = "base"
	// KMSLegacy is the platform's KMS of old CVMs.
	KMSLegacy KMSType = "legacy"
)

// ParseKMSType returns the kind that a request means, in any case.
func ParseKMSType(s string) (KMSType, bool) {
	switch t := KMSType(strings.ToLower(s)); t {
	case KMSPhala, KMSEthereum, KMSBase, KMSLegacy:
		return t, true
	}
	return "", false
}

// OnChain reports whether a contract decides which compose hashes may boot.
func (t KMSType) OnChain() bool { return t == KMSEthereum || t == KMSBase }

// KMSInfo describes one KMS (schema KmsInfo): GET /kms, GET /kms/{id}, and the member kms_info of
// provision answers, 465 details and 2025-10-28 CVM objects. All keys but chain must be there.
type KMSInfo struct {
	// ID is opaque and begins with "kms_".
	ID      string  `json:"id"`
	Slug    *string `json:"slug"`
	URL     string  `json:"url"`
	Version string  `json:"version"`
	// ChainID is nil for a KMS without a contract.
	ChainID *int64 `json:"chain_id"`
	// KMSContractAddress is 0x and 40 hex digits.
	KMSContractAddress *string `json:"kms_contract_address"`
	GatewayAppID       *string `json:"gateway_app_id"`
	// Chain lets the JavaScript clients work with a chain id that they have not compiled in (they
	// know 1, 8453 and 31337).
	Chain *Chain `json:"chain,omitempty"`
}

// KMSList is the answer of GET /kms. The clients reject any further key.
type KMSList = Page[KMSInfo]

// AppPubKey is the answer of GET /kms/{kms}/pubkey/{app_id} (schema GetAppEnvEncryptPubKey). The
// clients reject any further key.
type AppPubKey struct {
	// PublicKey is an X25519 public key: 64 hex digits.
	PublicKey string `json:"public_key"`
	// Signature is the KMS's secp256k1 signature r‖s‖v (65 bytes, v 0 or 1) in hex over
	// keccak256("dstack-env-encrypt-pubkey" ‖ ":" ‖ app_id ‖ public_key).
	Signature string `json:"signature"`
}

// NextAppIDs is the answer of GET /kms/phala/next_app_id. The clients reject any further key.
type NextAppIDs struct {
	AppIDs List[NextAppID] `json:"app_ids"`
}

// NextAppID is an app id that the workspace may use for a new CVM, with its nonce.
type NextAppID struct {
	AppID string `json:"app_id"`
	Nonce int64  `json:"nonce"`
}
