package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestBindingsMatchArtifacts(t *testing.T) {
	for pkg, artifact := range targets {
		t.Run(pkg, func(t *testing.T) {
			want, err := render(pkg, artifact())
			if err != nil {
				t.Fatal(err)
			}
			have, err := os.ReadFile(filepath.Join("..", fileOf(pkg)))
			if err != nil {
				t.Fatal(err)
			}
			if string(have) != want {
				t.Errorf("%s differs from what the ABI gives; run: go generate ./onchain/...", fileOf(pkg))
			}
		})
	}
}
