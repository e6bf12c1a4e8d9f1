package appcompose_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/lockstep-cvm/lockstep/appcompose"
)

// vector is a document with what getComposeHash(document, normalize) of
// @phala/dstack-sdk returns for it.
type vector struct {
	Name             string                 `json:"name"`
	Document         string                 `json:"document"`
	SHA256           appcompose.ComposeHash `json:"sha256"`
	NormalizedSHA256 appcompose.ComposeHash `json:"normalized_sha256"`
}

func vectors(tb testing.TB) []vector {
	tb.Helper()
	b, err := os.ReadFile("testdata/canonical.json")
	if err != nil {
		tb.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(b, &vs); err != nil {
		tb.Fatal(err)
	}
	if len(vs) < 30 {
		tb.Fatalf("got %d vectors, want at least 30", len(vs))
	}
	return vs
}

func TestCanonicalKnownAnswers(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			got, err := appcompose.CanonicalHash([]byte(v.Document))
			if err != nil || got != v.SHA256 {
				b, _ := appcompose.Canonical([]byte(v.Document))
				t.Errorf("got %s, %v, want %s\n%s", got, err, v.SHA256, b)
			}
			b, err := appcompose.CanonicalWith([]byte(v.Document), appcompose.CanonicalOptions{Normalize: true})
			if err != nil || appcompose.Hash(b) != v.NormalizedSHA256 {
				t.Errorf("normalized: got %s, %v, want %s\n%s", appcompose.Hash(b), err, v.NormalizedSHA256, b)
			}
		})
	}
}

