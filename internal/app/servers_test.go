package app_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/examples"
	"github.com/lockstep-cvm/lockstep/internal/app"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmtest"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

// envServe makes the test program a server, with the name of its configuration file.
const envServe = "LOCKSTEP_TEST_SERVE"

func TestMain(m *testing.M) {
	if file := os.Getenv(envServe); file != "" {
		if err := serveUntilTold(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	storetest.Main(m)
}

// shortLease is short enough to wait for in a test.
const shortLease = 2 * time.Second

func quickly() app.Options {
	timeouts := control.DefaultTimeouts()
	timeouts.Poll, timeouts.Retry = 5*time.Millisecond, 10*time.Millisecond
	return app.Options{Timeouts: timeouts, Lease: shortLease}
}

// serveUntilTold is a server in a process of its own: it says where it listens, and ends with its input.
func serveUntilTold(file string) error {
	ctx := context.Background()
	config, err := app.LoadConfig(file, func() []string { return nil }, nil)
	if err != nil {
		return err
	}
	server, err := app.Open(ctx, config, quickly())
	if err != nil {
		return err
	}
	fmt.Println(server.APIURL())
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, server.Close(ctx))
}

// cluster is a dstack host, a PostgreSQL and the servers that share both.
type cluster struct {
	t           *testing.T
	databaseURL string
	keys        string // folder of the embedded KMS
	vmm         *vmmtest.VMM
	url         string // of the host

	mu      sync.Mutex
	calls   map[string]int // of each server that changed something on the host, by its token
	key     string
	created []string // names of CVMs
}

func newCluster(t *testing.T, cvms int) *cluster {
	t.Helper()
	c := &cluster{t: t, databaseURL: storetest.Postgres(t), keys: filepath.Join(t.TempDir(), "keys"), calls: map[string]int{}}
	allow := kms.AuthorizerFunc(func(context.Context, kms.BootInfo) (kms.Decision, error) { return kms.Decision{Allowed: true}, nil })
	var err error
	c.vmm, err = vmmtest.New(vmmtest.Config{Dir: t.TempDir(), Authorizer: allow, DeviceID: device, Tokens: []string{"first", "second", "third"}})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(http.HandlerFunc(c.count))
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
		c.vmm.Close()
	})
	c.url = front.URL
	c.create(cvms)
	return c
}

// count passes a call on to the host and notes whose it is when it changes something.
func (c *cluster) count(w http.ResponseWriter, r *http.Request) {
	switch strings.TrimPrefix(r.URL.Path, vmmrpc.RPCPath) {
	case vmmrpc.CreateVM, vmmrpc.StartVM, vmmrpc.StopVM, vmmrpc.ShutdownVM, vmmrpc.RemoveVM, vmmrpc.UpdateVM:
		c.mu.Lock()
		for _, token := range []string{"first", "second", "third"} {
			if strings.Contains(r.Header.Get("Authorization"), token) {
				c.calls[token]++
			}
		}
		c.mu.Unlock()
	}
	c.vmm.Handler().ServeHTTP(w, r)
}

func (c *cluster) changesBy(token string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[token]
}

// settings are the configuration of a server, whose calls to the host bear its token.
func (c *cluster) settings(token string) string {
	return fmt.Sprintf(`database_url: %q
listen: 127.0.0.1:0
kms: [{slug: off, type: phala, url: https://kms.test, version: dev, keys_dir: %q}]
nodes:
  - {id: 1, name: tdx-1, driver: dstack, device_id: %q, dstack: {url: %q, token: %q},
     images: [{name: dstack-0.5.5, version: [0, 5, 5]}], capacity: {cvms: 100, vcpu: 1000, memory_mb: 1000000}}
`, c.databaseURL, c.keys, hex.EncodeToString(device[:]), c.url, token)
}

