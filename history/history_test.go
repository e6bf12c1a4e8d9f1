package history

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockstep-cvm/lockstep/api"
)

const app = "00112233445566778899aabbccddeeff00112233"

var noon = time.Date(2026, 1, 2, 12, 0, 0, 123456789, time.UTC)

// chain makes a history of n entries.
func chain(t testing.TB, n int) []api.HistoryEntry {
	t.Helper()
	var entries []api.HistoryEntry
	head := api.HistoryHead{Hash: NoHash}
	for i := range n {
		e := api.HistoryEntry{
			Time: Time(noon.Add(time.Duration(i) * time.Second)), Kind: KindUpdate, Actor: "key_1", CVM: "vm", Operation: "upd_1",
			Facts: map[string]string{"to": fmt.Sprint("state", i), "reason": "because"},
		}
		var err error
		if head, _, err = Append(app, head, &e); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries
}

func headOf(entries []api.HistoryEntry) api.HistoryHead {
	last := entries[len(entries)-1]
	return api.HistoryHead{Seq: last.Seq, Hash: last.Hash}
}

// pages are a copy of a history in pages of a size.
func pages(t testing.TB, entries []api.HistoryEntry, size int) []byte {
	t.Helper()
	var out bytes.Buffer
	for from := 0; from < len(entries) || from == 0; from += size {
		page := api.History{AppID: app, Head: headOf(entries), Entries: entries[from:min(from+size, len(entries))]}
		b, err := json.MarshalIndent(page, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	return out.Bytes()
}

// TestBytes writes the documented bytes out by hand: what others implement must not change.
func TestBytes(t *testing.T) {
	e := api.HistoryEntry{
		Seq: 258, PrevHash: strings.Repeat("ab", 32), Time: "2026-01-02T12:00:00.123456Z", Kind: "update", Actor: "key_1",
		Operation: "upd_1", Facts: map[string]string{"to": "approved", "from": "proposed"},
	}
	want := "lockstep history entry 1\n" +
		"\x00\x00\x00\x28" + app +
		"\x00\x00\x00\x00\x00\x00\x01\x02" +
		strings.Repeat("\xab", 32) +
		"\x00\x00\x00\x1b2026-01-02T12:00:00.123456Z" +
		"\x00\x00\x00\x06update" + "\x00\x00\x00\x05key_1" + "\x00\x00\x00\x00" + "\x00\x00\x00\x05upd_1" +
		"\x00\x00\x00\x02" +
		"\x00\x00\x00\x04from" + "\x00\x00\x00\x08proposed" +
		"\x00\x00\x00\x02to" + "\x00\x00\x00\x08approved"
	got, err := Encode(app, e)
	if err != nil || string(got) != want {
		t.Fatalf("bytes = %q, %v\nwant    %q", got, err, want)
	}
	sum := sha256.Sum256([]byte(want))
	if hash, err := Hash(app, e); err != nil || hash != hex.EncodeToString(sum[:]) {
		t.Errorf("hash = %s, %v", hash, err)
	}
	if got := Time(noon.In(time.FixedZone("", 3600))); got != e.Time {
		t.Errorf("time = %s, want %s", got, e.Time)
	}
}

func TestGoodCopies(t *testing.T) {
	entries := chain(t, 7)
	for size := 1; size <= 8; size++ {
		result, err := Check(bytes.NewReader(pages(t, entries, size)), api.HistoryHead{Seq: 3, Hash: entries[2].Hash}, api.HistoryHead{Hash: NoHash})
		if err != nil || result.Head != headOf(entries) || result.Entries != 7 || result.Kinds[KindUpdate] != 7 {
			t.Errorf("pages of %d: %+v, %v", size, result, err)
		}
	}
	rest := pages(t, entries[4:], 10)
	if result, err := Check(bytes.NewReader(rest), api.HistoryHead{Seq: 4, Hash: entries[3].Hash}); err != nil || result.Entries != 3 {
		t.Errorf("the rest after a known head: %+v, %v", result, err)
	}
	empty := fmt.Sprintf(`{"app_id": %q, "head": {"seq": 0, "hash": %q}, "entries": []}`, app, NoHash)
	if result, err := Check(strings.NewReader(empty)); err != nil || result.Entries != 0 {
		t.Errorf("a history without entries: %+v, %v", result, err)
	}
}

func TestBadCopies(t *testing.T) {
	good := chain(t, 6)
	edit := func(i int, f func(*api.HistoryEntry)) func([]api.HistoryEntry) []api.HistoryEntry {
		return func(entries []api.HistoryEntry) []api.HistoryEntry { f(&entries[i]); return entries }
	}
	// forge makes what a server could show that rewrites its history from an entry on.
	forge := func(entries []api.HistoryEntry, from int) []api.HistoryEntry {
		head := api.HistoryHead{Hash: NoHash}
		if from > 0 {
			head = headOf(entries[:from])
		}
		for i := from; i < len(entries); i++ {
			var err error
			if head, _, err = Append(app, head, &entries[i]); err != nil {
				t.Fatal(err)
			}
		}
		return entries
	}
	known := api.HistoryHead{Seq: 4, Hash: good[3].Hash}
	for _, test := range []struct {
		name string
		bad  func([]api.HistoryEntry) []api.HistoryEntry
		want string
	}{
		{"an entry removed", func(e []api.HistoryEntry) []api.HistoryEntry { return append(e[:2], e[3:]...) }, "entry 3: entries count up without a gap"},
		{"two entries swapped", func(e []api.HistoryEntry) []api.HistoryEntry { e[1], e[2] = e[2], e[1]; return e }, "entry 2: entries count up"},
		{"an entry twice", func(e []api.HistoryEntry) []api.HistoryEntry { return append(e[:3], e[2:]...) }, "entry 4: entries count up"},
		{"the first removed", func(e []api.HistoryEntry) []api.HistoryEntry { return e[1:] }, "it begins with entry 1"},
		{"a fact changed", edit(2, func(e *api.HistoryEntry) { e.Facts["to"] = "succeeded" }), "entry 3: hash is that of its members"},
		{"a fact added", edit(2, func(e *api.HistoryEntry) { e.Facts["x"] = "" }), "entry 3: hash"},
		{"a fact taken away", edit(2, func(e *api.HistoryEntry) { delete(e.Facts, "to") }), "entry 3: hash"},
		{"the time changed", edit(2, func(e *api.HistoryEntry) { e.Time = Time(noon) }), "entry 3: hash"},
		{"the actor changed", edit(0, func(e *api.HistoryEntry) { e.Actor = "key_2" }), "entry 1: hash"},
		{"the kind changed", edit(0, func(e *api.HistoryEntry) { e.Kind = KindRefusal }), "entry 1: hash"},
		{"the CVM moved to another member", edit(0, func(e *api.HistoryEntry) { e.CVM, e.Operation = "", "vmupd_1" }), "entry 1: hash"},
		{"an odd time", edit(1, func(e *api.HistoryEntry) { e.Time = "yesterday" }), "entry 2: its members have their form"},
		{"no actor", edit(1, func(e *api.HistoryEntry) { e.Actor = "" }), "entry 2: its members have their form"},
		{"another hash", edit(5, func(e *api.HistoryEntry) { e.Hash = NoHash }), "entry 6: hash"},
		{"another link", edit(5, func(e *api.HistoryEntry) { e.PrevHash = NoHash }), "entry 6: prev_hash"},
		{"rewritten, hashes and all", func(e []api.HistoryEntry) []api.HistoryEntry {
			e[1].Facts["to"] = "other"
			return forge(e, 1)
		}, "entry 4: it is the entry that was seen before"},
	} {
		t.Run(test.name, func(t *testing.T) {
			entries := make([]api.HistoryEntry, len(good))
			for i, e := range good {
				e.Facts = maps.Clone(e.Facts)
				entries[i] = e
			}
			_, err := Check(bytes.NewReader(pages(t, test.bad(entries), 4)), known)
			if _, ok := errors.AsType[*BrokenError](err); !ok || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want %q", err, test.want)
			}
		})
	}
}

func TestTheEndIsChecked(t *testing.T) {
	entries := chain(t, 5)
	page := api.History{AppID: app, Head: headOf(entries), Entries: entries[:4]}
	cut, _ := json.Marshal(page)
	page.Entries = nil
	none, _ := json.Marshal(page)
	short := pages(t, entries[:3], 10)
	for name, test := range map[string]struct {
		copied []byte
		known  []api.HistoryHead
		want   string
	}{
		"cut off before its head":    {cut, nil, "the last entry is the head, number 5"},
		"no entries but a head":      {none, nil, "the last entry is the head, number 5"},
		"older than what was seen":   {short, []api.HistoryHead{headOf(entries)}, "it has the entry that was seen before, number 5"},
		"begins in the middle":       {pages(t, entries[2:], 5), []api.HistoryHead{headOf(entries)}, "it begins with entry 1"},
		"after another entry's hash": {pages(t, entries[2:], 5), []api.HistoryHead{{Seq: 2, Hash: NoHash}}, "entry 3: prev_hash"},
	} {
		_, err := Check(bytes.NewReader(test.copied), test.known...)
		if _, ok := errors.AsType[*BrokenError](err); !ok || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestUnreadableCopies(t *testing.T) {
	good := string(pages(t, chain(t, 1), 1))
	for _, text := range []string{
		"", "[]", "{", `{"app_id": "0xAB"}`, good + `{"app_id": "` + strings.Repeat("1", 40) + `"}`, good + "x",
	} {
		if _, err := Check(strings.NewReader(text)); err == nil {
			t.Errorf("%.40q was taken for a history", text)
		}
	}
}

func TestHeads(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for _, text := range []string{"12:" + hash, "12:0x" + strings.ToUpper(hash)} {
		if head, err := ParseHead(text); err != nil || head != (api.HistoryHead{Seq: 12, Hash: hash}) {
			t.Errorf("%s = %+v, %v", text, head, err)
		}
	}
	for _, text := range []string{"", "12", hash, "12:" + hash[1:], "-1:" + hash, "x:" + hash} {
		if head, err := ParseHead(text); err == nil || !strings.Contains(err.Error(), "SEQ:HASH") {
			t.Errorf("%q = %+v, %v; want what is expected", text, head, err)
		}
	}
}

func TestWhatCannotBeEncoded(t *testing.T) {
	good := chain(t, 1)[0]
	for name, edit := range map[string]func(*api.HistoryEntry){
		"seq":       func(e *api.HistoryEntry) { e.Seq = 0 },
		"prev_hash": func(e *api.HistoryEntry) { e.PrevHash = strings.ToUpper(strings.Repeat("ab", 32)) },
		"time":      func(e *api.HistoryEntry) { e.Time = "2026-01-02T12:00:00Z" },
		"kind":      func(e *api.HistoryEntry) { e.Kind = "" },
		"cvm":       func(e *api.HistoryEntry) { e.CVM = "\xff" },
		"operation": func(e *api.HistoryEntry) { e.Operation = strings.Repeat("x", maxText+1) },
		"the fact": func(e *api.HistoryEntry) {
			e.Facts = map[string]string{"a": "\xff"}
		},
		"facts": func(e *api.HistoryEntry) {
			e.Facts = map[string]string{}
			for i := range maxFacts + 1 {
				e.Facts[strconv.Itoa(i)] = ""
			}
		},
	} {
		e := good
		edit(&e)
		_, err := Encode(app, e)
		if field, ok := errors.AsType[*FieldError](err); !ok || !strings.Contains(field.Field, name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Encode(strings.ToUpper(app)+"A", good); err == nil {
		t.Error("a bad app id was taken")
	}
}

// TestParseIsTheInverse makes entries of anything and reads them back; and no two entries share bytes.
func TestParseIsTheInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		e := api.HistoryEntry{
			Seq: rapid.Uint64Min(1).Draw(t, "seq"), PrevHash: strings.Repeat("0f", 32),
			Time: Time(time.UnixMicro(rapid.Int64Range(0, 1<<50).Draw(t, "time"))),
			Kind: "k" + text.Draw(t, "kind"), Actor: "a" + text.Draw(t, "actor"), CVM: text.Draw(t, "cvm"), Operation: text.Draw(t, "operation"),
			Facts: rapid.MapOfN(text, text, 0, 5).Draw(t, "facts"),
		}
		b, err := Encode(app, e)
		if err != nil {
			t.Fatal(err)
		}
		id, got, err := Parse(b)
		if err != nil || id != app {
			t.Fatalf("parse: %s, %v", id, err)
		}
		hash, _ := Hash(app, e)
		e.Hash = hash
		if !reflect.DeepEqual(got, e) {
			t.Fatalf("got  %+v\nwant %+v", got, e)
		}
		i := rapid.IntRange(0, len(b)-1).Draw(t, "flip")
		b[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, other, err := Parse(b); err == nil && other.Hash == hash {
			t.Fatal("other bytes have the same hash")
		}
	})
}

func FuzzParse(f *testing.F) {
	b, err := Encode(app, chain(f, 1)[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(domain))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, e, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Encode(id, e)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("parsed %q into what has other bytes: %q, %v", b, again, err)
		}
	})
}

// FuzzCheck makes sure that a copy that passes is a chain, whatever was read.
func FuzzCheck(f *testing.F) {
	entries := chain(f, 3)
	f.Add(pages(f, entries, 2))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		known := api.HistoryHead{Seq: 2, Hash: entries[1].Hash}
		result, err := Check(bytes.NewReader(b), known)
		if err == nil && result.Head.Seq < known.Seq {
			t.Fatalf("a copy without the entry that is known was taken: %+v", result)
		}
	})
}
