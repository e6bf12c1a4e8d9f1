package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/appcompose"
)

//go:embed hash.mjs
var hashScript []byte

// documentSize is that of the document that is hashed: a large but real one.
const documentSize = 150_000

func largeDocument() ([]byte, error) {
	var yaml strings.Builder
	yaml.WriteString("services:\n")
	for i := 0; yaml.Len() < documentSize-2000; i++ {
		fmt.Fprintf(&yaml, "  service-%d:\n    image: registry.example/app:%d\n    command: sh -c \"a && b > c < d\"\n", i, i)
	}
	document, err := appcompose.New(appcompose.Spec{Name: "bench", DockerComposeFile: yaml.String()})
	if err != nil {
		return nil, err
	}
	return document.Bytes(), nil
}

func measureHash(ctx context.Context, env *environment) ([]figure, error) {
	document, err := largeDocument()
	if err != nil {
		return nil, err
	}
	var ours, raw, canonical []time.Duration
	for range 300 { // in turn, so that both see the same machine
		ours = append(ours, timed(func() { appcompose.Hash(document) }))
		raw = append(raw, timed(func() { sha256.Sum256(document) }))
		canonical = append(canonical, timed(func() { _, err = appcompose.CanonicalHash(document) }))
		if err != nil {
			return nil, err
		}
	}
	figures := []figure{{
		name: "compose hash of 150 KB / raw SHA-256", ours: median(ours).String(), baseline: median(raw).String(),
		value: ratio(raw, ours), unit: "x", limit: 0.5,
	}}
	theirs, err := scriptHash(ctx, env, document)
	if err != nil {
		return figures, err
	}
	return append(figures, figure{
		name: "compose hash of 150 KB / JavaScript SDK", ours: median(ours).String(), baseline: theirs.String(),
		value: float64(theirs) / float64(median(ours)), unit: "x", limit: 3,
	}, figure{
		name: "canonical hash of 150 KB / JavaScript SDK", ours: median(canonical).String(), baseline: theirs.String(),
		value: float64(theirs) / float64(median(canonical)), unit: "x", limit: 0.5,
	}), nil
}

// scriptHash times getComposeHash of the JavaScript SDK on the same document, and makes sure that it
// hashes the same.
func scriptHash(ctx context.Context, env *environment, document []byte) (time.Duration, error) {
	dir, err := os.MkdirTemp("", "lockstep-bench-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder that stays does no harm
	script, input := filepath.Join(dir, "hash.mjs"), filepath.Join(dir, "document.json")
	if err := os.WriteFile(script, hashScript, 0o600); err != nil {
		return 0, err
	}
	if err := os.WriteFile(input, document, 0o600); err != nil {
		return 0, err
	}
	modules, err := filepath.Abs(env.nodeModules)
	if err != nil {
		return 0, err
	}
	out, err := exec.CommandContext(ctx, "node", script, modules, input).Output()
	if err != nil {
		return 0, fmt.Errorf("node: %w", err)
	}
	var result struct {
		Hash        string  `json:"hash"`
		Nanoseconds float64 `json:"nanoseconds"`
	}
	if err := json.Unmarshal(out, &result); err != nil {
		return 0, err
	}
	ours, err := appcompose.CanonicalHash(document)
	if err != nil {
		return 0, err
	}
	if result.Hash != ours.String() {
		return 0, fmt.Errorf("the JavaScript SDK hashes %s, we %s", result.Hash, ours)
	}
	return time.Duration(result.Nanoseconds), nil
}

func timed(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

func median(d []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[len(sorted)/2]
}

// ratio is how many times faster b is than a, by their medians.
func ratio(a, b []time.Duration) float64 { return float64(median(a)) / float64(median(b)) }
