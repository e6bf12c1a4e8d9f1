package kms

import "context"

// reasonHashNotAllowed is the contract's word for it, so that a denial reads the same whichever KMS
// gave it (DstackApp.isAppAllowed).
const reasonHashNotAllowed = "Compose hash not allowed"

// AppAllower asks the contracts of a KMS whether a CVM may boot: isAppAllowed(AppBootInfo) of DstackKms,
// called at the latest block. The reason is the contract's and is empty when allowed.
type AppAllower interface {
	IsAppAllowed(ctx context.Context, info BootInfo) (allowed bool, reason string, err error)
}

// OnChainAuthorizer lets a KMS contract decide, as a dstack-kms with the auth-eth backend does. Nothing
// is cached: a hash removed on chain is denied at the next boot.
type OnChainAuthorizer struct {
	Contract AppAllower
}

var _ Authorizer = OnChainAuthorizer{}

// AuthorizeBoot implements Authorizer.
func (a OnChainAuthorizer) AuthorizeBoot(ctx context.Context, info BootInfo) (Decision, error) {
	allowed, reason, err := a.Contract.IsAppAllowed(ctx, info)
	if err != nil {
		return Decision{}, err
	}
	if allowed {
		return Decision{Allowed: true}, nil
	}
	if reason == "" {
		// An app contract of somebody else's making may deny without a word.
		reason = "denied by the app contract"
	}
	return Decision{Reason: reason}, nil
}

// AllowlistAuthorizer is the off-chain KMS: whoever runs the control plane decides, by a list of compose
// hashes per app.
type AllowlistAuthorizer struct {
	// Allowed says whether the compose hash is on the list of the app.
	Allowed func(ctx context.Context, appID [20]byte, composeHash [32]byte) (bool, error)
}

var _ Authorizer = AllowlistAuthorizer{}

// AuthorizeBoot implements Authorizer.
func (a AllowlistAuthorizer) AuthorizeBoot(ctx context.Context, info BootInfo) (Decision, error) {
	allowed, err := a.Allowed(ctx, info.AppID, info.ComposeHash)
	if err != nil {
		return Decision{}, err
	}
	if !allowed {
		return Decision{Reason: reasonHashNotAllowed}, nil
	}
	return Decision{Allowed: true}, nil
}

// AuthorizerFunc makes an Authorizer of a function.
type AuthorizerFunc func(ctx context.Context, info BootInfo) (Decision, error)

// AuthorizeBoot calls the function.
func (f AuthorizerFunc) AuthorizeBoot(ctx context.Context, info BootInfo) (Decision, error) {
	return f(ctx, info)
}
