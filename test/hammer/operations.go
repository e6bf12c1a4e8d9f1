package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// operation is something that clients do besides updating, where the server offers it.
type operation string

// Operations, named as they are counted.
const (
	cancelling operation = "cancelled"
	goingBack  operation = "redeployed"
	stopping   operation = "stopped"
	starting   operation = "started"
)

// routes are the patterns of the operations, their parameters without names.
var routes = map[operation]string{
	cancelling: "POST /api/v1/cvms/{}/operations/cancel",
	goingBack:  "POST /api/v1/cvms/{}/revisions/{}/redeploy",
	stopping:   "POST /api/v1/cvms/{}/stop",
	starting:   "POST /api/v1/cvms/{}/start",
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// askWhatIsOffered reads from the OpenAPI document of the server which of the operations it has.
func (w *world) askWhatIsOffered(ctx context.Context) error {
	status, body, err := w.request(ctx, w.servers[0], http.MethodGet, "/openapi.json")
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("ask for the OpenAPI document: status %d: %w", status, err)
	}
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return fmt.Errorf("OpenAPI document: %w", err)
	}
	has := map[string]bool{}
	for path, methods := range document.Paths {
		for method := range methods {
			has[strings.ToUpper(method)+" "+parameter.ReplaceAllString(path, "{}")] = true
		}
	}
	w.offered = map[operation]bool{}
	for _, o := range slices.Sorted(maps.Keys(routes)) {
		if w.offered[o] = has[routes[o]]; !w.offered[o] {
			w.say("NOT OFFERED by this server, so not hammered: %s", routes[o])
		}
	}
	return nil
}

// operateSome does one of the operations on a random CVM, and tells how far it came.
func (w *world) operateSome(ctx context.Context, random *rand.Rand) string {
	c, s := w.cvms[random.IntN(len(w.cvms))], w.anyServer(random)
	var o operation
	switch n := random.IntN(100); {
	case n < 40:
		o = cancelling
	case n < 80:
		o = goingBack
	case n < 88:
		o = stopping
	default:
		o = starting
	}
	if !w.offered[o] {
		return w.updateSome(ctx, random)
	}
	path := "/api/v1/cvms/" + c.name + "/" + map[operation]string{cancelling: "operations/cancel", stopping: "stop", starting: "start"}[o]
	if o == goingBack {
		revision, ok := w.revisionOf(random, c)
		if !ok {
			w.learnRevisions(ctx, random, c)
			revision, ok = w.revisionOf(random, c)
		}
		if !ok {
			return "no revision to go back to"
		}
		path = "/api/v1/cvms/" + c.name + "/revisions/" + revision + "/redeploy"
	}
	status, body, err := w.request(ctx, s, http.MethodPost, path)
	if err != nil {
		return w.refused(ctx, err)
	}
	if status >= http.StatusBadRequest {
		return string(o) + " " + strconv.Itoa(status)
	}
	var answer struct {
		Cancelled     bool   `json:"cancelled"`
		CorrelationID string `json:"correlation_id"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return string(o) + ": " + err.Error()
	}
	said := w.done(o, c, answer.Cancelled, answer.CorrelationID)
	if o == stopping && w.offered[starting] && random.IntN(2) == 0 {
		w.startAgain(ctx, random, c)
	}
	return said
}

// startAgain starts what was just stopped: a start by chance mostly meets what runs or is busy.
func (w *world) startAgain(ctx context.Context, random *rand.Rand, c *cvm) {
	for range 10 {
		if rest(ctx, 100*time.Millisecond) != nil {
			return
		}
		status, _, err := w.request(ctx, w.anyServer(random), http.MethodPost, "/api/v1/cvms/"+c.name+"/start")
		if err == nil && status < http.StatusBadRequest {
			w.done(starting, c, false, "")
			return
		}
	}
}

// done writes down an operation that the server took.
func (w *world) done(o operation, c *cvm, cancelled bool, correlation string) string {
	w.tally.mu.Lock()
	defer w.tally.mu.Unlock()
	switch {
	case o == cancelling && !cancelled:
		return "nothing to cancel"
	case o == cancelling:
		w.tally.cancelled[correlation] = c.name
	case o == goingBack && correlation != "":
		w.tally.accepted[correlation] = c.name
	}
	w.tally.operations[o]++
	return string(o)
}

// revisionOf draws one of the revisions of a CVM: what it was accepted to run at some time, good or bad.
func (w *world) revisionOf(random *rand.Rand, c *cvm) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.revisions) == 0 {
		return "", false
	}
	return c.revisions[random.IntN(len(c.revisions))], true
}

// learnRevisions asks for the revisions of a CVM now and then; each page has the newest first.
func (w *world) learnRevisions(ctx context.Context, random *rand.Rand, c *cvm) {
	status, body, err := w.request(ctx, w.anyServer(random), http.MethodGet, "/api/v1/apps/"+c.appID+"/revisions")
	if err != nil || status != http.StatusOK {
		return
	}
	var page struct {
		Revisions []struct {
			ID string `json:"revision_id"`
		} `json:"revisions"`
	}
	if json.Unmarshal(body, &page) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.revisions = c.revisions[:0]
	for _, r := range page.Revisions {
		c.revisions = append(c.revisions, r.ID)
	}
}

// request sends a request to one server, once.
func (w *world) request(ctx context.Context, s *server, method, path string) (status int, body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.address+path, bytes.NewReader(nil))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("X-Api-Key", w.key)
	response, err := w.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was read, or is given up
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}
