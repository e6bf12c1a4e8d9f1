package lockstep

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

// maxEventLine bounds one line and maxEventData the data of one event of an event stream.
const (
	maxEventLine = 1 << 20
	maxEventData = 4 << 20
)

// event is one event of an event stream.
type event struct {
	// name is "message" when the stream named none.
	name string
	data []byte
}

// eventReader reads the events of a text/event-stream (HTML Living Standard, section 9.2). Ids and
// retry times are skipped: the state stream has none.
type eventReader struct {
	r *bufio.Reader
	// started is set once the byte order mark was looked for.
	started bool
	// afterCR is set when the last line ended with a carriage return: a line feed that follows
	// belongs to it. It is not waited for, which would hold an event back.
	afterCR bool
}

func newEventReader(r io.Reader) *eventReader {
	return &eventReader{r: bufio.NewReader(r)}
}

// next returns the next event that has data. At the end of the stream it returns io.EOF, and an event
// that no empty line ended is dropped.
func (e *eventReader) next() (event, error) {
	var ev event
	var hasData bool
	for {
		line, err := e.line()
		if err != nil {
			return event{}, err
		}
		if len(line) == 0 {
			if hasData {
				if ev.name == "" {
					ev.name = "message"
				}
				return ev, nil
			}
			ev = event{}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			ev.name = string(value)
		case "data":
			if hasData {
				ev.data = append(ev.data, '\n')
			}
			ev.data, hasData = append(ev.data, value...), true
			if len(ev.data) > maxEventData {
				return event{}, fmt.Errorf("event is larger than %d bytes", maxEventData)
			}
		}
	}
}

// line returns the next line without its end, which is CR, LF or both. The last line needs no end.
func (e *eventReader) line() ([]byte, error) {
	if !e.started {
		e.started = true
		if bom, err := e.r.Peek(3); err == nil && string(bom) == "\uFEFF" {
			_, _ = e.r.Discard(len(bom)) // these bytes were just seen
		}
	}
	var line []byte
	for {
		b, err := e.r.ReadByte()
		switch {
		case err == io.EOF && len(line) > 0:
			return line, nil
		case err != nil:
			return nil, err
		case b == '\n' && e.afterCR:
			e.afterCR = false
		case b == '\n', b == '\r':
			e.afterCR = b == '\r'
			return line, nil
		default:
			e.afterCR = false
			if line = append(line, b); len(line) > maxEventLine {
				return nil, fmt.Errorf("line is longer than %d bytes", maxEventLine)
			}
		}
	}
}
