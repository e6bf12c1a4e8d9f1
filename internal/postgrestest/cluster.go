// Package postgrestest starts a PostgreSQL that only one process uses: for tests, the hammer and the benchmarks.
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options of a cluster.
type Options struct {
	// TCP has it listen on a port of loopback, for what has to be between it and its clients. Otherwise only a
	// socket in a folder of its own leads to it.
	TCP bool
	// Durable has its writes on disk as in production. Otherwise it keeps nothing safe and is faster: most tests
	// are about programs, not disks.
	Durable bool
}

// Cluster is a running PostgreSQL with its files in a folder that goes with it.
type Cluster struct {
	URL string // of a database on it, as its superuser, without a password

	folder string
	stop   func() error
}

// superuser owns the cluster. It has no password.
const superuser = "lockstep"

// ErrNotInstalled says that the programs of PostgreSQL were not found.
var ErrNotInstalled = errors.New("no initdb and postgres were found; install the package postgresql")

// Start makes a cluster in a new folder and starts it. It ends with this process, however that ends. The error is
// ErrNotInstalled, or says what a program of PostgreSQL said.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	bin := programs()
	if bin == "" {
		return nil, ErrNotInstalled
	}
	// Sockets have short paths, and the folder of a test process may be long.
	folder, err := os.MkdirTemp("/tmp", "lockstep-pg-")
	if err != nil {
		return nil, err
	}
	c, err := create(ctx, bin, folder, options)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return c, nil
}

func create(ctx context.Context, bin, folder string, options Options) (*Cluster, error) {
	owner, err := unprivileged()
	if err != nil {
		return nil, err
	}
	if owner != nil {
		if err := os.Chown(folder, int(owner.Uid), int(owner.Gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(folder, "data")
	initialise := []string{"--pgdata", data, "--username", superuser, "--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-instructions"}
	serve := []string{"-D", data, "-k", folder, "-c", "max_connections=300"}
	if !options.Durable {
		initialise = append(initialise, "--no-sync")
		serve = append(serve, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	address := url.URL{Scheme: "postgres", Path: "/postgres"}
	if options.TCP {
		host, port, err := freePort(ctx)
		if err != nil {
			return nil, err
		}
		serve = append(serve, "-h", host, "-p", port)
		address.User, address.Host, address.RawQuery = url.User(superuser), net.JoinHostPort(host, port), "sslmode=disable"
	} else {
		serve = append(serve, "-c", "listen_addresses=")
		address.RawQuery = url.Values{"host": {folder}, "user": {superuser}}.Encode()
	}
	if out, err := command(owner, folder, filepath.Join(bin, "initdb"), initialise...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	stop, err := run(command(owner, folder, filepath.Join(bin, "postgres"), serve...))
	if err != nil {
		return nil, err
	}
	c := &Cluster{URL: address.String(), folder: folder, stop: stop}
	if err := c.awaitAnswer(ctx); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

// Close ends the connections to the cluster, stops it and removes its files.
func (c *Cluster) Close() error { return errors.Join(c.stop(), os.RemoveAll(c.folder)) }

// freePort is a port of loopback that nobody listens on now.
func freePort(ctx context.Context) (host, port string, err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	host, port, err = net.SplitHostPort(listener.Addr().String())
	return host, port, errors.Join(err, listener.Close())
}

func command(owner *syscall.Credential, folder, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), program, args...) //nolint:gosec // programs of the PostgreSQL that was found
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = attributes(owner)
	return cmd
}

// run starts a program that ends with this process, and returns what stops it in order.
func run(cmd *exec.Cmd) (stop func() error, err error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		// The program is tied to the thread that starts it, which must therefore stay.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return func() error {
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil { // ends sessions and stops
			return fmt.Errorf("%w: %s", err, out.String())
		}
		if err := <-ended; err != nil {
			return fmt.Errorf("%w: %s", err, out.String())
		}
		return nil
	}, nil
}

// patience is how long a cluster may take to come up.
const patience = time.Minute

// awaitAnswer waits until the cluster takes connections.
func (c *Cluster) awaitAnswer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, c.URL)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w", err)
		}
	}
}