func TestCanonicalForm(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"sorted":            {`{ "b" : 1, "a" : [ 2, 1 ] }`, `{"a":[2,1],"b":1}`},
		"integer keys":      {`{"a":1,"10":2,"9":3,"09":4,"-1":5,"4294967295":6,"4294967294":7}`, `{"9":3,"10":2,"4294967294":7,"-1":5,"09":4,"4294967295":6,"a":1}`},
		"utf-16 order":      {"{\"\uffff\":1,\"\U0001F600\":2,\"\uE000\":3}", "{\"\U0001F600\":2,\"\uE000\":3,\"\uffff\":1}"},
		"no html escapes":   {`"<>&\u003c\u2028\u2029"`, "\"<>&<\u2028\u2029\""},
		"short escapes":     {`"\u0008\u0009\u000a\u000c\u000d\u000B\u001F\u007f\/\"\\"`, "\"\\b\\t\\n\\f\\r\\u000b\\u001f\u007f/\\\"\\\\\""},
		"lone surrogates":   {`"\uD800 \uDFFF \uD83D\uDE00"`, "\"\\ud800 \\udfff \U0001F600\""},
		"numbers":           {`[1.0,-0,1e21,1e20,1e-6,1e-7,1E400,0.10,1e2,123456789012345678]`, `[1,0,1e+21,100000000000000000000,0.000001,1e-7,null,0.1,100,123456789012345680]`},
		"last key wins":     {`{"a":1,"b":2,"a":{"c":3}}`, `{"a":{"c":3},"b":2}`},
		"proto vanishes":    {`{"__proto__":{"a":1},"b":2}`, `{"b":2}`},
		"constructor stops": {`{"z":{"b":1,"constructor":2,"a":{"d":1,"c":1}},"a":1}`, `{"a":1,"z":{"b":1,"constructor":2,"a":{"d":1,"c":1}}}`},
		"empty":             {` [ { } , [ ] , "" ] `, `[{},[],""]`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := appcompose.Canonical([]byte(tt.in))
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}

func TestCanonicalRefuses(t *testing.T) {
	tests := map[string]struct {
		in     string
		offset int
	}{
		"empty":              {"", 0},
		"white space":        {" \n", 2},
		"two values":         {"1 2", 2},
		"byte order mark":    {"\ufeff{}", 0},
		"trailing comma":     {`{"a":1,}`, 7},
		"leading comma":      {`[,1]`, 1},
		"missing colon":      {`{"a" 1}`, 5},
		"bare key":           {`{a:1}`, 1},
		"leading zero":       {`[01]`, 2},
		"plus":               {`+1`, 0},
		"no digit":           {`-`, 1},
		"dot":                {`1.`, 2},
		"exponent":           {`1e`, 2},
		"literal":            {`tru`, 0},
		"NaN":                {`NaN`, 0},
		"control in string":  {"\"a\nb\"", 2},
		"bad escape":         {`"\x"`, 2},
		"short unicode":      {`"\u12"`, 5},
		"unclosed string":    {`"abc`, 4},
		"unclosed object":    {`{"a":1`, 6},
		"unclosed array":     {`[1`, 2},
		"wrong bracket":      {`[1}`, 2},
		"invalid UTF-8":      {"\"\xff\"", 1},
		"encoded surrogate":  {"\"\xed\xa0\x80\"", 1},
		"no-break space":     {"\u00a01", 0},
		"comment":            {"{} // x", 3},
		"single quotes":      {`'a'`, 0},
		"vertical tab":       {"\v1", 0},
		"too deep":           {strings.Repeat("[", 10001) + strings.Repeat("]", 10001), 10000},
		"escape at the end":  {`"\`, 2},
		"key without quotes": {`{"a":1,b:2}`, 7},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := appcompose.Canonical([]byte(tt.in))
			var se *appcompose.SyntaxError
			if !errors.As(err, &se) || se.Offset != tt.offset {
				t.Errorf("got %v, want a SyntaxError at %d", err, tt.offset)
			}
		})
	}
}

// jsonValue draws JSON texts in scrambled spelling.
func jsonValue(depth int) *rapid.Generator[string] {
	text := rapid.OneOf(rapid.StringN(0, 8, 32), rapid.SampledFrom([]string{"a", "b", "10", "9", "0", "é", "\uE000", "😀", "constructor", "__proto__", ""}))
	return rapid.Custom(func(t *rapid.T) string {
		kind := rapid.IntRange(0, 5).Draw(t, "kind")
		if depth == 0 && kind > 3 {
			kind -= 2
		}
		space := rapid.SampledFrom([]string{"", "", " ", "\n\t"}).Draw(t, "space")
		switch kind {
		case 0:
			return rapid.SampledFrom([]string{"true", "false", "null"}).Draw(t, "literal")
		case 1:
			b, _ := json.Marshal(rapid.Float64().Draw(t, "number"))
			return string(b)
		case 2, 3:
			b, _ := json.Marshal(text.Draw(t, "text"))
			return string(b)
		case 4:
			items := rapid.SliceOfN(jsonValue(depth-1), 0, 4).Draw(t, "items")
			return "[" + space + strings.Join(items, space+","+space) + space + "]"
		default:
			keys := rapid.SliceOfNDistinct(text, 0, 5, rapid.ID).Draw(t, "keys")
			var members []string
			for _, key := range keys {
				k, _ := json.Marshal(key)
				members = append(members, string(k)+space+":"+space+jsonValue(depth-1).Draw(t, "value"))
			}
			return "{" + space + strings.Join(members, space+","+space) + space + "}"
		}
	})
}

func TestCanonicalIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := jsonValue(3).Draw(t, "document")
		once, err := appcompose.Canonical([]byte(in))
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		twice, err := appcompose.Canonical(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s became %s, then %s, %v", in, once, twice, err)
		}
		if !json.Valid(once) || !utf8.Valid(once) {
			t.Fatalf("not JSON: %s", once)
		}
	})
}

func TestCanonicalIgnoresKeyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfNDistinct(rapid.StringN(0, 6, 24).Filter(func(s string) bool { return s != "constructor" }), 1, 12, rapid.ID).Draw(t, "keys")
		members := make([]string, len(keys))
		for i, key := range keys {
			k, _ := json.Marshal(key)
			members[i] = string(k) + ":" + jsonValue(2).Draw(t, "value")
		}
		build := func() []byte { return []byte(`{"outer":[{` + strings.Join(members, ",") + `}]}`) }
		want, err := appcompose.Canonical(build())
		if err != nil {
			t.Fatal(err)
		}
		shuffle := rand.New(rand.NewSource(rapid.Int64().Draw(t, "order")))
		shuffle.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		if got, err := appcompose.Canonical(build()); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %s, %v, want %s", got, err, want)
		}
	})
}

func FuzzCanonical(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add([]byte(v.Document))
	}
	f.Add([]byte(`{"a":[1e999,-0.0,"\ud83d\ud83d\ude00"],"a":{"constructor":[],"0":{}}}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		once, err := appcompose.Canonical(document)
		if accepted, valid := err == nil, json.Valid(document) && utf8.Valid(document); accepted && !valid {
			t.Fatalf("accepted what is not JSON: %q", document)
		} else if !accepted && valid && !strings.Contains(err.Error(), "nested deeper") {
			t.Fatalf("refused JSON: %q: %v", document, err)
		}
		if err != nil {
			if !errors.Is(err, appcompose.ErrInvalidDocument) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		twice, err := appcompose.Canonical(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%q became %q, then %q, %v", document, once, twice, err)
		}
		if _, err := appcompose.CanonicalWith(document, appcompose.CanonicalOptions{Normalize: true}); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkCanonical(b *testing.B) {
	doc := document150KB(b)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := appcompose.Canonical(doc); err != nil {
			b.Fatal(err)
		}
	}
}
