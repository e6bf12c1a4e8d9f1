package contracts_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// The manifest ties every artifact to the inputs it was compiled from, so that
// this test notices a change on either side without a Solidity compiler.
type manifest struct {
	Compiler  string            `json:"compiler"`
	Inputs    map[string]string `json:"inputs"`
	Imports   map[string]string `json:"imports"`
	Artifacts map[string]string `json:"artifacts"`
}

func TestArtifactsMatchSources(t *testing.T) {
	text, err := os.ReadFile("artifacts/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if m.Compiler != "0.8.24+commit.e11b9ed9" {
		t.Errorf("compiler %q, want 0.8.24", m.Compiler)
	}
	compare(t, "source", m.Inputs)
	compare(t, "artifact", m.Artifacts)

	// A file without a digest would escape the comparison above.
	for _, pattern := range []string{"src/*.sol", "artifacts/*.json"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if len(paths) == 0 {
			t.Errorf("no file matches %s", pattern)
		}
		for _, path := range paths {
			path = filepath.ToSlash(path)
			if path == "artifacts/manifest.json" {
				continue
			}
			if m.Inputs[path] == "" && m.Artifacts[path] == "" {
				t.Errorf("%s is not in the manifest; run: make contracts", path)
			}
		}
	}
}

func compare(t *testing.T, kind string, digests map[string]string) {
	t.Helper()
	if len(digests) == 0 {
		t.Errorf("the manifest lists no %s", kind)
	}
	for path, want := range digests {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Errorf("%s of the manifest: %v", kind, err)
			continue
		}
		sum := sha256.Sum256(text)
		if have := hex.EncodeToString(sum[:]); have != want {
			t.Errorf("%s %s has digest %s, manifest says %s; run: make contracts", kind, path, have, want)
		}
	}
}
