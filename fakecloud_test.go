package lockstep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/lockstep-cvm/lockstep/api"
)

const oldCompose = "services:\n  web:\n    image: nginx:1.28\n"

// fakeCloud is a server with one CVM, and the chain it looks at. Everything it does is counted.
type fakeCloud struct {
	mu         sync.Mutex
	offChain   bool
	saysOnWire bool // phase 1 tells what the contract allows

	running    string // the compose text that runs
	rolling    string // the compose text being rolled out
	ticks      int    // requests until the rollout ends
	rollFails  bool
	candidates map[string]string
	allowed    map[string]bool
	txs        map[string]string // transaction → hash that it registered
	lag        int               // proofs refused before the server sees the chain
	proofCode  int               // 467 or 468, for lag

	rollouts, spent, requests int

	// crashAt is the request that the client does not survive; beforeWork says whether the server
	// still got it.
	crashAt    int
	beforeWork bool
	crash      context.CancelFunc
}

func newFakeCloud() *fakeCloud {
	return &fakeCloud{running: oldCompose, candidates: map[string]string{}, allowed: map[string]bool{}, txs: map[string]string{}, proofCode: 467, crashAt: -1}
}

// composeHash stands for the hash of the app-compose document.
func composeHash(compose string) string { return sha256Hex([]byte("document of " + compose)) }

func (f *fakeCloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, _ := io.ReadAll(r.Body) // a cut-off body is another text, which is fine
	n := f.requests
	f.requests++
	if n == f.crashAt && f.beforeWork {
		f.crash()
		panic(http.ErrAbortHandler)
	}
	f.tick()
	status, answer := f.work(r, string(body))
	if n == f.crashAt {
		f.crash()
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	if strings.HasSuffix(r.URL.Path, ".yml") {
		w.Header().Set("Content-Type", "text/yaml")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer) // a client that went away is the test's intention
}

// tick moves a rollout on.
func (f *fakeCloud) tick() {
	if f.rolling == "" {
		return
	}
	if f.ticks--; f.ticks > 0 {
		return
	}
	if !f.rollFails {
		f.running = f.rolling
	}
	f.rolling = ""
}

func (f *fakeCloud) work(r *http.Request, compose string) (int, string) {
	switch {
	case r.Method == "GET" && strings.HasSuffix(r.URL.Path, "/docker-compose.yml"):
		return 200, f.running
	case r.Method == "GET":
		status, progress := "running", "null"
		if f.rolling != "" {
			status, progress = "updating", `{"target":"running","started_at":null,"correlation_id":"op"}`
		}
		return 200, fmt.Sprintf(`{"id":"cvm_1","name":"my-app","status":%q,"progress":%s,"compose_hash":%q,"resource":{},"gateway":{}}`, status, progress, composeHash(f.running))
	case f.rolling != "":
		return 409, `{"detail":"another operation is running"}`
	}
	hash := r.Header.Get(api.HeaderComposeHash)
	switch {
	case hash == "" && compose == f.running:
		return f.accepted() // unchanged: nothing restarts
	case hash == "" && f.offChain:
		return f.roll(compose)
	case hash == "":
		hash := composeHash(compose)
		f.candidates[hash] = compose
		d := details("compose_hash", quoted(hash), "app_id", quoted(testApp), "device_id", quoted(testDevice), "kms_info", testKMS)
		if f.saysOnWire {
			d = strings.TrimSuffix(d, "]") + fmt.Sprintf(`,{"field":"onchain_status","value":{"compose_hash_allowed":%[1]v,"device_id_allowed":true,"is_allowed":%[1]v}}]`, f.allowed[hash])
		}
		return 465, body465(d)
	case f.candidates[hash] != compose:
		return 466, `{"error_code":"ERR-01-006","message":"unknown or expired"}`
	case f.lag > 0:
		f.lag--
		return f.proofCode, `{"error_code":"ERR-01-007","message":"not seen"}`
	case !api.NoReceipt(r.Header.Get(api.HeaderTransactionHash)) && f.txs[r.Header.Get(api.HeaderTransactionHash)] != hash:
		return 467, `{"error_code":"ERR-01-007","message":"no such transaction"}`
	case !f.allowed[hash]:
		return 468, `{"error_code":"ERR-01-008","message":"not allowed"}`
	}
	delete(f.candidates, hash)
	return f.roll(compose)
}

func (f *fakeCloud) accepted() (int, string) {
	return 202, `{"status":"in_progress","message":"on it","correlation_id":"op"}`
}

func (f *fakeCloud) roll(compose string) (int, string) {
	f.rollouts++
	f.rolling, f.ticks = compose, 3
	return f.accepted()
}

// Approve is the owner: looks at the chain, and registers what is missing.
func (f *fakeCloud) Approve(_ context.Context, a Approval) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.allowed[a.ComposeHash] {
		return AlreadyRegistered, nil
	}
	f.spent++
	tx := fmt.Sprintf("0x%064x", f.spent)
	f.allowed[a.ComposeHash], f.txs[tx] = true, a.ComposeHash
	return tx, nil
}

// memoryCheckpoint is a checkpoint whose process can die around a save.
type memoryCheckpoint struct {
	rec     *CheckpointRecord
	saves   int
	crashAt int // the save that fails
	kept    bool
}

func (m *memoryCheckpoint) Load() (*CheckpointRecord, error) {
	if m.rec == nil {
		return nil, nil
	}
	c := *m.rec
	return &c, nil
}

var errKilled = errors.New("killed")

func (m *memoryCheckpoint) Save(r *CheckpointRecord) error {
	n := m.saves
	m.saves++
	if n == m.crashAt && !m.kept {
		return errKilled
	}
	c := *r
	m.rec = &c
	if n == m.crashAt {
		return errKilled
	}
	return nil
}

func (m *memoryCheckpoint) Clear() error { m.rec = nil; return nil }
