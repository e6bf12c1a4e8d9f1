package vmmtest

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

const (
	defaultTail    = 10_000
	heartbeat      = 60 * time.Second
	heartbeatLine  = "[vmm heartbeat]\n"
	maxLineFollows = 64
)

// serveLogs is GET /logs: a console of a VM as a stream of text. Whatever is wrong is told in the stream.
func (v *VMM) serveLogs(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	id, follow := query.Get("id"), query.Get("follow") == "true"
	if _, err := v.faults.at(r.Context(), "logs", v.targets([]byte(fmt.Sprintf(`{"id":%q}`, id))), false); err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	channel := query.Get("ch")
	switch channel {
	case "":
		channel = "serial"
	case "serial", "stdout", "stderr":
	default:
		fmt.Fprintf(w, "Unknown channel %s", channel) //nolint:gosec // plain text, as the VMM answers
		return
	}
	tail := defaultTail
	if text := query.Get("lines"); text != "" {
		lines, err := strconv.Atoi(text)
		if err != nil || lines < 0 {
			http.NotFound(w, r) // a route whose parameters do not parse is no route
			return
		}
		tail = lines
	}
	log, err := v.guests.Logs(r.Context(), id, runtime.LogOptions{Channel: channel, Tail: tail, Follow: follow})
	if err != nil {
		fmt.Fprintf(w, "Os { code: 2, kind: NotFound, message: \"No such file or directory\" }")
		return
	}
	defer log.Close()
	if tail == 0 && !follow {
		return
	}
	streamLines(w, log, heartbeatLine)
}

// streamLines copies lines as they come, and says that it is alive while none come.
func streamLines(w http.ResponseWriter, log io.Reader, idle string) {
	lines := make(chan string, maxLineFollows)
	go func() {
		defer close(lines)
		reader := bufio.NewReader(log)
		for {
			line, err := reader.ReadString('\n')
			if line != "" {
				lines <- line
			}
			if err != nil {
				return
			}
		}
	}()
	defer func() {
		for range lines { // let the reader come to its end
		}
	}()
	flush := http.NewResponseController(w)
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return
			}
			if _, err := io.WriteString(w, line); err != nil {
				return
			}
			if len(lines) == 0 {
				_ = flush.Flush() // the next write tells whether the client is there
			}
		case <-ticker.C:
			if idle == "" {
				continue
			}
			if _, err := io.WriteString(w, idle); err != nil {
				return
			}
			_ = flush.Flush() // as above
		}
	}
}
