package docker

import (
	"bytes"
	"strings"
)

// tailLines is how many of the last lines of a child process are kept for its error.
const tailLines = 20

// tail writes what a child process says to the console, line by line, and keeps the last lines.
type tail struct {
	console func(format string, args ...any)
	partial []byte
	lines   []string
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.partial = append(t.partial, p...)
	for {
		i := bytes.IndexByte(t.partial, '\n')
		if i < 0 {
			return len(p), nil
		}
		t.add(string(t.partial[:i]))
		t.partial = t.partial[i+1:]
	}
}

// flush takes a last line that has no end.
func (t *tail) flush() {
	if len(t.partial) > 0 {
		t.add(string(t.partial))
		t.partial = nil
	}
}

func (t *tail) add(line string) {
	line = strings.TrimSpace(line)
	if line == "" {
		return
	}
	t.console("%s", line)
	t.lines = append(t.lines, line)
	if len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
}

func (t *tail) empty() bool { return len(t.lines) == 0 }

func (t *tail) String() string { return strings.Join(t.lines, "\n") }
