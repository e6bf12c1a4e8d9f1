package server

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

// maxLogLine is how much of a line is held in memory. A longer one is passed on in pieces.
const maxLogLine = 64 << 10

// lineReader reads a log line by line.
type lineReader struct{ r *bufio.Reader }

func newLineReader(log io.Reader) *lineReader {
	return &lineReader{bufio.NewReaderSize(log, maxLogLine)}
}

// next returns a line with its end, or a piece of a very long one. It is good until the next call.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		err = nil
	}
	return line, err
}

// more tells whether there is something to read without waiting.
func (l *lineReader) more() bool { return l.r.Buffered() > 0 }

// logWriter writes a log in the form that was asked for.
type logWriter struct {
	logForm
	w       http.ResponseWriter
	control *http.ResponseController
}

// newLogWriter begins the answer. As with events, each write has a deadline of its own: a log that is
// followed does not end.
func newLogWriter(w http.ResponseWriter, form logForm) *logWriter {
	l := &logWriter{logForm: form, w: w, control: http.NewResponseController(w)}
	// A connection without deadlines (a test, a proxy in process) needs none lifted.
	_ = l.control.SetReadDeadline(time.Time{})
	header := w.Header()
	header.Set("Content-Type", api.MediaTypeNDJSON)
	if form.bare {
		header.Set("Content-Type", textUTF8)
	}
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Accel-Buffering", "no") // nginx would keep lines back
	w.WriteHeader(http.StatusOK)
	if form.options.Follow {
		_ = l.control.Flush() // the client sees that it follows before anything is said
	}
	return l
}

// ansi sequences move the cursor, colour text or name the window.
var ansiSequence = regexp.MustCompile("\x1b(?:\\[[0-9:;<=>?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|[@-Z\\\\^_])")

// write sends one line, and everything held back when flush is set.
func (l *logWriter) write(line []byte, flush bool) error {
	if !l.ansi {
		line = ansiSequence.ReplaceAll(line, nil)
	}
	if !l.bare {
		// Drivers give one stream; which of the two a line was written to, they do not say.
		message := api.LogLine{Channel: api.LogChannelStdout, Message: string(line)}
		if !l.text {
			message.Message = base64.StdEncoding.EncodeToString(line)
		}
		encoded, err := json.Marshal(message)
		if err != nil {
			return err
		}
		line = append(encoded, '\n')
	}
	_ = l.control.SetWriteDeadline(time.Now().Add(eventWriteTimeout)) // the socket's clock, not ours
	if _, err := l.w.Write(line); err != nil {
		return err
	}
	if flush {
		return l.control.Flush()
	}
	return nil
}
