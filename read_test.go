package lockstep

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
)

func TestReads(t *testing.T) {
	ctx := t.Context()
	for _, tt := range []struct {
		name    string
		path    string // with query
		version string
		body    string
		call    func(*Client) (any, error)
		want    string
	}{
		{"GetCurrentUser", "/auth/me", "2026-01-21", `{"user":{"username":"ada"}}`,
			func(c *Client) (any, error) { u, err := c.GetCurrentUser(ctx); return u.User.Username, err }, "ada"},
		{"GetCVM", "/cvms/550e8400e29b41d4a716446655440000", "2026-01-21", `{"id":"cvm_1","status":"running"}`,
			func(c *Client) (any, error) {
				v, err := c.GetCVM(ctx, "550e8400-e29b-41d4-a716-446655440000")
				return v.ID, err
			}, "cvm_1"},
		{"GetCVM20251028", "/cvms/my-app", "2025-10-28", `{"id":7,"status":"running"}`,
			func(c *Client) (any, error) { v, err := c.GetCVM20251028(ctx, "my-app"); return v.ID, err }, "7"},
		{"GetCVMState", "/cvms/my-app/state", "2025-10-28", `{"name":"my-app","status":"stopped"}`,
			func(c *Client) (any, error) { v, err := c.GetCVMState(ctx, "my-app"); return v.Status, err }, "stopped"},
		{"GetKMSInfo", "/kms/a%2Fb", "2025-10-28", `{"id":"kms_1"}`,
			func(c *Client) (any, error) { v, err := c.GetKMSInfo(ctx, "a/b"); return v.ID, err }, "kms_1"},
		{"GetAppEnvEncryptPubKey", "/kms/base/pubkey/" + testApp, "2025-10-28", `{"public_key":"aa","signature":"bb"}`,
			func(c *Client) (any, error) {
				v, err := c.GetAppEnvEncryptPubKey(ctx, "base", "0x"+strings.ToUpper(testApp))
				return v.PublicKey, err
			}, "aa"},
		{"NextAppIDs", "/kms/phala/next_app_id?counts=2", "2025-10-28", `{"app_ids":[{"app_id":"a","nonce":1},{"app_id":"b","nonce":2}]}`,
			func(c *Client) (any, error) { v, err := c.NextAppIDs(ctx, 2); return v[1].AppID, err }, "b"},
		{"GetAvailableNodes", "/teepods/available", "2025-10-28", `{"tier":"PRO"}`,
			func(c *Client) (any, error) { v, err := c.GetAvailableNodes(ctx); return v.Tier, err }, "PRO"},
		{"ProvisionCVM", "/cvms/provision", "2025-10-28", `{"compose_hash":"h"}`,
			func(c *Client) (any, error) {
				v, err := c.ProvisionCVM(ctx, &api.ProvisionRequest{Name: "my-app", ComposeFile: api.ComposeFile{DockerComposeFile: testCompose}})
				return v.ComposeHash, err
			}, "h"},
		{"CommitCVMProvision", "/cvms", "2025-10-28", `{"id":9}`,
			func(c *Client) (any, error) {
				v, err := c.CommitCVMProvision(ctx, &api.CommitRequest{AppID: testApp, ComposeHash: testHash})
				return v.ID, err
			}, "9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got := strings.TrimPrefix(r.URL.RequestURI(), "/api/v1"); got != tt.path || r.Header.Get(api.HeaderVersion) != tt.version {
					t.Errorf("%s in version %q, want %s in %s", got, r.Header.Get(api.HeaderVersion), tt.path, tt.version)
				}
				fmt.Fprint(w, tt.body)
			}, WithAPIVersion(api.Version20251028))
			if got, err := tt.call(c); err != nil || fmt.Sprint(got) != tt.want {
				t.Errorf("got %v, %v, want %s", got, err, tt.want)
			}
		})
	}
}

func TestReadsRefuseBadInput(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was sent", r.Method, r.URL) })
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"GetCVM":             func() error { _, err := c.GetCVM(ctx, ""); return err },
		"GetCVMState":        func() error { _, err := c.GetCVMState(ctx, ""); return err },
		"GetDockerCompose":   func() error { _, err := c.GetDockerCompose(ctx, ""); return err },
		"GetCVMComposeFile":  func() error { _, err := c.GetCVMComposeFile(ctx, ""); return err },
		"GetKMSInfo":         func() error { _, err := c.GetKMSInfo(ctx, ""); return err },
		"pubkey without KMS": func() error { _, err := c.GetAppEnvEncryptPubKey(ctx, "", testApp); return err },
		"pubkey of no app":   func() error { _, err := c.GetAppEnvEncryptPubKey(ctx, "base", "x"); return err },
		"NextAppIDs 0":       func() error { _, err := c.NextAppIDs(ctx, 0); return err },
		"NextAppIDs 21":      func() error { _, err := c.NextAppIDs(ctx, 21); return err },
		"provision bad name": func() error { _, err := c.ProvisionCVM(ctx, &api.ProvisionRequest{Name: "a"}); return err },
		"provision no file":  func() error { _, err := c.ProvisionCVM(ctx, &api.ProvisionRequest{Name: "my-app"}); return err },
		"commit without app": func() error {
			_, err := c.CommitCVMProvision(ctx, &api.CommitRequest{ComposeHash: testHash})
			return err
		},
		"commit without hash": func() error { _, err := c.CommitCVMProvision(ctx, &api.CommitRequest{AppID: testApp}); return err },
		"watch nothing":       func() error { return lastError(c.WatchCVMState(ctx, "", WatchOptions{})) },
		"watch too often":     func() error { return lastError(c.WatchCVMState(ctx, "my-app", WatchOptions{Interval: 1e9})) },
		"watch too long":      func() error { return lastError(c.WatchCVMState(ctx, "my-app", WatchOptions{Timeout: 601e9})) },
	} {
		var field *FieldError
		if err := call(); !errors.As(err, &field) {
			t.Errorf("%s: %v, want a FieldError", name, err)
		}
	}
}