func (c *cluster) configure(token string) (file string) {
	c.t.Helper()
	file = filepath.Join(c.t.TempDir(), token+".yaml")
	if err := os.WriteFile(file, []byte(c.settings(token)), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return file
}

// open starts a server in this process.
func (c *cluster) open(token string) *app.Server {
	c.t.Helper()
	config, err := app.LoadConfig(c.configure(token), func() []string { return nil }, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	server, err := app.Open(c.t.Context(), config, quickly())
	if err != nil {
		c.t.Fatal(err)
	}
	return server
}

// create makes CVMs that run, with a server that then ends.
func (c *cluster) create(n int) {
	c.t.Helper()
	ctx, server := c.t.Context(), c.open("third")
	if _, err := server.Control.EnsureWorkspace(ctx, "dev", "dev"); err != nil {
		c.t.Fatal(err)
	}
	key, err := server.Control.CreateKey(ctx, "dev", "dev", []control.Scope{control.ScopeAdmin}, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	c.key = key.Key
	user, err := server.Control.Authenticate(ctx, c.key)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range n {
		name := fmt.Sprintf("cvm-%d", i)
		provisioned, err := server.Control.Provision(ctx, user, api.ProvisionRequest{Name: name, ComposeFile: api.ComposeFile{DockerComposeFile: examples.ComposeV1}}, nil)
		if err != nil {
			c.t.Fatal(err)
		}
		if _, err := server.Control.Commit(ctx, user, api.CommitRequest{AppID: provisioned.Row.AppID, ComposeHash: provisioned.Row.ComposeHash.String()}); err != nil {
			c.t.Fatal(err)
		}
		c.created = append(c.created, name)
	}
	c.untilUpdates(column.Succeeded, n)
	if err := server.Close(context.WithoutCancel(ctx)); err != nil {
		c.t.Fatal(err)
	}
}

// process is a server in a process of its own.
type process struct {
	*exec.Cmd
	url string
}

func (c *cluster) start(token string) *process {
	c.t.Helper()
	p := &process{Cmd: exec.CommandContext(context.WithoutCancel(c.t.Context()), os.Args[0])}
	p.Env = append(os.Environ(), envServe+"="+c.configure(token))
	p.Stderr = os.Stderr
	stdin, err := p.StdinPipe() // its end is the end of the server, however the test ends
	if err != nil {
		c.t.Fatal(err)
	}
	stdout, err := p.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = p.Process.Signal(syscall.SIGCONT) // it may stand still
		_ = stdin.Close()
		_ = p.Wait() // it may have been killed
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		c.t.Fatalf("the server %s did not start: %v", token, err)
	}
	p.url = strings.TrimSpace(line)
	return p
}

// updateAll begins an update of every CVM on a server.
func (c *cluster) updateAll(serverURL string) {
	c.t.Helper()
	client, err := lockstep.NewClient(lockstep.WithBaseURL(serverURL), lockstep.WithAPIKey(c.key))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, name := range c.created {
		result, err := client.UpdateDockerCompose(c.t.Context(), name, examples.ComposeV2)
		if _, ok := result.(*lockstep.InProgress); err != nil || !ok {
			c.t.Fatalf("update of %s = %+v, %v", name, result, err)
		}
	}
}

// until waits for something that the database tells.
func (c *cluster) until(what string, done func(ctx context.Context, db *store.Store) (bool, error)) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Minute)
	defer cancel()
	db, err := store.Open(ctx, c.databaseURL)
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done(ctx, db)
		if err != nil {
			c.t.Fatalf("%s: %v", what, err)
		}
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.t.Fatalf("%s: did not come", what)
		}
	}
}

// untilUpdates waits until the newest update of every CVM has ended, all in one state.
func (c *cluster) untilUpdates(want column.UpdateState, all int) {
	c.t.Helper()
	c.until("updates end "+string(want), func(ctx context.Context, db *store.Store) (bool, error) {
		open, err := db.Read().ListOpenUpdates(ctx)
		if err != nil || len(open) > 0 {
			return false, err
		}
		for id := range int64(all) {
			updates, err := db.Read().ListUpdates(ctx, id+1, 1)
			if err != nil {
				return false, err
			}
			if len(updates) != 1 || updates[0].State != want {
				return false, fmt.Errorf("CVM %d: %+v, want %s", id+1, updates, want)
			}
		}
		return true, nil
	})
}

func (c *cluster) untilServers(n int) {
	c.t.Helper()
	c.until(fmt.Sprintf("%d servers", n), func(ctx context.Context, db *store.Store) (bool, error) {
		servers, err := db.Leases().Servers(ctx)
		return len(servers) == n, err
	})
}

// holdStatus lets no server know how a CVM is, and returns once the first has asked.
func (c *cluster) holdStatus(begin func()) {
	c.t.Helper()
	struck := c.vmm.Faults().Add(vmmtest.Fault{Method: vmmrpc.Status, Hold: true, Times: -1}).Struck()
	begin()
	<-struck
}

