package server

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

// eventWriteTimeout is how long a client may take to receive one event before it counts as gone.
const eventWriteTimeout = 30 * time.Second

// eventOutput is where the frames of a stream go: the connection itself, or an answer of the HTTP server.
type eventOutput interface {
	SetWriteDeadline(at time.Time) error
	// WriteFrame sends one frame at once.
	WriteFrame(frame []byte) error
}

// setEventHeader says what follows.
func setEventHeader(header http.Header) {
	header.Set("Content-Type", api.MediaTypeEventStream)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would keep events back
}

// eventFrame is one server-sent event. The data is JSON, which has no line breaks: the clients keep only the last
// data line of an event.
func eventFrame(event string, data any) []byte {
	b, err := json.Marshal(data)
	if err != nil {
		return nil // none of our types
	}
	return []byte("event: " + event + "\ndata: " + string(b) + "\n\n")
}

// keepAlive is a comment, so that proxies do not take a quiet stream for a dead one.
var keepAlive = []byte(": waiting\n\n")

// sendFrame writes a frame and reports whether the client is still there.
func sendFrame(out eventOutput, frame []byte) bool {
	_ = out.SetWriteDeadline(time.Now().Add(eventWriteTimeout)) // the socket's clock, not ours; a test has no socket
	return out.WriteFrame(frame) == nil
}

// answerOutput is a stream as the answer of the HTTP server: of HTTP/2, and where connections cannot be taken over.
type answerOutput struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// newAnswerOutput begins the answer. The deadlines of the connection are for answers that end; a stream has one for
// each event instead.
func newAnswerOutput(w http.ResponseWriter) *answerOutput {
	out := &answerOutput{w: w, control: http.NewResponseController(w)}
	// A connection without deadlines (a test, a proxy in process) needs none lifted.
	_ = out.control.SetReadDeadline(time.Time{})
	setEventHeader(w.Header())
	w.WriteHeader(http.StatusOK)
	return out
}

// SetWriteDeadline implements eventOutput.
func (o *answerOutput) SetWriteDeadline(at time.Time) error { return o.control.SetWriteDeadline(at) }

// WriteFrame implements eventOutput.
func (o *answerOutput) WriteFrame(frame []byte) error {
	if _, err := o.w.Write(frame); err != nil {
		return err
	}
	return o.control.Flush()
}
