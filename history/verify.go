package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/lockstep-cvm/lockstep/api"
)

// BrokenError says where a history is not what it claims to be.
type BrokenError struct {
	AppID string
	Seq   uint64 // of the entry; 0 when it is about the whole copy
	Rule  string // what must hold
	Seen  string
}

// Error implements error.
func (e *BrokenError) Error() string {
	where := "history of " + e.AppID
	if e.Seq > 0 {
		where += fmt.Sprintf(", entry %d", e.Seq)
	}
	return fmt.Sprintf("%s: %s (seen: %s)", where, e.Rule, e.Seen)
}

// Verifier checks the entries of one app, oldest first. The zero value with an AppID begins with entry 1.
type Verifier struct {
	AppID string
	// Known are heads that were seen before and must be part of the history.
	Known []api.HistoryHead

	head api.HistoryHead
	met  map[uint64]bool
}

// From is a verifier that goes on after a head that is known to be good: its first entry is the next one.
func From(appID string, head api.HistoryHead) *Verifier {
	return &Verifier{AppID: appID, head: head, met: map[uint64]bool{head.Seq: true}}
}

// Head is the newest entry that was checked.
func (v *Verifier) Head() api.HistoryHead {
	if v.head.Seq == 0 {
		return api.HistoryHead{Hash: NoHash}
	}
	return v.head
}

// Add checks the next entry. The error is a *[BrokenError], and the verifier stays where it was.
func (v *Verifier) Add(e api.HistoryEntry) error {
	broken := func(rule, seen string) error { return &BrokenError{v.AppID, e.Seq, rule, seen} }
	head := v.Head()
	if e.Seq != head.Seq+1 {
		return &BrokenError{v.AppID, head.Seq + 1, "entries count up without a gap", fmt.Sprintf("number %d", e.Seq)}
	}
	if e.PrevHash != head.Hash {
		return broken("prev_hash is the hash of the entry before, "+head.Hash, quote(e.PrevHash))
	}
	hash, err := Hash(v.AppID, e)
	if err != nil {
		return broken("its members have their form", err.Error())
	}
	if e.Hash != hash {
		return broken("hash is that of its members, "+hash, quote(e.Hash))
	}
	for _, known := range v.Known {
		if known.Seq == e.Seq && !strings.EqualFold(known.Hash, hash) {
			return broken("it is the entry that was seen before, "+known.Hash, hash)
		}
	}
	v.head = api.HistoryHead{Seq: e.Seq, Hash: hash}
	if v.met == nil {
		v.met = map[uint64]bool{}
	}
	for _, known := range v.Known {
		if known.Seq == e.Seq {
			v.met[known.Seq] = true
		}
	}
	return nil
}

// End checks, after the last entry, that nothing is missing up to the head that the server names and up to
// the heads that were known before. The error is a *[BrokenError].
func (v *Verifier) End(claimed api.HistoryHead) error {
	head := v.Head()
	if claimed.Seq != head.Seq || !strings.EqualFold(claimed.Hash, head.Hash) {
		return &BrokenError{v.AppID, 0, fmt.Sprintf("the last entry is the head, number %d with hash %s", claimed.Seq, claimed.Hash),
			fmt.Sprintf("number %d with hash %s", head.Seq, head.Hash)}
	}
	for _, known := range v.Known {
		empty := known.Seq == 0 && strings.EqualFold(known.Hash, NoHash)
		if !v.met[known.Seq] && !empty {
			return &BrokenError{v.AppID, 0, fmt.Sprintf("it has the entry that was seen before, number %d with hash %s", known.Seq, known.Hash),
				fmt.Sprintf("it ends with number %d", head.Seq)}
		}
	}
	return nil
}

// ParseHead reads a head as people keep it: SEQ:HASH. The error is a *[FieldError].
func ParseHead(s string) (api.HistoryHead, error) {
	number, hash, _ := strings.Cut(s, ":")
	seq, err := strconv.ParseUint(number, 10, 64)
	if err == nil {
		hash, err = api.ParseHash("head", hash)
	}
	if err != nil {
		return api.HistoryHead{}, &FieldError{"head", quote(s), "SEQ:HASH, such as 12:" + NoHash}
	}
	return api.HistoryHead{Seq: seq, Hash: hash}, nil
}

// Result is what is known of a copy that was checked and found good.
type Result struct {
	AppID   string          `json:"app_id"`
	Entries uint64          `json:"entries"`
	Head    api.HistoryHead `json:"head"`
	Kinds   map[string]int  `json:"kinds"` // how many entries there are of each kind
}

// Check reads a copy, which is the answers of GET /apps/{app_id}/history one after another, and checks it.
// With known heads the history must contain them; a copy that begins in the middle needs the head right
// before it among them. Errors are a *[BrokenError], a *[FieldError], or what reading the copy gave.
func Check(copied io.Reader, known ...api.HistoryHead) (*Result, error) {
	decoder := json.NewDecoder(copied)
	var v *Verifier
	result := &Result{Kinds: map[string]int{}}
	var last *api.History
	for {
		var page api.History
		err := decoder.Decode(&page)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("history: the copy cannot be read: %w", err)
		}
		if v == nil {
			if v, err = begin(page, known); err != nil {
				return nil, err
			}
			result.AppID = page.AppID
		}
		if page.AppID != v.AppID {
			return nil, &FieldError{"app_id", quote(page.AppID), "the same on every page: " + v.AppID}
		}
		for _, e := range page.Entries {
			if err := v.Add(e); err != nil {
				return nil, err
			}
			result.Entries++
			result.Kinds[e.Kind]++
		}
		last = &page
	}
	if last == nil {
		return nil, &FieldError{"the copy", "empty", "the answers of GET /apps/{app_id}/history"}
	}
	if err := v.End(last.Head); err != nil {
		return nil, err
	}
	result.Head = v.Head()
	return result, nil
}

// begin makes the verifier for a copy with this first page.
func begin(page api.History, known []api.HistoryHead) (*Verifier, error) {
	if id, err := api.ParseAppID("app_id", page.AppID); err != nil || id != page.AppID {
		return nil, &FieldError{"app_id", quote(page.AppID), "40 lower-case hex digits"}
	}
	v := &Verifier{AppID: page.AppID}
	if len(page.Entries) > 0 && page.Entries[0].Seq > 1 {
		for _, head := range known {
			if head.Seq == page.Entries[0].Seq-1 {
				v = From(page.AppID, head)
			}
		}
		if v.head.Seq == 0 {
			return nil, &BrokenError{page.AppID, 0, "it begins with entry 1, or right after a head that is known",
				fmt.Sprintf("it begins with entry %d", page.Entries[0].Seq)}
		}
	}
	v.Known = known
	return v, nil
}
