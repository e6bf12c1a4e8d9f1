package history

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lockstep-cvm/lockstep/api"
)

// Kinds of entries.
const (
	KindUpdate   = "update"   // an update changed its state
	KindApproval = "approval" // an update was approved; facts name the transaction, its block and the owner
	KindPending  = "pending"  // an approval was seen that is not as deep in the chain as configured
	KindLost     = "lost"     // such an approval is gone
	KindRollout  = "rollout"  // a fleet rollout changed its state
	KindPower    = "power"    // a CVM is started, stopped, restarted or deleted: the operation changed its state
	KindCVM      = "cvm"      // a CVM was created
	KindRefusal  = "refusal"  // a request to change something was refused
	KindSetting  = "setting"  // a setting of the app was changed
)

// Limits of an entry. What a server writes stays far below; they bound what a reader takes.
const (
	maxText  = 64 << 10
	maxFacts = 64
)

const domain = "lockstep history entry 1\n"

// timeLayout is RFC 3339 with microseconds, which is what the database keeps.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// Time is a time as entries have it.
func Time(t time.Time) string { return t.UTC().Format(timeLayout) }

// NoHash stands where there is no entry before: 64 zeros.
var NoHash = strings.Repeat("0", 2*sha256.Size)

// FieldError says which part of an entry is not as it must be.
type FieldError struct{ Field, Seen, Want string }

// Error implements error.
func (e *FieldError) Error() string {
	return fmt.Sprintf("history: %s is %s, want %s", e.Field, e.Seen, e.Want)
}

// Append gives an entry its number, its link to the head and its hash, and returns the new head and the
// bytes that are hashed. Errors are a *[FieldError].
func Append(appID string, head api.HistoryHead, e *api.HistoryEntry) (api.HistoryHead, []byte, error) {
	e.Seq, e.PrevHash = head.Seq+1, head.Hash
	b, err := Encode(appID, *e)
	if err != nil {
		return head, nil, err
	}
	e.Hash = hashOf(b)
	return api.HistoryHead{Seq: e.Seq, Hash: e.Hash}, b, nil
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Hash is the hash that an entry of an app must have, whatever its member Hash says. Errors are a
// *[FieldError].
func Hash(appID string, e api.HistoryEntry) (string, error) {
	b, err := Encode(appID, e)
	if err != nil {
		return "", err
	}
	return hashOf(b), nil
}

// Encode returns the bytes of an entry, without its hash. Errors are a *[FieldError].
func Encode(appID string, e api.HistoryEntry) ([]byte, error) {
	if id, err := api.ParseAppID("app_id", appID); err != nil || id != appID {
		return nil, &FieldError{"app_id", quote(appID), "40 lower-case hex digits"}
	}
	if e.Seq == 0 {
		return nil, &FieldError{"seq", "0", "1 or more"}
	}
	prev, err := hex.DecodeString(e.PrevHash)
	if err != nil || len(prev) != sha256.Size || e.PrevHash != strings.ToLower(e.PrevHash) {
		return nil, &FieldError{"prev_hash", quote(e.PrevHash), "64 lower-case hex digits"}
	}
	if t, err := time.Parse(timeLayout, e.Time); err != nil || Time(t) != e.Time {
		return nil, &FieldError{"time", quote(e.Time), "the form " + timeLayout}
	}
	if e.Kind == "" || e.Actor == "" {
		return nil, &FieldError{"kind and actor", quote(e.Kind) + " and " + quote(e.Actor), "not empty"}
	}
	if len(e.Facts) > maxFacts {
		return nil, &FieldError{"facts", strconv.Itoa(len(e.Facts)), fmt.Sprintf("at most %d", maxFacts)}
	}
	b := []byte(domain)
	b = appendText(b, appID)
	b = binary.BigEndian.AppendUint64(b, e.Seq)
	b = append(b, prev...)
	for _, field := range []struct{ name, value string }{
		{"time", e.Time}, {"kind", e.Kind}, {"actor", e.Actor}, {"cvm", e.CVM}, {"operation", e.Operation},
	} {
		if err := checkText(field.name, field.value); err != nil {
			return nil, err
		}
		b = appendText(b, field.value)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.Facts)))
	for _, name := range slices.Sorted(maps.Keys(e.Facts)) {
		value := e.Facts[name]
		if err := errors.Join(checkText("a fact's name", name), checkText("the fact "+name, value)); err != nil {
			return nil, err
		}
		b = appendText(appendText(b, name), value)
	}
	return b, nil
}

func checkText(field, s string) error {
	switch {
	case len(s) > maxText:
		return &FieldError{field, fmt.Sprintf("%d bytes long", len(s)), fmt.Sprintf("at most %d", maxText)}
	case !utf8.ValidString(s):
		// JSON cannot carry it, so a copy would not have the same bytes.
		return &FieldError{field, quote(s), "valid UTF-8"}
	}
	return nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// quote shows a value of unknown length and content.
func quote(s string) string { return fmt.Sprintf("%.100q", s) }

// Parse reads the bytes of an entry and hashes them. It takes exactly what Encode makes: the same entry
// never has two forms. Errors are a *[FieldError].
func Parse(b []byte) (appID string, e api.HistoryEntry, err error) {
	r := reader{rest: b}
	if got := string(r.take(len(domain))); got != domain {
		return "", e, &FieldError{"the beginning", quote(got), quote(domain)}
	}
	appID = r.text()
	e.Seq = binary.BigEndian.Uint64(r.fixed(8))
	e.PrevHash = hex.EncodeToString(r.fixed(sha256.Size))
	for _, into := range []*string{&e.Time, &e.Kind, &e.Actor, &e.CVM, &e.Operation} {
		*into = r.text()
	}
	n := binary.BigEndian.Uint32(r.fixed(4))
	if n > maxFacts {
		return "", e, &FieldError{"facts", strconv.FormatUint(uint64(n), 10), fmt.Sprintf("at most %d", maxFacts)}
	}
	e.Facts = make(map[string]string, n)
	for range n {
		name := r.text()
		e.Facts[name] = r.text()
	}
	if r.short || len(r.rest) > 0 {
		return "", e, &FieldError{"the length", fmt.Sprintf("%d bytes", len(b)), "exactly one entry"}
	}
	// Names out of order, names that come twice and bad values are what encoding again does not give.
	again, err := Encode(appID, e)
	if err != nil {
		return "", e, err
	}
	if !bytes.Equal(again, b) {
		return "", e, &FieldError{"facts", "out of order", "ascending names, each once"}
	}
	e.Hash = hashOf(b)
	return appID, e, nil
}

// reader takes bytes from the front; after the end it gives zeros and remembers that.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.short, n = true, len(r.rest)
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) fixed(n int) []byte {
	taken := r.take(n)
	if len(taken) < n {
		return make([]byte, n)
	}
	return taken
}

func (r *reader) text() string {
	n := binary.BigEndian.Uint32(r.fixed(4))
	if n > maxText {
		r.short = true
		return ""
	}
	return string(r.take(int(n)))
}
