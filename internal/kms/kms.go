// Package kms holds what the control plane needs of a key management service: the public key to
// which an app's environment is encrypted, and the decision whether a document may boot.
//
// Both are answered by the embedded development KMS in this package, or by a real dstack-kms.
package kms

import "context"

// BootInfo is what a KMS knows of a CVM that asks for its keys. Field meanings and lengths are those
// of dstack's authorization webhook (POST /bootAuth/app) and of IAppAuth.AppBootInfo on chain.
type BootInfo struct {
	AppID        [20]byte
	ComposeHash  [32]byte
	InstanceID   []byte // 20 bytes, or empty for documents with no_instance_id
	DeviceID     [32]byte
	MRAggregated [32]byte
	MRSystem     [32]byte
	OSImageHash  [32]byte
	TCBStatus    string // "UpToDate", …
	AdvisoryIDs  []string
}

// Decision is the answer to a boot request. Reason is in the words of the contract or backend and is
// empty when allowed.
type Decision struct {
	Allowed bool
	Reason  string
}

// Authorizer decides whether a CVM may boot. An error means that no decision could be had; callers
// treat it as a denial that may be retried.
type Authorizer interface {
	AuthorizeBoot(ctx context.Context, info BootInfo) (Decision, error)
}

// EnvKey is the public key to which environment variables of an app are encrypted.
type EnvKey struct {
	PublicKey [32]byte // X25519
	Signature [65]byte // r ‖ s ‖ recovery id (0 or 1) by the KMS root key; see dstack-kms GetAppEnvEncryptPubKey
}

// EnvKeys gives the environment encryption key of an app (20-byte app id).
type EnvKeys interface {
	AppEnvKey(ctx context.Context, appID [20]byte) (EnvKey, error)
}
