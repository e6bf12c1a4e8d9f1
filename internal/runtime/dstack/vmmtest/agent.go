package vmmtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// AgentHandler serves what the gateway leads to: the guest agents of all VMs, by the host name
// <instance id>-<agent port>.<base domain>. It serves plain HTTP; who wants TLS puts it around it.
func (v *VMM) AgentHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /logs/{container}", func(w http.ResponseWriter, r *http.Request) {
		machine, ok := v.byHost(r.Host)
		if !ok {
			http.Error(w, "no such host", http.StatusBadGateway)
			return
		}
		v.serveContainerLog(w, r, machine)
	})
	return mux
}

// byHost finds the VM whose agent a host name means.
func (v *VMM) byHost(host string) (*vm, bool) {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	gateway := v.config.Meta.Gateway
	instance, ok := strings.CutSuffix(host, fmt.Sprintf("-%d.%s", gateway.AgentPort, gateway.BaseDomain))
	if !ok || instance == "" {
		return nil, false
	}
	for _, machine := range v.list() {
		if machine.snapshot().InstanceID == instance {
			return machine, true
		}
	}
	return nil, false
}

// serveContainerLog is GET /logs/<container> of the agent. The route is there only if the document opens it.
func (v *VMM) serveContainerLog(w http.ResponseWriter, r *http.Request, machine *vm) {
	if _, err := machine.agent(r.Context()); err != nil {
		http.Error(w, "bad gateway", http.StatusBadGateway)
		return
	}
	document, err := v.disk.readBooted(machine.manifest.ID)
	if err != nil || !fieldsOf(document).PublicLogs {
		http.NotFound(w, r)
		return
	}
	query := r.URL.Query()
	options := runtime.LogOptions{
		Container: r.PathValue("container"), Follow: query.Get("follow") == "true", Timestamps: query.Get("timestamps") == "true", Tail: 1000,
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	now := v.config.Now()
	for name, into := range map[string]*time.Time{"since": &options.Since, "until": &options.Until} {
		at, err := agentTime(query.Get(name), now)
		if err != nil {
			fmt.Fprintf(w, `{"error":"Invalid %s"}`, name)
			return
		}
		*into = at
	}
	if text := query.Get("tail"); text == "all" {
		options.Tail = 0
	} else if lines, err := strconv.Atoi(text); err == nil {
		options.Tail = lines
	}
	log, err := v.guests.Logs(r.Context(), machine.manifest.ID, options)
	if err != nil {
		text, _ := json.Marshal(map[string]string{"error": "Docker responded with status code 404: No such container: " + options.Container})
		_, _ = w.Write(text) // a client that went away is its own business
		return
	}
	defer log.Close()
	streamLines(&agentWriter{w, query.Get("text") == "true", query.Get("bare") == "true"}, log, "")
}

// agentTime reads a time as the agent does: Unix seconds, or an age such as 5m.
func agentTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		if seconds == 0 {
			return time.Time{}, nil
		}
		return time.Unix(seconds, 0), nil
	}
	unit, known := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[text[len(text)-1]]
	count, err := strconv.ParseUint(text[:len(text)-1], 10, 31)
	if err != nil || !known {
		return time.Time{}, fmt.Errorf("no time: %q", text)
	}
	return now.Add(-time.Duration(count) * unit), nil
}

// agentWriter gives each line the form that was asked for: bare, or in JSON with its channel; as text or in
// base64.
type agentWriter struct {
	http.ResponseWriter
	text, bare bool
}

func (w *agentWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *agentWriter) Write(line []byte) (int, error) {
	out := string(line)
	if !w.text {
		out = base64.StdEncoding.EncodeToString(line)
	}
	if !w.bare {
		text, err := json.Marshal(map[string]string{"channel": "stdout", "message": out})
		if err != nil {
			return 0, err
		}
		out = string(text) + "\n"
	}
	if _, err := w.ResponseWriter.Write([]byte(out)); err != nil {
		return 0, err
	}
	return len(line), nil
}
