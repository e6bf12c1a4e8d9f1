package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/server"
	"github.com/lockstep-cvm/lockstep/internal/server/openapitest"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

const (
	base = server.Base

	yamlOne   = "services:\n  web:\n    image: nginx:1.27\n    ports: [\"80:80\"]\n"
	yamlTwo   = "services:\n  web:\n    image: nginx:1.28 # <&> é\n"
	yamlThree = "services:\n  web:\n    image: nginx:1.29\n"

	goodTx  = "0x00000000000000000000000000000000000000000000000000000000000000aa"
	otherTx = "0x00000000000000000000000000000000000000000000000000000000000000bb"
)

// domain is the real domain, of which a test may replace parts.
type domain struct {
	*control.Service
	update func(control.ComposeUpdate) (control.Outcome, error)
	answer func(context.Context, control.Principal, *control.Claim, control.Answer) error
	mu     sync.Mutex
	cvm    func(context.Context) (*control.CVM, error)
	ready  func() error
	envKey func() (kms.EnvKey, error)
}

func (d *domain) UpdateCompose(ctx context.Context, p control.Principal, id string, request control.ComposeUpdate) (control.Outcome, error) {
	if d.update != nil {
		return d.update(request)
	}
	return d.Service.UpdateCompose(ctx, p, id, request)
}

func (d *domain) AnswerRequest(ctx context.Context, p control.Principal, claim *control.Claim, answer control.Answer) error {
	if d.answer != nil {
		return d.answer(ctx, p, claim, answer)
	}
	return d.Service.AnswerRequest(ctx, p, claim, answer)
}

func (d *domain) CVM(ctx context.Context, p control.Principal, id string) (*control.CVM, error) {
	d.mu.Lock()
	cvm := d.cvm
	d.mu.Unlock()
	if cvm != nil {
		return cvm(ctx)
	}
	return d.Service.CVM(ctx, p, id)
}

func (d *domain) setCVM(f func(context.Context) (*control.CVM, error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cvm = f
}

func (d *domain) EnvKey(ctx context.Context, kmsRef, appID string) (kms.EnvKey, error) {
	if d.envKey != nil {
		return d.envKey()
	}
	return d.Service.EnvKey(ctx, kmsRef, appID)
}

func (d *domain) Ready(ctx context.Context) error {
	if d.ready != nil {
		return d.ready()
	}
	return d.Service.Ready(ctx)
}

// harness is a server over the real domain and a real database, with a chain and a node that do what
// the test says. Every response is checked against the OpenAPI document.
type harness struct {
	t        testing.TB
	clock    *manualClock
	chain    *fakeChain
	node     *fakeNode
	domain   *domain
	registry *prometheus.Registry
	log      *syncBuffer
	server   *server.Server
	listener *httptest.Server
	url      string

	publicURL string
	client    *http.Client

	alice, bob, reader string // API keys
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu    sync.Mutex
	b     bytes.Buffer
	quiet bool
}

// forget stops keeping what is logged: a fuzzer logs without end.
func (s *syncBuffer) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet = true
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quiet {
		return len(p), nil
	}
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func newHarness(tb testing.TB, origins ...string) *harness {
	tb.Helper()
	h := newDomain(tb)
	h.serve(origins...)
	return h
}

// migrated is an empty database with its schema. Each test starts with a copy: making the tables anew
// takes longer than most tests.
var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "lockstep-server-test")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "lockstep.db")
	db, err := store.Open(context.Background(), "sqlite:"+file)
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil { // folds the journal into the file
		return nil, err
	}
	return os.ReadFile(file)
})

