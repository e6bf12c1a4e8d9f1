package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// server is the `lockstep serve` process, started again after each death.
type server struct {
	program string
	config  string // file
	address string
	log     *os.File

	mu      sync.Mutex
	process *exec.Cmd
	exited  chan struct{}
}

func newServer(dir, program, address, config string) (*server, error) {
	log, err := os.OpenFile(filepath.Join(dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &server{program: program, config: config, address: address, log: log}, nil
}

// start starts the process and waits until it answers.
func (s *server) start(ctx context.Context) error {
	process := exec.Command(s.program, "serve", "--config", s.config) //nolint:noctx // it must outlive the context: it is killed on purpose
	process.Stdout, process.Stderr = s.log, s.log
	if err := process.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		_ = process.Wait() // killed, most of the time
		close(exited)
	}()
	s.mu.Lock()
	s.process, s.exited = process, exited
	s.mu.Unlock()
	return s.awaitReady(ctx, exited)
}

// errExited says that a server ended by itself, which it never may.
var errExited = errors.New("ended by itself")

func (s *server) awaitReady(ctx context.Context, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close() // only the status counts
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-exited:
			return fmt.Errorf("server %w: see %s", errExited, s.log.Name())
		case <-ctx.Done():
			return fmt.Errorf("server was not ready in time: see %s", s.log.Name())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// kill ends the process at once, in the middle of whatever it does. It tells whether the process had ended
// by itself before, which it never may.
func (s *server) kill() error {
	s.mu.Lock()
	process, exited := s.process, s.exited
	s.mu.Unlock()
	select {
	case <-exited:
		return fmt.Errorf("server %w: see %s", errExited, s.log.Name())
	default:
	}
	err := process.Process.Kill()
	<-exited
	return err
}

func (s *server) close() error {
	s.mu.Lock()
	process, exited := s.process, s.exited
	s.mu.Unlock()
	if process != nil {
		_ = process.Process.Signal(os.Interrupt) // it may be dead
		select {
		case <-exited:
		case <-time.After(15 * time.Second):
			_ = process.Process.Kill()
			<-exited
		}
	}
	return s.log.Close()
}
