package api

import (
	"errors"
	"strings"
	"testing"
)

const (
	hex40 = "50b0e7ba1fe5e4e6a2ffcf5e9e44aa53d0b78cc1"
	hex32 = "550e8400e29b41d4a716446655440000"
	uuid4 = "550e8400-e29b-41d4-a716-446655440000"
)

func TestPathID(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"uuid v4 loses its dashes", uuid4, hex32},
		{"case of a uuid is kept", strings.ToUpper(uuid4), strings.ToUpper(hex32)},
		{"uuid without dashes", hex32, hex32},
		{"uuid v1 stays", "550e8400-e29b-11d4-a716-446655440000", "550e8400-e29b-11d4-a716-446655440000"},
		{"app id gets its prefix", hex40, "app_" + hex40},
		{"case of an app id is kept", strings.ToUpper(hex40), "app_" + strings.ToUpper(hex40)},
		{"prefixed app id", "app_" + hex40, "app_" + hex40},
		{"address", "0x" + hex40, "0x" + hex40},
		{"instance id", "instance_" + hex40, "instance_" + hex40},
		{"opaque id", "cvm_a1B2", "cvm_a1B2"},
		{"number", "1234", "1234"},
		{"name", "my-app", "my-app"},
		{"slash cannot leave the segment", "a/../b", "a%2F..%2Fb"},
		{"query cannot begin", "a?b#c", "a%3Fb%23c"},
		{"dot segments", "..", "%2E%2E"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := PathID(tt.in); got != tt.want {
				t.Errorf("PathID(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestParseIdentifier(t *testing.T) {
	for _, tt := range []struct {
		in    string
		kind  IdentifierKind
		value string
	}{
		{uuid4, IdentifierUUID, uuid4},
		{hex32, IdentifierUUID, uuid4},
		{strings.ToUpper(hex32), IdentifierUUID, uuid4},
		{"550e8400-e29b-11d4-0716-446655440000", IdentifierUUID, "550e8400-e29b-11d4-0716-446655440000"},
		{hex40, IdentifierAppID, hex40},
		{"app_" + strings.ToUpper(hex40), IdentifierAppID, hex40},
		{"0x" + strings.ToUpper(hex40), IdentifierAppID, hex40},
		{"0X" + hex40, IdentifierAppID, hex40},
		{"instance_" + strings.ToUpper(hex40), IdentifierInstanceID, hex40},
		{"cvm_aB3", IdentifierHashID, "cvm_aB3"},
		{"0", IdentifierNumeric, "0"},
		{"1234", IdentifierNumeric, "1234"},
		{"my-app", IdentifierName, "my-app"},
		{"My-App", IdentifierName, "My-App"},
	} {
		got, err := ParseIdentifier(tt.in)
		if err != nil || got != (Identifier{tt.kind, tt.value}) {
			t.Errorf("ParseIdentifier(%q) = %v, %v, want %v %q", tt.in, got, err, tt.kind, tt.value)
		}
	}
	for _, in := range []string{
		"", ".", "..", "a/b", "cvm_", "cvm_a b", "cvm_" + strings.Repeat("a", 61), "app_", "app_" + hex40[1:],
		"app_0x" + hex40, "instance_" + hex40 + "0", "0x" + hex32, "007", "-1", "+1", "99999999999999999999999",
		"abcd", "paginated", "provision", "instance-ids", "my--app", "my-app-", "1my-app", "my app", "my-äpp",
		"550e8400-e29b-41d4-a716-44665544000g", "550e-8400e29b41d4a716446655440000", strings.Repeat("a", 64),
	} {
		var field *FieldError
		if got, err := ParseIdentifier(in); !errors.As(err, &field) || field.Field != "id" {
			t.Errorf("ParseIdentifier(%q) = %v, %v, want a FieldError of id", in, got, err)
		}
	}
}

func TestValidateCVMName(t *testing.T) {
	for _, name := range []string{"abcde", "my-app", "A-1-b-2", strings.Repeat("a", 63)} {
		if err := ValidateCVMName(name); err != nil {
			t.Errorf("ValidateCVMName(%q) = %v", name, err)
		}
	}
	for _, tt := range []struct{ name, want string }{
		{"abcd", "5 to 63"}, {strings.Repeat("a", 64), "5 to 63"}, {"1abcd", "beginning"}, {"-abcd", "beginning"},
		{"abcd-", "end"}, {"ab--cd", "in a row"}, {"ab_cd", "only"}, {"abcdé", "only"}, {"eliza", "route"},
	} {
		if err := ValidateCVMName(tt.name); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ValidateCVMName(%q) = %v, want a word about %q", tt.name, err, tt.want)
		}
	}
	for _, name := range ReservedCVMNames() {
		if ValidateCVMName(name) == nil {
			t.Errorf("the route %q may be a name", name)
		}
	}
}

func TestParseHash(t *testing.T) {
	want := strings.Repeat("ab", 32)
	for _, in := range []string{want, strings.ToUpper(want), "0x" + want, "0X" + strings.ToUpper(want)} {
		if got, err := ParseHash("compose_hash", in); err != nil || got != want {
			t.Errorf("ParseHash(%q) = %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "0x", want[1:], want + "0", want[1:] + "g", "0x0x" + want[4:], AlreadyRegistered} {
		if got, err := ParseHash("compose_hash", in); err == nil {
			t.Errorf("ParseHash(%q) = %q, want an error", in, got)
		}
	}
}

func FuzzParseIdentifier(f *testing.F) {
	for _, s := range []string{uuid4, hex32, hex40, "app_" + hex40, "0x" + hex40, "instance_" + hex40, "cvm_a1", "42", "my-app", "..", "a/b", "%2e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if segment := PathID(s); strings.ContainsAny(segment, "/?#") || segment == "." || segment == ".." {
			t.Fatalf("PathID(%q) = %q leaves its segment", s, segment)
		}
		id, err := ParseIdentifier(s)
		if err != nil {
			if id != (Identifier{}) {
				t.Fatalf("ParseIdentifier(%q) = %v with error %v", s, id, err)
			}
			return
		}
		if id.Kind.String() == "unknown" || id.Value == "" {
			t.Fatalf("ParseIdentifier(%q) = %+v", s, id)
		}
		// What the client puts into the path must mean the same as what the user typed.
		if sent, err := ParseIdentifier(PathID(s)); err != nil || sent != id {
			t.Fatalf("%q means %v, but its path segment means %v, %v", s, id, sent, err)
		}
		// The canonical value is its own canonical form.
		canonical := id.Value
		if id.Kind == IdentifierInstanceID {
			canonical = "instance_" + canonical
		}
		if again, err := ParseIdentifier(canonical); err != nil || again != id {
			t.Fatalf("%q → %v → %v, %v", s, id, again, err)
		}
	})
}
