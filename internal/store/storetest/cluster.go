package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// running is a PostgreSQL server.
type running struct {
	url  string // of a database on it, to create others from
	stop func() error
}

// programs is the folder with the programs of PostgreSQL, or nothing. Debian keeps them out of the PATH,
// in one folder a version.
func programs() string {
	var folders []string
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			folders = append(folders, filepath.Dir(path))
		}
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is good
	slices.SortFunc(debian, func(a, b string) int { return version(b) - version(a) })
	for _, folder := range append(folders, debian...) {
		if executable(filepath.Join(folder, "initdb")) && executable(filepath.Join(folder, "postgres")) {
			return folder
		}
	}
	return ""
}

// version is the 15 of /usr/lib/postgresql/15/bin.
func version(folder string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder))) // 0 for anything else: last
	return n
}

func executable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// superuser owns the private server. Only its socket leads to it, and that lies in a folder of its own.
const superuser = "lockstep"

// launch starts a private server on a socket in a new folder. It keeps nothing safe: what is tested are
// programs, not disks.
func launch(bin string) (*running, error) {
	// Sockets have short paths, and the folder of a test process may be long.
	folder, err := os.MkdirTemp("/tmp", "lockstep-pg-")
	if err != nil {
		return nil, err
	}
	owner, err := unprivileged()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	if owner != nil {
		if err := os.Chown(folder, int(owner.Uid), int(owner.Gid)); err != nil {
			return nil, errors.Join(err, os.RemoveAll(folder))
		}
	}
	data := filepath.Join(folder, "data")
	initialise := command(owner, folder, filepath.Join(bin, "initdb"), "--pgdata", data, "--username", superuser,
		"--auth", "trust", "--encoding", "UTF8", "--no-sync", "--no-instructions")
	if out, err := initialise.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out)), os.RemoveAll(folder))
	}
	stop, err := run(command(owner, folder, filepath.Join(bin, "postgres"), "-D", data, "-k", folder,
		"-c", "listen_addresses=", "-c", "max_connections=300", "-c", "fsync=off", "-c", "full_page_writes=off"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	u := url.URL{Scheme: "postgres", Path: "/postgres", RawQuery: url.Values{"host": {folder}, "user": {superuser}}.Encode()}
	r := &running{url: u.String(), stop: func() error { return errors.Join(stop(), os.RemoveAll(folder)) }}
	if err := answers(r.url); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
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

// answers waits until a server takes connections.
func answers(serverURL string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, serverURL)
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
