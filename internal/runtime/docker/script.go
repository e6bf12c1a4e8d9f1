package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// sourceScript sources the script of its first argument, as a guest does, and then tells the environment that the
// script left, for the compose text. A script that exits never gets there.
const sourceScript = `source "$1" </dev/null 3>&-; env -0 >&3`

// preLaunch runs a pre-launch script and returns the environment that it leaves. In a guest the script is sourced
// by the shell that starts the containers: what it exports is seen by the compose text, and if it exits, with
// whatever code, no container is started. The outcome of its last command, on the other hand, ends nothing.
func (d *Driver) preLaunch(ctx context.Context, c *cvm, script string, environment []string) (_ []string, err error) {
	file, err := os.CreateTemp(string(c.folder()), "pre-launch-")
	if err != nil {
		return nil, fmt.Errorf("pre-launch: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(file.Name())) }()
	if _, err := file.WriteString(script); err != nil {
		return nil, errors.Join(fmt.Errorf("pre-launch: %w", err), file.Close())
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("pre-launch: %w", err)
	}
	said := &tail{console: c.console}
	left, err := runScript(ctx, c.home(), file.Name(), slices.Concat(environment, d.engineEnv()), said)
	said.flush()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && said.empty():
		return nil, fmt.Errorf("pre-launch script failed: %w", err)
	case err != nil:
		return nil, fmt.Errorf("pre-launch script failed: %w: %s", err, said)
	}
	return append(base(), unreserved(left)...), nil
}

func runScript(ctx context.Context, dir, script string, environment []string, said *tail) ([]string, error) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	left := make(chan string, 1)
	go func() {
		var b strings.Builder
		_, _ = io.Copy(&b, read) // a broken pipe leaves it empty, which is what an exit does
		left <- b.String()
	}()
	cmd := exec.CommandContext(ctx, bash, "-c", sourceScript, "pre-launch", script) //nolint:gosec // running the owner's script is the task
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = dir, environment, said, said, []*os.File{write}
	detach(cmd)
	if err = cmd.Run(); errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it left something running in the background, which keeps its output open
	}
	err = errors.Join(err, write.Close())
	text := <-left
	if err = errors.Join(err, read.Close()); err != nil {
		return nil, err
	}
	if text == "" {
		return nil, errors.New("it ended the boot with exit 0")
	}
	return strings.Split(strings.TrimSuffix(text, "\x00"), "\x00"), nil
}
