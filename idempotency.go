package lockstep

import (
	"context"
	"net/http"

	"github.com/lockstep-cvm/lockstep/api"
)

type idempotencyKey struct{}

// ContextWithIdempotencyKey gives every request with this context that changes something the header
// Idempotency-Key. A Lockstep server carries such a request out once however often it comes, for at least a
// day; so the client repeats it also when the connection broke and nobody knows whether it arrived. Each
// request needs a key of its own: 1 to 255 printable ASCII characters without spaces. The hosted service
// does not know the header; [Client.Apply] gives each of its requests a key that follows from
// [ApplyRequest.IdempotencyKey].
func ContextWithIdempotencyKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, idempotencyKey{}, key)
}

// idempotencyKeyOf is the key of a request, or nothing.
func idempotencyKeyOf(ctx context.Context, method string) string {
	key, _ := ctx.Value(idempotencyKey{}).(string)
	if method == http.MethodGet {
		return ""
	}
	return key
}

// checkIdempotencyKey returns a *[FieldError] for what no header may carry.
func checkIdempotencyKey(key string) error {
	bad := len(key) > 255
	for i := range len(key) {
		bad = bad || key[i] <= ' ' || key[i] > '~'
	}
	if bad {
		return &FieldError{Field: api.HeaderIdempotencyKey, Seen: "something else", Expected: "1 to 255 printable ASCII characters without spaces"}
	}
	return nil
}
