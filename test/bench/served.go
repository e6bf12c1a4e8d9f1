package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/app"
	"github.com/lockstep-cvm/lockstep/internal/control"
)

// served is a `lockstep serve` of its own process, or a server in this process when that is to be profiled.
type served struct {
	url     string // of the API
	address string
	config  string // file
	key     string // of the API, scope admin
	process *exec.Cmd
	inside  *app.Server
	http    *http.Client
}

// start writes the configuration, makes a key, and starts a server. The text of the configuration gets the address to listen
// on and the URL of the database in front.
func startServed(ctx context.Context, env *environment, dir, config string) (*served, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	database, err := env.databaseIn(ctx, dir)
	if err != nil {
		return nil, err
	}
	s := &served{url: "http://" + address + "/api/v1", address: address, config: filepath.Join(dir, "lockstep.yaml")}
	s.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	text := fmt.Sprintf("database_url: %q\nlisten: %s\nlog: {level: error}\n%s", database, address, config)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	keys, err := s.keys(ctx, 1, control.ScopeAdmin)
	if err != nil {
		return nil, err
	}
	s.key = keys[0]
	return s, s.start(ctx, env)
}

// keys makes API keys of one workspace, in the database.
func (s *served) keys(ctx context.Context, count int, scope control.Scope) (keys []string, err error) {
	config, err := app.LoadConfig(s.config, func() []string { return nil }, nil)
	if err != nil {
		return nil, err
	}
	store, err := app.OpenKeys(ctx, config)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	for range count {
		key, err := store.Create(ctx, "bench", "bench", []control.Scope{scope}, 0)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key.Key)
	}
	return keys, nil
}

func (s *served) start(ctx context.Context, env *environment) error {
	if env.inside {
		config, err := app.LoadConfig(s.config, func() []string { return nil }, nil)
		if err != nil {
			return err
		}
		s.inside, err = app.Open(ctx, config, app.Options{})
		return err
	}
	s.process = exec.CommandContext(ctx, env.server, "serve", "--config", s.config)
	s.process.Stderr = os.Stderr
	if err := s.process.Start(); err != nil {
		return err
	}
	if err := untilReady(ctx, "http://"+s.address+"/readyz"); err != nil {
		s.stop()
		return err
	}
	return nil
}

func (s *served) stop() {
	s.http.CloseIdleConnections()
	switch {
	case s.inside != nil:
		_ = s.inside.Close(context.Background()) // it was only measured
	case s.process != nil:
		_ = s.process.Process.Signal(os.Interrupt)
		_ = s.process.Wait() // how it ends does not matter here
	}
}

// resident is the memory of the server in MB, once it has given back what it does not need.
func (s *served) resident() (float64, error) {
	if s.inside != nil {
		runtime.GC()
		return residentMB(os.Getpid())
	}
	return residentMB(s.process.Process.Pid)
}

// call sends a request with a JSON body, or another one, and reads the JSON answer.
func (s *served) call(ctx context.Context, method, path, contentType string, body []byte, answer any) (int, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header = http.Header{"X-Api-Key": {s.key}, "Content-Type": {contentType}}
	response, err := s.http.Do(request)
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // it was read to its end
	if err != nil {
		return 0, err
	}
	if response.StatusCode >= http.StatusInternalServerError || response.StatusCode == http.StatusUnauthorized {
		return response.StatusCode, fmt.Errorf("%s %s was answered with %d: %s", method, path, response.StatusCode, text)
	}
	if answer != nil {
		err = json.Unmarshal(text, answer)
	}
	return response.StatusCode, err
}

// create makes a CVM by provision and commit, and returns its name.
func (s *served) create(ctx context.Context, name string) error {
	body := fmt.Appendf(nil, `{"name": %q, "kms": "PHALA", "compose_file": {"docker_compose_file": %q}}`, name, nextYAML())
	var provisioned struct {
		AppID       string `json:"app_id"`
		ComposeHash string `json:"compose_hash"`
	}
	status, err := s.call(ctx, http.MethodPost, "/cvms/provision", "application/json", body, &provisioned)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("provision: status %d: %w", status, err)
	}
	body = fmt.Appendf(nil, `{"app_id": %q, "compose_hash": %q}`, provisioned.AppID, provisioned.ComposeHash)
	status, err = s.call(ctx, http.MethodPost, "/cvms", "application/json", body, nil)
	if err != nil || status >= http.StatusBadRequest {
		return fmt.Errorf("commit: status %d: %w", status, err)
	}
	return nil
}

// inParallel does something for every number below n, at most clients of them at once.
func inParallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	next := make(chan int)
	for range min(n, clients) {
		group.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	group.Wait()
	return context.Cause(ctx)
}

// settled waits until no update is under way.
func (s *served) settled(ctx context.Context) error {
	for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); {
		open, err := s.metric(ctx, "lockstep_updates_open{")
		if err != nil || open == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return errors.New("updates did not come to an end in 10 minutes")
}

// metric sums the values of the metrics whose line begins with a prefix.
func (s *served) metric(ctx context.Context, prefix string) (sum float64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	response, err := s.http.Do(request)
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // it was read to its end
	found := false
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		var value float64
		if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &value); err != nil {
			return 0, fmt.Errorf("metric %s: %w", line, err)
		}
		sum, found = sum+value, true
	}
	if !found {
		err = errors.Join(err, fmt.Errorf("the server has no metric %s", prefix))
	}
	return sum, err
}
