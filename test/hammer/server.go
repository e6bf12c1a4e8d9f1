package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/lockstep-cvm/lockstep"
)

// server is one `lockstep serve`, started again after each death. Each of its processes is a life of its own.
type server struct {
	program  string
	name     string
	config   string // file
	address  string
	database *proxy // before PostgreSQL; nil with SQLite
	client   *lockstep.Client
	diary    *diary
	log      *os.File

	// turn is held by who kills it, holds it up or cuts it off, so that one thing at a time happens to it.
	turn sync.Mutex

	mu      sync.Mutex
	process *exec.Cmd
	exited  chan struct{}
	lives   int
}

func newServer(dir, program, name, address string, d *diary) (*server, error) {
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &server{program: program, name: name, address: address, config: filepath.Join(dir, name+".yaml"), diary: d, log: log}, nil
}

// life names the process that runs now.
func (s *server) life() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%s#%d", s.name, s.lives)
}

// start starts the process and waits until it answers.
func (s *server) start(ctx context.Context) error {
	process := exec.Command(s.program, "serve", "--config", s.config) //nolint:noctx // it must outlive the context: it is killed on purpose
	process.Stdout, process.Stderr = s.log, s.log
	exited := make(chan struct{})
	s.mu.Lock()
	s.lives++
	s.process, s.exited = process, exited
	err := process.Start()
	s.mu.Unlock()
	if err != nil {
		close(exited)
		return err
	}
	go func() {
		_ = process.Wait() // killed, most of the time
		close(exited)
	}()
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
			return fmt.Errorf("%s %w: see %s", s.name, errExited, s.log.Name())
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready in time: see %s", s.name, s.log.Name())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// running gives the process, or an error when it has ended by itself.
func (s *server) running() (*exec.Cmd, chan struct{}, error) {
	s.mu.Lock()
	process, exited := s.process, s.exited
	s.mu.Unlock()
	select {
	case <-exited:
		return nil, nil, fmt.Errorf("%s %w: see %s", s.name, errExited, s.log.Name())
	default:
		return process, exited, nil
	}
}

// kill ends the process at once, in the middle of whatever it does. The caller holds turn.
func (s *server) kill() error {
	process, exited, err := s.running()
	if err != nil {
		return err
	}
	if err := process.Process.Kill(); err != nil {
		return err
	}
	<-exited
	s.diary.disturb(s.life(), "killed")
	return nil
}

// holdUp stops the process where it is for a while, as a machine does that is short of everything. It believes
// then that no time has passed. The caller holds turn.
func (s *server) holdUp(ctx context.Context, d time.Duration) error {
	process, _, err := s.running()
	if err != nil {
		return err
	}
	if err := process.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	s.diary.disturb(s.life(), "held up")
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	return process.Process.Signal(syscall.SIGCONT)
}

func (s *server) close() error {
	s.mu.Lock()
	process, exited := s.process, s.exited
	s.mu.Unlock()
	if process != nil && process.Process != nil {
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

// freeAddress is a port of loopback that nobody listens on now.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
