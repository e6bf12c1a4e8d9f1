package compat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime/docker/dockertest"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

// switchOff is the variable that turns this package off with the value "off".
const switchOff = "LOCKSTEP_COMPAT"

// root of the module, seen from this package.
const root = "../.."

func TestMain(m *testing.M) {
	if os.Getenv(switchOff) == "off" {
		fmt.Fprintf(os.Stderr, "\n*** %s=off: THE OFFICIAL CLIENTS ARE NOT TESTED ***\n\n", switchOff)
		os.Exit(0)
	}
	flag.Parse()
	// The work is done by other processes, which wait for each other most of the time.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	code := dockertest.Run(storetest.Runner(m))
	if built.dir != "" {
		if err := os.RemoveAll(built.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// built is the program under test.
var built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// program returns the path of the program, built once. It has the race detector when the test has it: a
// race in the server ends it with a bad exit code, which fails the test.
func program(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "lockstep-compat-"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "lockstep")
		args := []string{"build", "-o", built.path}
		if raceEnabled {
			args = append(args, "-race")
		}
		build := exec.Command("go", append(args, "./cmd/lockstep")...)
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%s: %w\n%s", build, err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	dependsOn(t, filepath.Join(root, "cmd", "lockstep"))
	return built.path
}

// dependsOn reads a folder in this process, so that `go test` does not reuse a result from before it
// changed: what a child process reads, it does not see.
func dependsOn(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		_, err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

const minNode = 20

// errNoNode tells what to do. The official clients are what this package is about, so it does not go on
// without them.
var errNoNode = fmt.Errorf("the official clients need Node.js %d or newer and npm on the PATH: install them (nodejs.org, or the package "+
	"nodejs of your system), or leave this package out with %s=off", minNode, switchOff)

// install puts the official clients into node_modules, exactly as package-lock.json pins them.
var install = sync.OnceValue(func() error {
	version, err := exec.Command("node", "--version").Output()
	if err != nil {
		return errors.Join(errNoNode, err)
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(version)), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < minNode {
		return fmt.Errorf("%w; found %s", errNoNode, strings.TrimSpace(string(version)))
	}
	want, err := os.ReadFile("package-lock.json")
	if err != nil {
		return err
	}
	sum := sha256.Sum256(want)
	// The stamp lies inside, so that it goes when node_modules goes.
	stamp, mark := filepath.Join("node_modules", ".lockstep-compat"), hex.EncodeToString(sum[:])
	if have, err := os.ReadFile(stamp); err == nil && string(have) == mark {
		return nil
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return errors.Join(errNoNode, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	// No package of these needs its install script: they build optional speed-ups.
	ci := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	if out, err := ci.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", ci, err, out)
	}
	return os.WriteFile(stamp, []byte(mark), 0o600)
})

// needNode makes sure that the official clients are there.
func needNode(t *testing.T) {
	t.Helper()
	if err := install(); err != nil {
		t.Fatal(err)
	}
}
