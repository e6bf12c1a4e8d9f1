package dstackkms

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Pinned trusts one key, in SEC1 form.
func Pinned(key []byte) (Anchor, error) {
	compressed, err := CompressKey(key)
	if err != nil {
		return nil, err
	}
	return func(context.Context, bool) ([]byte, error) { return compressed[:], nil }, nil
}

// ErrNoRootKey says that the KMS contract names no root key.
var ErrNoRootKey = errors.New("dstackkms: the KMS contract names no root key (kmsInfo().k256Pubkey is empty)")

// Cached trusts what a read says, and remembers it for a while. A read goes to a chain, and an answer there has a
// quote with it.
func Cached(read func(ctx context.Context) ([]byte, error), keep time.Duration, now func() time.Time) Anchor {
	var mu sync.Mutex
	var key []byte
	var until time.Time
	return func(ctx context.Context, fresh bool) ([]byte, error) {
		mu.Lock()
		kept, valid := key, !fresh && len(key) > 0 && now().Before(until)
		mu.Unlock()
		if valid {
			return kept, nil
		}
		got, err := read(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the root key from the KMS contract: %w", err)
		}
		if len(got) == 0 {
			return nil, ErrNoRootKey
		}
		mu.Lock()
		defer mu.Unlock()
		key, until = got, now().Add(keep)
		return got, nil
	}
}
