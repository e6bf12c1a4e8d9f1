package server

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

// eventWriteTimeout is how long a client may take to receive one event before it counts as gone.
const eventWriteTimeout = 30 * time.Second

// eventWriter writes server-sent events.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// newEventWriter begins the stream. The deadlines of the connection are for answers that end; a stream
// has one for each event instead.
func newEventWriter(w http.ResponseWriter) *eventWriter {
	e := &eventWriter{w: w, control: http.NewResponseController(w)}
	// A connection without deadlines (a test, a proxy in process) needs none lifted.
	_ = e.control.SetReadDeadline(time.Time{})
	header := w.Header()
	header.Set("Content-Type", api.MediaTypeEventStream)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would keep events back
	w.WriteHeader(http.StatusOK)
	return e
}

// send writes one event and reports whether the client is still there. The data is JSON, which has no
// line breaks: the clients keep only the last data line of an event.
func (e *eventWriter) send(event string, data any) bool {
	b, err := json.Marshal(data)
	if err != nil {
		return false
	}
	return e.write("event: " + event + "\ndata: " + string(b) + "\n\n")
}

// keepAlive writes a comment, so that proxies do not take a quiet stream for a dead one.
func (e *eventWriter) keepAlive() bool { return e.write(": waiting\n\n") }

func (e *eventWriter) write(frame string) bool {
	_ = e.control.SetWriteDeadline(time.Now().Add(eventWriteTimeout)) // the socket's clock, not ours
	if _, err := e.w.Write([]byte(frame)); err != nil {
		return false
	}
	return e.control.Flush() == nil
}
