package control

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// LogGrantLife is how long the address of a log may be opened. A log that is followed goes on after that.
const LogGrantLife = time.Hour

// granter signs addresses of logs. The official clients fetch those without their API key, so the address
// itself must say that it may be opened. The secret follows from what is stored of the API key: every server of
// a database knows it, and it ends with the API key. It is inside a function so that nothing that prints a
// Principal can show it.
type granter func(vmUUID, container string, until int64) []byte

func granterOf(key store.APIKey) granter {
	derive := hmac.New(sha256.New, []byte(key.Hash))
	derive.Write([]byte("lockstep key of log grants 1"))
	secret := derive.Sum(nil)
	return func(vmUUID, container string, until int64) []byte {
		mac := hmac.New(sha256.New, secret)
		fmt.Fprintf(mac, "lockstep log grant 1 %q %q %q %d", key.ID, vmUUID, container, until) // %q keeps the parts apart whatever is in them
		return mac.Sum(nil)
	}
}

// GrantLog makes a token with which the log of one container, or with an empty name the console, of one CVM
// may be read without the API key for LogGrantLife. The caller has checked that the principal may see the
// CVM. It is empty when the principal came without a key.
func (s *Service) GrantLog(p Principal, vmUUID, container string) string {
	if p.grant == nil {
		return ""
	}
	until := s.clock.Now().Add(LogGrantLife).Unix()
	return fmt.Sprintf("%s.%d.%s", p.KeyID, until, base64.RawURLEncoding.EncodeToString(p.grant(vmUUID, container, until)))
}

// errBadGrant is the same for every reason, as errBadKey is.
func errBadGrant(why string) error {
	return problem.New(problem.KindUnauthenticated, "", "the token of this log address is not valid, or not any more").Because(errors.New(why))
}

// RedeemLogGrant tells who made a token, if it is one for this log and the API key behind it is still good.
func (s *Service) RedeemLogGrant(ctx context.Context, token, vmUUID, container string) (Principal, error) {
	keyID, rest, _ := strings.Cut(token, ".")
	expiry, signature, _ := strings.Cut(rest, ".")
	until, err := strconv.ParseInt(expiry, 10, 64)
	if err != nil {
		return Principal{}, errBadGrant("malformed")
	}
	given, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		return Principal{}, errBadGrant("malformed")
	}
	key, err := s.store.Read().GetAPIKey(ctx, keyID)
	if errors.Is(err, store.ErrNotFound) {
		return Principal{}, errBadGrant("unknown key")
	}
	if err != nil {
		return Principal{}, fmt.Errorf("look up API key: %w", err)
	}
	if !hmac.Equal(given, granterOf(key)(vmUUID, container, until)) {
		return Principal{}, errBadGrant("the signature does not fit")
	}
	if !s.clock.Now().Before(time.Unix(until, 0)) {
		return Principal{}, errBadGrant("expired")
	}
	row, err := s.store.Read().GetAPIKeyByHash(ctx, key.Hash)
	if err != nil {
		return Principal{}, fmt.Errorf("look up API key: %w", err)
	}
	return s.principal(row)
}
