// Package postgres starts a PostgreSQL that only one program uses, for the hammer and the benchmarks: in a folder of
// its own, on a port of loopback, with its writes on disk as in production.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Cluster is a running PostgreSQL.
type Cluster struct {
	URL    string // of its database, as its superuser, without a password
	server *exec.Cmd
	exited chan struct{}
}

// Start makes a cluster in a folder, which is created, and starts it. The log is beside the folder. The programs are
// those of the path, or the newest of Debian's. The caller closes the cluster.
func Start(ctx context.Context, dir string) (*Cluster, error) {
	initdb, err := program("initdb")
	if err != nil {
		return nil, err
	}
	server, err := program("postgres")
	if err != nil {
		return nil, err
	}
	identity, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	files := filepath.Join(dir, "cluster")
	create := exec.CommandContext(ctx, initdb, "-D", files, "-U", "lockstep", "--auth=trust", "--encoding=UTF8", "--no-locale")
	create.SysProcAttr, create.Dir = identity, dir
	if out, err := create.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	return serve(ctx, server, files, filepath.Join(dir, "s"), identity)
}

func serve(ctx context.Context, program, dir, sockets string, identity *syscall.SysProcAttr) (*Cluster, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(filepath.Dir(filepath.Dir(dir)), "postgres.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own
	c := &Cluster{URL: "postgres://lockstep@" + address + "/postgres?sslmode=disable", exited: make(chan struct{})}
	c.server = exec.Command(program, "-D", dir, "-h", "127.0.0.1", "-p", port, "-k", sockets, "-c", "max_connections=300") //nolint:noctx // it is ended in order, by close
	c.server.SysProcAttr, c.server.Dir, c.server.Stdout, c.server.Stderr = identity, dir, log, log
	if err := c.server.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = c.server.Wait() // how it ends is in its log
		close(c.exited)
	}()
	if err := c.awaitReady(ctx, dir); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// awaitReady waits until PostgreSQL says in its lock file that it serves: at its port it answers before.
func (c *Cluster) awaitReady(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		text, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
		if lines := strings.Split(string(text), "\n"); err == nil && len(lines) > statusLine && strings.TrimSpace(lines[statusLine]) == "ready" {
			return nil
		}
		select {
		case <-c.exited:
			return errors.New("PostgreSQL ended at once: see postgres.log")
		case <-ctx.Done():
			return errors.New("PostgreSQL was not ready in time: see postgres.log")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// statusLine is where postmaster.pid has the status of the server, as pg_ctl reads it; lines count from 0.
const statusLine = 7

// Close ends the cluster. Connections to it end, what was committed stays in the folder.
func (c *Cluster) Close() error {
	_ = c.server.Process.Signal(os.Interrupt) // fast shutdown; it may have ended
	select {
	case <-c.exited:
	case <-time.After(20 * time.Second):
		_ = c.server.Process.Kill()
		<-c.exited
	}
	return nil
}

// program finds a program of PostgreSQL: on the path, or where Debian keeps its newest version.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, err := filepath.Glob(filepath.Join("/usr/lib/postgresql", "*", "bin", name))
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("%s is neither on the path nor in /usr/lib/postgresql/*/bin: install PostgreSQL, or say where one is", name)
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // what is no number comes first
		return n
	}
	return slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }), nil
}

// unprivileged makes the folders of a cluster and says as whom its programs run: PostgreSQL refuses to run as root.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	sockets := filepath.Join(dir, "s")
	if err := os.MkdirAll(sockets, 0o700); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // as whoever runs who calls
	}
	var errs []error
	for _, name := range []string{"postgres", "nobody"} {
		who, err := user.Lookup(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		uid, errU := strconv.ParseUint(who.Uid, 10, 32)
		gid, errG := strconv.ParseUint(who.Gid, 10, 32)
		if err := errors.Join(errU, errG); err != nil {
			return nil, err
		}
		// Others may pass through the folder of the run, and read nothing.
		if err := errors.Join(os.Chown(dir, int(uid), int(gid)), os.Chown(sockets, int(uid), int(gid)), os.Chmod(filepath.Dir(dir), 0o711)); err != nil {
			return nil, err
		}
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return nil, errors.Join(append(errs, errors.New("PostgreSQL does not run as root, and there is no user to run it as"))...)
}
