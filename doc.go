// Package lockstep is the Go SDK: it changes the Docker Compose file of a running confidential VM
// (CVM) together with its owner's approval on chain, against a Lockstep server or the hosted Phala
// Cloud.
//
// # Client
//
//	client, err := lockstep.NewClient(lockstep.WithAPIKey(key))
//
// Options go before the environment (PHALA_CLOUD_API_KEY, PHALA_CLOUD_API_PREFIX), which goes before
// the defaults. A Client is safe for concurrent use.
//
// # One update in two phases
//
// [Client.UpdateDockerCompose] sends a compose file. What comes back is one of two things, and the
// type says which:
//
//	switch r := result.(type) {
//	case *lockstep.InProgress:   // accepted: it is being rolled out
//	case *lockstep.Precondition: // register r.ComposeHash on chain, then send the same file again
//	}                            // with WithComposeHash and WithTransactionHash
//
// [Client.Apply] does both phases with an [Approver] that the caller gives, and can wait for the
// result. It can be called again after a crash: it goes on where it was, and asks for an approval
// again only when it cannot know that one was given.
//
// # Errors
//
// An answer with status 400 or above is an *[APIError] with code, details and suggestions;
// [errors.Is] finds the cases one acts on ([ErrHashInvalidOrExpired], [ErrNotFound] and so on).
// Input that breaks a rule before anything is sent is a *[FieldError]. An answer that is not what the
// API promises is a *[ResponseError]. API keys never appear in errors.
//
// # Retries
//
// A GET is repeated when the connection fails and on 408, 425, 429 and 5xx. A write is repeated only
// where the server said that it did nothing: a 409 without an error code (another operation is
// running), 429 and 503. Retry-After is honoured.
//
// # What it does not do
//
// The package imports nothing but the standard library and [github.com/lockstep-cvm/lockstep/api].
// Registering a hash on chain is in github.com/lockstep-cvm/lockstep/onchain.
package lockstep
