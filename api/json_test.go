package api

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func readJSON(t *testing.T, name string) ([]byte, any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b, parse(t, b)
}

func parse(t *testing.T, b []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}

// roundTrip decodes a file into T and encodes it again.
func roundTrip[T any](file, want string) func(*testing.T) {
	return func(t *testing.T) {
		in, _ := readJSON(t, file)
		var v T
		if err := json.Unmarshal(in, &v); err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if _, wanted := readJSON(t, want); !reflect.DeepEqual(parse(t, out), wanted) {
			t.Errorf("%s became\n%s", file, out)
		}
	}
}

// The files hold every key of their object, so nothing may be lost, added or change its kind.
func TestRoundTrip(t *testing.T) {
	for _, tt := range []struct {
		file string
		run  func(file, want string) func(*testing.T)
	}{
		{"auth_response.json", roundTrip[AuthResponse]},
		{"current_user_20251028.json", roundTrip[CurrentUser20251028]},
		{"cvm_detail.json", roundTrip[CVMDetail]},
		{"cvm_detail_20251028.json", roundTrip[CVMDetail20251028]},
		{"paginated_20251028.json", roundTrip[PaginatedCVMs20251028]},
		{"vm.json", roundTrip[VM]},
		{"commit_response.json", roundTrip[CommitResponse]},
		{"provision_request.json", roundTrip[ProvisionRequest]},
		{"provision_response.json", roundTrip[ProvisionResponse]},
		{"available_nodes.json", roundTrip[AvailableNodes]},
		{"cvm_state.json", roundTrip[CVMState]},
		{"error_465.json", roundTrip[ErrorEnvelope]},
	} {
		t.Run(tt.file, tt.run(tt.file, tt.file))
	}
	t.Run("absent members become null, but never those that must not", roundTrip[CVM]("cvm_minimal.json", "cvm_minimal.want.json"))
}

// A server that forgets to fill a list must not send null where clients require an array.
func TestZeroValuesHaveNoNullArray(t *testing.T) {
	for _, tt := range []struct {
		value any
		want  string
	}{
		{PaginatedCVMs{}, `{"items":[],"total":0,"page":0,"page_size":0,"pages":0}`},
		{NextAppIDs{}, `{"app_ids":[]}`},
		{ValidationErrors{}, `{"detail":[]}`},
		{AppPubKey{PublicKey: "aa", Signature: "bb"}, `{"public_key":"aa","signature":"bb"}`},
		{KMSInfo{}, `{"id":"","slug":null,"url":"","version":"","chain_id":null,"kms_contract_address":null,"gateway_app_id":null}`},
		{UpdateInProgress{Status: UpdateStatusInProgress}, `{"status":"in_progress","message":"","correlation_id":""}`},
		{AvailableNodes{}.Nodes, `[]`},
		{CVMDetail20251028{}.PublicURLs, `[]`},
	} {
		got, err := json.Marshal(tt.value)
		if err != nil || string(got) != tt.want {
			t.Errorf("%T = %s, %v, want %s", tt.value, got, err, tt.want)
		}
	}
}

func TestAmountTakesStringsAndNumbers(t *testing.T) {
	var c CreditsInfo
	if err := json.Unmarshal([]byte(`{"balance":10.50,"granted_balance":"0.1","outstanding_amount":1e3}`), &c); err != nil {
		t.Fatal(err)
	}
	if c.Balance != "10.50" || c.GrantedBalance != "0.1" || *c.OutstandingAmount != "1e3" {
		t.Errorf("got %+v", c)
	}
	for _, bad := range []string{`{"balance":true}`, `{"balance":{}}`, `{"balance":[]}`} {
		if err := json.Unmarshal([]byte(bad), &c); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestParseVersion(t *testing.T) {
	for in, want := range map[string]Version{
		"": DefaultVersion, "2025-10-28": Version20251028, "2026-01-21": Version20260121, "2030-01-01": DefaultVersion,
	} {
		if got := ParseVersion(in); got != want {
			t.Errorf("ParseVersion(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParseKMSType(t *testing.T) {
	if k, ok := ParseKMSType("BASE"); !ok || k != KMSBase || !k.OnChain() {
		t.Errorf("BASE = %q, %v", k, ok)
	}
	if k, ok := ParseKMSType("phala"); !ok || k.OnChain() {
		t.Errorf("phala = %q, %v", k, ok)
	}
	if k, ok := ParseKMSType("base-sepolia"); ok {
		t.Errorf("base-sepolia = %q", k)
	}
}