func newDomain(tb testing.TB) *harness {
	tb.Helper()
	h := &harness{
		t: tb, clock: newClock(), registry: prometheus.NewRegistry(), log: &syncBuffer{},
		chain: &fakeChain{allowed: map[common.Hash]bool{}, txs: map[common.Hash]common.Hash{}},
		node:  &fakeNode{cvms: map[string]*runtime.Status{}},
	}
	ctx := context.Background()
	file := filepath.Join(tb.TempDir(), "lockstep.db")
	schema, err := migrated()
	must(tb, err)
	must(tb, os.WriteFile(file, schema, 0o600))
	db, err := store.Open(ctx, "sqlite:"+file)
	must(tb, err)
	tb.Cleanup(func() { must(tb, db.Close()) })
	dev, err := kms.NewDev(rand.Reader)
	must(tb, err)
	catalog, err := control.NewCatalog(
		[]*control.Node{{
			ID: 5, Name: "node-5", Region: "local", Version: "0.5.5", DeviceID: common.Hash{0xde}, GatewayDomain: "apps.example.org",
			Images:   []control.Image{{Name: "dstack-0.5.5", Version: [3]int64{0, 5, 5}, Hash: strings.Repeat("ff", 32)}},
			Capacity: control.Capacity{CVMs: 100, VCPU: 100, MemoryMB: 1 << 20}, Runtime: h.node,
		}},
		[]*control.KMS{
			{ID: "kms_off", Slug: "off", Type: api.KMSPhala, URL: "https://kms.example.org", Version: "0.5.5", Keys: dev},
			{
				ID: "kms_on", Slug: "on", Type: api.KMSEthereum, URL: "https://kms.example.org", Version: "0.5.5", Keys: dev,
				Contract: common.Address{0xcc}, Registry: h.chain, Contracts: h.chain,
				Chain: &api.Chain{
					ID: 1337, Name: "Test", NativeCurrency: api.ChainCurrency{Name: "Ether", Symbol: "ETH", Decimals: 18},
					RPCURLs:   map[string]api.ChainRPCURLs{"default": {HTTP: api.List[string]{"http://127.0.0.1:8545"}}},
					Contracts: &api.ChainContracts{Multicall3: &api.ChainContract{Address: "0xcA11bde05977b3631167028862bE2a173976CA11"}},
				},
			},
		})
	must(tb, err)
	service, err := control.New(control.Config{
		Store: db, Queue: noQueue{}, Catalog: catalog, Clock: h.clock,
		Timeouts: control.Timeouts{Candidate: time.Hour, Provision: time.Hour, Healthy: time.Hour, Stop: time.Hour, Rollback: time.Hour},
	})
	must(tb, err)
	h.domain = &domain{Service: service}
	for _, k := range []struct {
		workspace string
		scope     control.Scope
		into      *string
	}{{"alice", control.ScopeAdmin, &h.alice}, {"alice", control.ScopeRead, &h.reader}, {"bob", control.ScopeAdmin, &h.bob}} {
		_, err := service.EnsureWorkspace(ctx, k.workspace, "Team "+k.workspace)
		must(tb, err)
		key, err := service.CreateKey(ctx, k.workspace, k.workspace+"-"+string(k.scope), []control.Scope{k.scope}, 0)
		must(tb, err)
		*k.into = key.Key
	}
	return h
}

func (h *harness) serve(origins ...string) {
	h.t.Helper()
	var err error
	h.server, err = server.New(server.Config{
		Domain: h.domain, Clock: h.clock, Metrics: h.registry, Origins: origins, PublicURL: h.publicURL,
		Logger: slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	must(h.t, err)
	h.listener = httptest.NewUnstartedServer(nil)
	h.listener.Config = h.server.HTTPServer()
	h.listener.Start()
	h.t.Cleanup(func() {
		h.server.Shutdown()
		h.listener.Close()
	})
	h.url = h.listener.URL
	h.client = &http.Client{
		Transport: openapitest.Transport(h.t, nil),
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			return fmt.Errorf("redirected to %s", r.URL)
		},
	}
}

// do sends a request with alice's key unless the headers (name, value, …) have another one. An empty
// value removes a header.
func (h *harness) do(method, path, body string, headers ...string) answer {
	h.t.Helper()
	response := h.open(method, path, body, headers...)
	b, err := io.ReadAll(response.Body)
	must(h.t, err)
	must(h.t, response.Body.Close())
	return answer{response.StatusCode, response.Header, b}
}

func (h *harness) open(method, path, body string, headers ...string) *http.Response {
	h.t.Helper()
	request := h.request(h.t.Context(), method, path)
	if body != "" {
		request.Body, request.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Del(headers[i])
		if headers[i+1] != "" {
			request.Header.Set(headers[i], headers[i+1])
		}
	}
	response, err := h.client.Do(request)
	must(h.t, err)
	return response
}

func (h *harness) request(ctx context.Context, method, path string) *http.Request {
	h.t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, h.url+path, http.NoBody)
	must(h.t, err)
	// As the official clients do, on every request.
	request.Header.Set("Content-Type", api.MediaTypeJSON)
	request.Header.Set(api.HeaderAPIKey, h.alice)
	return request
}