func TestListFetchesPageAfterPage(t *testing.T) {
	var requests []string
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests = append(requests, r.URL.RawQuery)
		switch page := r.URL.Query().Get("page"); page {
		case "1", "2":
			fmt.Fprintf(w, `{"items":[{"id":"%[1]sa"},{"id":"%[1]sb"}],"total":5,"page":%[1]s,"page_size":2,"pages":3}`, page)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	})
	var ids []string
	var last error
	seq := c.ListCVMs(t.Context(), ListOptions{PageSize: 2})
	for cvm, err := range seq {
		if err != nil {
			last = err
			break
		}
		ids = append(ids, cvm.ID)
	}
	if got := strings.Join(ids, " "); got != "1a 1b 2a 2b" || !errors.Is(last, ErrUnauthorized) {
		t.Errorf("got %s, %v", got, last)
	}
	if got := strings.Join(requests, " "); got != "page=1&page_size=2 page=2&page_size=2 page=3&page_size=2" {
		t.Errorf("requests %s", got)
	}
	requests = nil
	for range seq {
		break // nothing further is fetched
	}
	if len(requests) != 1 {
		t.Errorf("requests after an early break: %q", requests)
	}
}

func TestListKMSNarrows(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"items":[{"id":%q}],"total":1,"page":1,"page_size":20,"pages":1}`, r.URL.RawQuery)
	})
	yes := true
	for kms, err := range c.GetKMSList(t.Context(), KMSListOptions{OnChain: &yes}) {
		if err != nil || kms.ID != "is_onchain=true&page=1" {
			t.Errorf("got %v, %v", kms, err)
		}
	}
}

func TestGetWorkspaceNodes(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"items":[{"object_type":"node","name":%q,"status":"MAINTENANCE"}],"total":1,"page":1,"page_size":20,"pages":1}`, r.URL.Path)
	})
	for node, err := range c.GetWorkspaceNodes(t.Context(), "my-team", ListOptions{}) {
		if err != nil || !strings.HasSuffix(*node.Name, "/workspaces/my-team/nodes") || *node.Status != "MAINTENANCE" {
			t.Errorf("got %+v, %v", node, err)
		}
	}
	for node, err := range c.GetWorkspaceNodes(t.Context(), "", ListOptions{}) {
		if field := new(FieldError); node != nil || !errors.As(err, &field) || field.Field != "slug" {
			t.Errorf("without a slug: %v, %v", node, err)
		}
	}
}

func TestDocumentsAreKeptByteForByte(t *testing.T) {
	const document = "{\"name\":\"a\",  \"docker_compose_file\":\"<&>\\u2028\"}\n"
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/compose_file"):
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, document)
		case strings.Contains(r.URL.Path, "quoted"):
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			fmt.Fprint(w, `"a: \"b\"\n"`)
		default:
			w.Header().Set("Content-Type", "text/yaml")
			fmt.Fprint(w, `"a: b"`) // a YAML document that is also JSON
		}
	})
	file, err := c.GetCVMComposeFile(t.Context(), "my-app")
	if err != nil || string(file.Bytes()) != document {
		t.Fatalf("document = %q, %v", file.Bytes(), err)
	}
	// printf '%s\n' '{"name":"a",  "docker_compose_file":"<&>\u2028"}' | sha256sum
	const want = "fc481761922eee46127104dd61d6ba71f5b9c3eecbec024cc534da8d5b386f50"
	if got := file.Hash(); got != want {
		t.Errorf("hash = %s, want %s", got, want)
	}
	var decoded struct{ Name string }
	if err := file.Decode(&decoded); err != nil || decoded.Name != "a" {
		t.Errorf("decoded %+v, %v", decoded, err)
	}
	if text, err := c.GetDockerCompose(t.Context(), "my-app"); err != nil || text != `"a: b"` {
		t.Errorf("yaml = %q, %v", text, err)
	}
	if text, err := c.GetDockerCompose(t.Context(), "quoted-app"); err != nil || text != "a: \"b\"\n" {
		t.Errorf("quoted yaml = %q, %v", text, err)
	}
}
