package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// ready is the part of `lockstep dev --ready-file` that is used here.
type ready struct {
	APIURL string `json:"api_url"`
	APIKey string `json:"api_key"`
	CVMs   []struct {
		ID string `json:"id"`
	} `json:"cvms"`
}

// cloud is a `lockstep dev` of its own process.
type cloud struct {
	command *exec.Cmd
	ready   ready
}

func startCloud(ctx context.Context, env *environment, dir string, more ...string) (*cloud, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	readyFile := filepath.Join(dir, "ready.json")
	args := append([]string{"dev", "--listen", "127.0.0.1:0", "--rpc-listen", "127.0.0.1:0",
		"--data", filepath.Join(dir, "data"), "--ready-file", readyFile}, more...)
	c := &cloud{command: exec.CommandContext(ctx, env.lockstep, args...)}
	c.command.Stderr = os.Stderr
	if err := c.command.Start(); err != nil {
		return nil, err
	}
	for range 300 {
		content, err := os.ReadFile(readyFile)
		if err == nil {
			return c, json.Unmarshal(content, &c.ready)
		}
		if !errors.Is(err, os.ErrNotExist) {
			c.stop()
			return nil, err
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.stop()
	return nil, fmt.Errorf("%s dev was not ready in 30 s", env.lockstep)
}

func (c *cloud) stop() {
	_ = c.command.Process.Signal(os.Interrupt)
	_ = c.command.Wait() // how it ends does not matter here
}
