package dstack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/prpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

// RPCError is a call that the VMM refused. It has no codes, only its text.
type RPCError struct {
	Method string // of the VMM, or guest/<method>
	Text   string
}

// Error is the method and the VMM's words.
func (e *RPCError) Error() string { return "dstack-vmm refused " + e.Method + ": " + e.Text }

// client speaks to one VMM.
type client struct {
	base    string
	http    *http.Client // to the VMM
	agents  *http.Client // to guest agents through the gateway, which gets no credentials
	config  Config
	context context.Context // ends when the driver is closed
	cancel  context.CancelFunc
}

var errClosed = fmt.Errorf("%w: driver is closed", runtime.ErrUnreachable)

// maxAnswer is in bytes: a status of many VMs carries their documents.
const maxAnswer = 256 << 20

func newClient(config Config) (*client, error) {
	base, transport, err := config.base()
	if err != nil {
		return nil, err
	}
	if config.Token != "" && config.User != "" {
		return nil, errors.New("dstack: both a token and a user are given, want one of them")
	}
	// Nobody here redirects, and a token must not follow.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c := &client{
		base: base, config: config,
		http:   &http.Client{Transport: transport, CheckRedirect: stay},
		agents: &http.Client{Transport: config.transport(), CheckRedirect: stay},
	}
	c.context, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// bind makes a context end with the driver.
func (c *client) bind(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.context, cancel)
	return ctx, func() { stop(); cancel() }
}

// rpc calls a method of the VMM.
func (c *client) rpc(ctx context.Context, method string, request, answer any) error {
	return c.call(ctx, method, vmmrpc.RPCPath+method, request, answer)
}

// guest calls a method of a guest through the VMM.
func (c *client) guest(ctx context.Context, method, vm string, answer any) error {
	return c.call(ctx, "guest/"+method, vmmrpc.GuestAPIPath+method, vmmrpc.ID{ID: vm}, answer)
}

func (c *client) call(ctx context.Context, name, path string, request, answer any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	text, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("dstack: encode request of %s: %w", name, err)
	}
	bound, cancel := c.bind(ctx)
	defer cancel()
	bound, expire := context.WithTimeout(bound, c.config.CallTimeout)
	defer expire()
	r, err := http.NewRequestWithContext(bound, http.MethodPost, c.base+path+"?json", bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("dstack: %s: %w", name, err)
	}
	r.Header.Set("Content-Type", "application/json")
	c.authorize(r)
	response, err := c.http.Do(r)
	if err != nil {
		return c.failed(ctx, name, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return c.failed(ctx, name, err)
	}
	return parseAnswer(name, response.StatusCode, body, answer)
}

func (c *client) authorize(r *http.Request) {
	switch {
	case c.config.Token != "":
		r.Header.Set("Authorization", "Bearer "+c.config.Token)
	case c.config.User != "":
		r.SetBasicAuth(c.config.User, c.config.Password)
	}
}

// failed is the error of a call without an answer: nothing is known about what it did.
func (c *client) failed(ctx context.Context, name string, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case c.context.Err() != nil:
		return errClosed
	}
	return fmt.Errorf("%w: %s: %w", runtime.ErrUnreachable, name, err)
}

// parseAnswer reads the body of an answer. Where something else than a VMM answered, or one that does not let us
// in, the host is as good as unreachable: nothing is known, and it can be repaired from outside.
func parseAnswer(name string, code int, body []byte, answer any) error {
	switch {
	case code == http.StatusOK && len(body) > maxAnswer:
		return fmt.Errorf("%w: answer to %s is longer than %d bytes", runtime.ErrUnreachable, name, maxAnswer)
	case code == http.StatusOK:
		if answer == nil {
			return nil
		}
		if err := json.Unmarshal(body, answer); err != nil {
			return fmt.Errorf("%w: answer to %s is not what a dstack-vmm answers: %w", runtime.ErrUnreachable, name, err)
		}
		return nil
	case code == http.StatusBadRequest:
		return &RPCError{Method: name, Text: prpc.ErrorText(body)}
	case code == http.StatusRequestEntityTooLarge:
		return &RPCError{Method: name, Text: fmt.Sprintf("the request is longer than its limit (%d bytes unless it is configured otherwise)", vmmrpc.MaxBody)}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fmt.Errorf("%w: %s: the VMM does not let us in (%d); check token, user and password of the node", runtime.ErrUnreachable, name, code)
	}
	return fmt.Errorf("%w: %s: status %d: %s", runtime.ErrUnreachable, name, code, prpc.ErrorText(body))
}

// pause waits, or ends with the context or the driver.
func (c *client) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.context.Done():
		return errClosed
	}
}
