package compat

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/appcompose"
)

// hashedByCommand is how many of the documents also go through `lockstep hash`, which starts a process
// for each. They all go through the function that it calls.
const hashedByCommand = 5

// TestComposeHash compares compose hashes of generated documents with those of @phala/dstack-sdk.
func TestComposeHash(t *testing.T) {
	t.Parallel()
	needNode(t)
	binary := program(t)
	for i, line := range runScript(t, "hashes") {
		var document struct{ Text, Hash string }
		if err := json.Unmarshal(line.Value, &document); err != nil {
			t.Fatal(err)
		}
		hash, err := appcompose.CanonicalHash([]byte(document.Text))
		if err != nil || hash.String() != document.Hash {
			t.Errorf("%s: got %s, %v, want %s\n%s", line.Name, hash, err, document.Hash, document.Text)
		}
		if i >= hashedByCommand {
			continue
		}
		command := exec.CommandContext(withPatience(t), binary, "hash", "--document", "--canonical", "-")
		command.Env, command.Stdin = bareEnvironment(), strings.NewReader(document.Text)
		out, err := command.Output()
		if err != nil || string(out) != document.Hash+"\n" {
			t.Errorf("%s: %s printed %q, %v, want %s\n%s", line.Name, command, out, err, document.Hash, document.Text)
		}
	}
}