// patch sends a Docker Compose file to a CVM.
func (h *harness) patch(id, yaml string, headers ...string) answer {
	h.t.Helper()
	return h.do("PATCH", base+"/cvms/"+id+"/docker-compose", yaml, append([]string{"Content-Type", api.MediaTypeYAML}, headers...)...)
}

// create makes a running CVM over HTTP and returns its numeric id.
func (h *harness) create(name, kmsType string) string {
	h.t.Helper()
	provisioned := h.provision(name, kmsType)
	id := h.commit(provisioned).at(h.t, "id")
	text := fmt.Sprint(id)
	h.settle(text)
	return text
}

func (h *harness) provision(name, kmsType string) answer {
	h.t.Helper()
	body, err := json.Marshal(map[string]any{
		"name": name, "kms": kmsType, "compose_file": map[string]any{"docker_compose_file": yamlOne, "name": ""}, "instance_type": "tdx.small",
	})
	must(h.t, err)
	return h.do("POST", base+"/cvms/provision", string(body)).want(h.t, http.StatusOK)
}

// onChainApp is the app id of CVMs with an on-chain KMS, as the CLI writes it.
const onChainApp = "0xAAaAaAaaAaAaAaaAaAAAAAAAAaaaAaAaAaaAaaAa"

func (h *harness) commit(provisioned answer) answer {
	h.t.Helper()
	hash := provisioned.text(h.t, "compose_hash")
	appID, _ := provisioned.at(h.t, "app_id").(string)
	body := map[string]any{"app_id": appID, "compose_hash": hash}
	if appID == "" {
		h.chain.register(hash, otherTx)
		body = map[string]any{"app_id": onChainApp, "compose_hash": "0x" + hash, "contract_address": onChainApp, "kms_id": "on"}
	}
	b, err := json.Marshal(body)
	must(h.t, err)
	return h.do("POST", base+"/cvms", string(b)).want(h.t, http.StatusOK)
}

// settle takes the operation that runs on a CVM to its end.
func (h *harness) settle(id string) {
	h.t.Helper()
	ctx := context.Background()
	p, err := h.domain.Authenticate(ctx, h.alice)
	must(h.t, err)
	for range 50 {
		cvm, err := h.domain.Service.CVM(ctx, p, id)
		must(h.t, err)
		switch {
		case !cvm.Busy():
			return
		case cvm.Power != nil:
			_, err = h.domain.AdvancePower(ctx, cvm.Power.ID)
		default:
			_, err = h.domain.Advance(ctx, cvm.Active.ID)
		}
		must(h.t, err)
	}
	h.t.Fatalf("the operation of CVM %s does not end", id)
}

// rawGet sends a path as it is, also one that Go's client would not.
func (h *harness) rawGet(path string) answer {
	h.t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	must(h.t, err)
	defer func() { must(h.t, connection.Close()) }()
	_, err = fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: test\r\nX-API-Key: %s\r\nConnection: close\r\n\r\n", path, h.alice)
	must(h.t, err)
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	must(h.t, err)
	b, err := io.ReadAll(response.Body)
	must(h.t, err)
	return answer{response.StatusCode, response.Header, b}
}