// TestUpdatesOfAServerThatIsKilledGoOn kills a server in the middle of updates; another one ends them.
func TestUpdatesOfAServerThatIsKilledGoOn(t *testing.T) {
	const cvms = 3
	c := newCluster(t, cvms)
	first := c.start("first")
	c.holdStatus(func() { c.updateAll(first.url) })
	_ = c.start("second")
	c.untilServers(2)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.vmm.Faults().Clear()
	c.untilUpdates(column.Succeeded, cvms)
	c.untilServers(1)
	if got := c.changesBy("first"); got != 0 {
		t.Errorf("the server that was killed changed the host %d times, want it to have been held before", got)
	}
}

// TestServerThatStoodStillChangesNothing stops a process between a look at the host and what it would do
// next. When it goes on, others have done that.
func TestServerThatStoodStillChangesNothing(t *testing.T) {
	const cvms = 3
	c := newCluster(t, cvms)
	first := c.start("first")
	c.holdStatus(func() { c.updateAll(first.url) })
	_ = c.start("second")
	c.untilServers(2)
	if err := first.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	c.vmm.Faults().Clear() // what the host says of the old documents waits for the first server
	c.untilUpdates(column.Succeeded, cvms)
	c.untilServers(1)
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.untilServers(2) // it noticed, and joined anew
	c.untilUpdates(column.Succeeded, cvms)
	if got := c.changesBy("first"); got != 0 {
		t.Errorf("the server that stood still changed the host %d times after others had taken over", got)
	}
}

// TestChangesReachTheStreamsOfOtherServers watches a CVM on a server while another one works on it.
func TestChangesReachTheStreamsOfOtherServers(t *testing.T) {
	c := newCluster(t, 1)
	first := c.start("first")
	c.holdStatus(func() { c.updateAll(first.url) })
	second := c.open("second")
	defer func() {
		if err := second.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	user, err := second.Control.Authenticate(t.Context(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	cvm, err := second.Control.CVM(t.Context(), user, c.created[0])
	if err != nil || cvm.Active == nil {
		t.Fatalf("%+v, %v; want an update under way", cvm, err)
	}
	changed, stop := second.Control.Watch(cvm.Row.ID)
	defer stop()
	c.vmm.Faults().Clear()
	for cvm.Active != nil {
		<-changed
		if cvm, err = second.Control.CVM(t.Context(), user, c.created[0]); err != nil {
			t.Fatal(err)
		}
	}
	if c.changesBy("second") != 0 || c.changesBy("first") == 0 {
		t.Errorf("changes %v, want all of them to be those of the first server", c.calls)
	}
}

// TestDatabaseThatIsAwayIsToldToClients cuts a server off from its database. Its lease is long, so that it does not
// join anew meanwhile.
func TestDatabaseThatIsAwayIsToldToClients(t *testing.T) {
	databaseURL, link := storetest.CutPostgres(t)
	config := filepath.Join(t.TempDir(), "server.yaml")
	text := fmt.Sprintf("database_url: %q\nlisten: 127.0.0.1:0\nkms: [{slug: off, type: phala, url: https://kms.test, version: dev, keys_dir: %q}]\nnodes: []\n",
		databaseURL, filepath.Join(t.TempDir(), "keys"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := app.LoadConfig(config, func() []string { return nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	server, err := app.Open(t.Context(), loaded, app.Options{Timeouts: control.DefaultTimeouts(), Lease: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		link.Mend()
		if err := server.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	if _, err := server.Control.EnsureWorkspace(t.Context(), "dev", "dev"); err != nil {
		t.Fatal(err)
	}
	key, err := server.Control.CreateKey(t.Context(), "dev", "dev", []control.Scope{control.ScopeAdmin}, 0)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() (status int, body string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.APIURL()+"/cvms/paginated", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-API-Key", key.Key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		b, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(b)
	}
	if status, body := ask(); status != http.StatusOK {
		t.Fatalf("%d %s before the database is away", status, body)
	}
	link.Cut()
	for range 2 {
		if status, body := ask(); status != http.StatusServiceUnavailable || strings.Contains(body, "error_code") {
			t.Errorf("%d %s while the database is away; want 503 without a code, which would make it final", status, body)
		}
	}
	link.Mend()
	status, body := ask()
	for range 100 { // each dead connection of the pools may fail once
		if status == http.StatusOK {
			break
		}
		status, body = ask()
	}
	if status != http.StatusOK {
		t.Errorf("%d %s after the database came back", status, body)
	}
}
