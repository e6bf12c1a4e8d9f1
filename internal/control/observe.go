package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// Guest is a CVM with what its guest says of itself. System and Network are nil when that is not known; Why
// says why, in words for people.
type Guest struct {
	*CVM
	System  *runtime.SystemInfo
	Network *runtime.NetworkInfo
	Why     string
}

// Offline says why nothing can be learned from inside a CVM now; it is empty when its guest may answer.
func (c *CVM) Offline() string {
	switch {
	case errors.Is(c.LiveError, runtime.ErrNotFound):
		return "the CVM is not on its node yet"
	case c.LiveError != nil:
		return fmt.Sprintf("node %s does not answer: %v", c.Node.Name, c.LiveError)
	case c.Live == nil:
		return "the node was not asked"
	case c.Live.State == runtime.StateRunning:
		return ""
	case c.Live.BootError != "":
		return fmt.Sprintf("the CVM is %s: %s", c.Status(), c.Live.BootError)
	default:
		return "the CVM is " + c.Status()
	}
}

// GuestSystem returns what the guest of a CVM says of its machine, if its document makes that public
// (public_sysinfo).
func (s *Service) GuestSystem(ctx context.Context, p Principal, identifier string) (*Guest, error) {
	guest, err := s.guest(ctx, p, identifier)
	if err != nil || guest.Why != "" {
		return guest, err
	}
	if !guest.Document.PublicSysinfo() {
		guest.Why = "the document keeps system information private (public_sysinfo is false)"
		return guest, nil
	}
	guest.inspect(ctx, func(ctx context.Context, inspector runtime.Inspector) (told bool, err error) {
		guest.System, err = inspector.SystemInfo(ctx, guest.Row.VMUUID)
		return guest.System != nil, err
	})
	return guest, nil
}

// GuestNetwork returns how the guest of a CVM says it is connected.
func (s *Service) GuestNetwork(ctx context.Context, p Principal, identifier string) (*Guest, error) {
	guest, err := s.guest(ctx, p, identifier)
	if err != nil || guest.Why != "" {
		return guest, err
	}
	guest.inspect(ctx, func(ctx context.Context, inspector runtime.Inspector) (told bool, err error) {
		guest.Network, err = inspector.NetworkInfo(ctx, guest.Row.VMUUID)
		return guest.Network != nil, err
	})
	return guest, nil
}

func (s *Service) guest(ctx context.Context, p Principal, identifier string) (*Guest, error) {
	cvm, err := s.CVM(ctx, p, identifier)
	if err != nil {
		return nil, err
	}
	return &Guest{CVM: cvm, Why: cvm.Offline()}, nil
}

// inspect asks the driver, within the time that a reader waits.
func (g *Guest) inspect(ctx context.Context, ask func(context.Context, runtime.Inspector) (told bool, err error)) {
	inspector, ok := g.Node.Runtime.(runtime.Inspector)
	if ok {
		ctx, cancel := context.WithTimeout(ctx, askLimit)
		defer cancel()
		var err error
		if ok, err = ask(ctx, inspector); err != nil {
			g.Why = fmt.Sprintf("the guest does not answer: %v", err)
			return
		}
	}
	if !ok {
		g.Why = fmt.Sprintf("a node of driver %s cannot tell this", g.Node.Runtime.Info().Driver)
	}
}

// MaxStatuses is how many CVMs one call of Statuses may name.
const MaxStatuses = 100

// statusCallers is how many nodes one call of Statuses asks at once.
const statusCallers = 16

// Statuses returns the CVMs of the workspace among those named by their vm_uuid, with what their nodes say,
// under the names that were given.
func (s *Service) Statuses(ctx context.Context, p Principal, vmUUIDs []string) (map[string]*CVM, error) {
	if err := p.Require(ScopeRead); err != nil {
		return nil, err
	}
	if len(vmUUIDs) > MaxStatuses {
		return nil, problem.New(problem.KindUnprocessable, api.CodeInvalidRequest, "too many CVMs").
			With("vm_uuids", len(vmUUIDs), fmt.Sprintf("at most %d", MaxStatuses))
	}
	found := map[string]*CVM{}
	for _, name := range vmUUIDs {
		if found[name] != nil {
			continue
		}
		row, err := s.find(ctx, p, name)
		if problem.Is(err, problem.KindNotFound) || problem.Is(err, problem.KindInvalid) {
			continue // as the hosted API: what is not there is left out
		}
		if err != nil {
			return nil, err
		}
		if found[name], err = s.view(ctx, row, false); err != nil {
			return nil, err
		}
	}
	var asking sync.WaitGroup
	slots := make(chan struct{}, statusCallers)
	for _, cvm := range found {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			cvm.ask(ctx)
		})
	}
	asking.Wait()
	return found, ctx.Err()
}

// Logs opens a log of a CVM. The caller closes it. Logs of containers are public or not by the document
// (public_logs); the console is the host's and always there.
func (s *Service) Logs(ctx context.Context, p Principal, identifier string, options runtime.LogOptions) (io.ReadCloser, error) {
	if err := p.Require(ScopeRead); err != nil {
		return nil, err
	}
	row, err := s.find(ctx, p, identifier)
	if err != nil {
		return nil, err
	}
	node, err := s.catalog.node(row.NodeID)
	if err != nil {
		return nil, err
	}
	if options.Container != "" {
		document, err := s.shownDocument(ctx, row, nil)
		if err != nil {
			return nil, err
		}
		if !document.PublicLogs() {
			return nil, problem.New(problem.KindConflict, api.CodeIncompatibleConfig, "the document keeps the logs of its containers private").
				With("public_logs", false, "true").
				Suggest("Update the CVM to a document with public_logs true.")
		}
	}
	log, err := node.Runtime.Logs(ctx, row.VMUUID, options)
	if err != nil {
		return nil, logProblem(ctx, node, options, err)
	}
	return log, nil
}

// logProblem says in the words of the domain why a log cannot be opened.
func logProblem(ctx context.Context, node *Node, options runtime.LogOptions, err error) error {
	wrong, invalid := errors.AsType[*runtime.FieldError](err)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case invalid:
		return problem.New(problem.KindInvalid, api.CodeInvalidRequest, "the log cannot be shown like this").With(wrong.Field, wrong.Seen, wrong.Want)
	case errors.Is(err, runtime.ErrNoContainer):
		return problem.New(problem.KindNotFound, api.CodeInvalidRequest, "container not found: %v", err).
			With("container", options.Container, "the name of a container or a service of the CVM").
			Suggest("List the containers with GET /cvms/{id}/composition.")
	case errors.Is(err, runtime.ErrNotFound):
		return problem.New(problem.KindConflict, api.CodeInvalidRequest, "the CVM is not on its node yet")
	case errors.Is(err, runtime.ErrConflict):
		return problem.New(problem.KindConflict, api.CodeInvalidRequest, "the log cannot be read now: %v", err)
	case errors.Is(err, runtime.ErrUnreachable):
		return problem.New(problem.KindUnavailable, "", "node %s does not answer", node.Name).Because(err)
	default:
		return fmt.Errorf("logs from node %s: %w", node.Name, err)
	}
}
