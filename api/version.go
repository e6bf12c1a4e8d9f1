package api

// Version is a value of the X-Phala-Version header. It selects the shape of GET /auth/me,
// GET /cvms/paginated, GET /cvms/{id}, GET /apps, GET /apps/{app} and GET /apps/{app}/cvms; all
// other operations have one shape.
type Version string

// The versions the clients know.
const (
	Version20251028 Version = "2025-10-28"
	Version20260121 Version = "2026-01-21"

	// DefaultVersion is meant when the header is missing or unknown: the state stream and the log
	// downloads of the official clients send none.
	DefaultVersion = Version20260121
)

// ParseVersion returns the version a header value means; a missing or unknown value means
// [DefaultVersion].
func ParseVersion(header string) Version {
	switch v := Version(header); v {
	case Version20251028, Version20260121:
		return v
	}
	return DefaultVersion
}

// DefaultBaseURL is where the hosted service answers. Operation paths are appended to it.
const DefaultBaseURL = "https://cloud-api.phala.com/api/v1"

// Names of the request headers with a meaning of their own.
const (
	// HeaderAPIKey carries the API key.
	HeaderAPIKey = "X-API-Key"
	// HeaderVersion carries the [Version].
	HeaderVersion = "X-Phala-Version"
	// HeaderComposeHash carries, in phase 2, the compose hash that phase 1 answered with.
	HeaderComposeHash = "X-Compose-Hash"
	// HeaderTransactionHash carries, in phase 2, the hash of the transaction that registered the
	// compose hash, or [AlreadyRegistered].
	HeaderTransactionHash = "X-Transaction-Hash"
	// HeaderPrepareOnly set to "true" asks for phase 1 alone, with a commit token.
	HeaderPrepareOnly = "X-Prepare-Only"
	// HeaderWorkspace names a workspace by slug; documented, not sent by the official clients.
	HeaderWorkspace = "X-Workspace-Id"
	// HeaderIdempotencyKey names a request that changes something, so that it can be repeated without being
	// carried out twice; beyond the hosted API.
	HeaderIdempotencyKey = "Idempotency-Key"
	// HeaderRequestID carries the request id of an answer.
	HeaderRequestID = "X-Request-Id"
)

// Media types of request and response bodies. Documents are sent as text/*: the JavaScript client
// turns application/yaml into a Blob.
const (
	MediaTypeJSON        = "application/json"
	MediaTypeYAML        = "text/yaml"
	MediaTypeText        = "text/plain"
	MediaTypeEventStream = "text/event-stream"
)

// AlreadyRegistered is sent instead of a transaction hash when nothing had to be registered: there
// is no receipt to verify, only the contract's state. An empty value means the same.
const AlreadyRegistered = "already-registered"

// MaxComposeSize is the greatest size of a Docker Compose file and its pre-launch script together,
// in bytes of UTF-8 (200 KiB). The official clients check it before they send.
const MaxComposeSize = 200 * 1024
