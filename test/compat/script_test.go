package compat

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

// TestOfficialSDK runs the scripts in scripts/ with the official JavaScript SDK, each against a cloud of
// its own. Every check in them is a subtest.
func TestOfficialSDK(t *testing.T) {
	for _, script := range []string{"reads", "inside", "provision", "update", "refusals", "power"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			needNode(t)
			cloud := startCloud(t)
			checkScript(t, script, cloud)
		})
	}
}

// TestOfficialSDKOnPostgreSQL runs what changes something once more, on the other database.
func TestOfficialSDKOnPostgreSQL(t *testing.T) {
	for _, script := range []string{"update", "refusals", "power"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			needNode(t)
			checkScript(t, script, startCloudOn(t, "", address{}, "--database-url", storetest.Postgres(t)))
		})
	}
}

// checkScript runs a script against a cloud; each of its checks is a subtest.
func checkScript(t *testing.T, script string, cloud *cloud) {
	t.Helper()
	for _, line := range runScript(t, script, "LOCKSTEP_READY_FILE="+cloud.readyFile) {
		t.Run(line.Name, func(t *testing.T) {
			t.Logf("%d ms", line.Milliseconds)
			if !line.OK {
				t.Error(line.Problem)
			}
		})
	}
}

// line is what a script reports.
type line struct {
	Name         string          `json:"name"`
	OK           bool            `json:"ok"`
	Problem      string          `json:"problem"`
	Milliseconds int             `json:"ms"`
	Value        json.RawMessage `json:"value"` // of values, which are no checks
	Done         *int            `json:"done"`  // of the last line: how many checks there were
}

// runScript runs a script and returns what it reported, in order. A script that does not reach its end
// fails the test.
func runScript(t *testing.T, name string, env ...string) []line {
	t.Helper()
	dependsOn(t, "scripts")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = read.Close() }()
	var said output
	script := exec.CommandContext(withPatience(t), "node", filepath.Join("scripts", name+".mjs"))
	script.Env = bareEnvironment(env...)
	script.Stdout, script.Stderr = &said, &said
	script.ExtraFiles = []*os.File{write} // descriptor 3
	err = script.Start()
	_ = write.Close() // the script has its own copy
	if err != nil {
		t.Fatal(err)
	}
	lines, end := readLines(t, read)
	if err := script.Wait(); err != nil {
		t.Errorf("%s: %v\n%s", name, err, said.String())
	}
	if end == nil || *end != len(lines) || *end == 0 {
		t.Errorf("%s reported %d checks and stopped before its end\n%s", name, len(lines), said.String())
	}
	return lines
}

func readLines(t *testing.T, from *os.File) (lines []line, end *int) {
	t.Helper()
	scanner := bufio.NewScanner(from)
	scanner.Buffer(nil, 4<<20)
	for scanner.Scan() {
		var l line
		if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
			t.Fatalf("line of a script: %v\n%s", err, scanner.Bytes())
		}
		if l.Done != nil {
			end = l.Done
			continue
		}
		lines = append(lines, l)
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return lines, end
}
