package control

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// Operation is something that was done to a CVM, or is: an update or a power operation.
type Operation struct {
	ID            string
	Type          string // one of the api.Operation… types
	CorrelationID string
	Target        string // status of the CVM that it leads to
	State         string // of the state machine
	Reason        string
	Since         time.Time // when it entered the state
	ComposeHash   string    // empty for a power operation
	KeyName       string    // whose API key began it
	CreatedAt     time.Time
	FinishedAt    time.Time // zero while it runs
	Succeeded     bool
	Error         string // why it failed; cut down for keys that may not see the inside
	Events        []OperationEvent
}

// OperationEvent is a step of an operation.
type OperationEvent struct {
	State string
	At    time.Time
}

// operationTypes are the types of the API by what they are called in the database.
var operationTypes = map[string]string{
	string(column.KindDeploy):    api.OperationDeploy,
	string(column.KindUpdate):    api.OperationComposeUpdate,
	string(column.PowerStart):    api.OperationPowerOn,
	string(column.PowerStop):     api.OperationPowerOff,
	string(column.PowerShutdown): api.OperationShutdown,
	string(column.PowerRestart):  api.OperationRestart,
	string(column.PowerDelete):   api.OperationDelete,
}

// allKinds is the filter of the queries that lets everything through.
var allKinds = joinKinds(slices.Sorted(maps.Keys(operationTypes)))

func joinKinds(kinds []string) string { return "," + strings.Join(kinds, ",") + "," }

// OperationsQuery chooses operations of a CVM.
type OperationsQuery struct {
	Cursor string    // NextCursor of the page before; empty for the newest
	Limit  int       // at least 1
	Since  time.Time // begun at or after; zero for no bound
	Until  time.Time // begun at or before; zero for no bound
	Types  []string  // of the API; empty for all
}

// OperationsPage is a page of operations, newest first.
type OperationsPage struct {
	CVM   store.CVM
	Items []Operation
	Next  string // cursor of the page after this one; empty on the last
	Total int64
}

// place is where a page begins: right after the operation with this time and id. Pages stay where they are
// when newer operations come.
type place struct {
	at column.Time
	id string
}

func (c place) String() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d:%s", c.at.UnixMicro(), c.id))
}

func parsePlace(cursor string) (place, error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	at, id, ok := strings.Cut(string(text), ":")
	us, number := strconv.ParseInt(at, 10, 64)
	if err != nil || number != nil || !ok || id == "" {
		return place{}, problem.New(problem.KindUnprocessable, api.CodeInvalidRequest, "bad cursor").
			With("cursor", cursor, "the next_cursor of a page of this listing").Because(errors.Join(err, number))
	}
	return place{at: column.At(time.UnixMicro(us)), id: id}, nil
}

// farFuture is after everything that is in the database.
var farFuture = column.At(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))

// Operations is GET /cvms/{id}/operations: the updates and power operations of a CVM.
func (s *Service) Operations(ctx context.Context, p Principal, identifier string, query OperationsQuery) (*OperationsPage, error) {
	if err := p.Require(ScopeRead); err != nil {
		return nil, err
	}
	row, err := s.find(ctx, p, identifier)
	if err != nil {
		return nil, err
	}
	from := place{at: farFuture}
	if query.Cursor != "" {
		if from, err = parsePlace(query.Cursor); err != nil {
			return nil, err
		}
	}
	kinds, err := kindsOf(query.Types)
	if err != nil {
		return nil, err
	}
	since, until := column.At(query.Since), farFuture
	if !query.Until.IsZero() {
		until = column.At(query.Until)
	}
	page := &OperationsPage{CVM: row}
	if page.Total, err = s.store.Read().CountOperations(ctx, store.CountOperationsParams{CVMID: row.ID, Since: since, Until: until, Kinds: kinds}); err != nil {
		return nil, fmt.Errorf("count operations of %s: %w", row.HashID, err)
	}
	most := int64(query.Limit) + 1 // one more tells whether another page follows
	updates, err := s.store.Read().OlderUpdates(ctx, store.OlderUpdatesParams{
		CVMID: row.ID, Since: since, Until: until, BeforeAt: from.at, BeforeID: from.id, Kinds: kinds, Most: most,
	})
	if err != nil {
		return nil, fmt.Errorf("updates of %s: %w", row.HashID, err)
	}
	power, err := s.store.Read().OlderPowerOperations(ctx, store.OlderPowerOperationsParams{
		CVMID: row.ID, Since: since, Until: until, BeforeAt: from.at, BeforeID: from.id, Kinds: kinds, Most: most,
	})
	if err != nil {
		return nil, fmt.Errorf("power operations of %s: %w", row.HashID, err)
	}
	l := &lister{Service: s, p: p, keys: map[string]string{}}
	page.Items = merge(updates, power, int(most))
	if len(page.Items) > query.Limit {
		page.Items = page.Items[:query.Limit]
		last := &page.Items[query.Limit-1]
		page.Next = place{at: column.At(last.CreatedAt), id: last.ID}.String()
	}
	for i := range page.Items {
		if err := l.complete(ctx, &page.Items[i]); err != nil {
			return nil, err
		}
	}
	return page, nil
}

// kindsOf is a filter by type in the form of the queries: the kinds with a comma around each.
func kindsOf(types []string) (string, error) {
	if len(types) == 0 {
		return allKinds, nil
	}
	chosen := make([]string, 0, len(types))
	for kind, name := range operationTypes {
		if slices.Contains(types, name) {
			chosen = append(chosen, kind)
		}
	}
	known := slices.Sorted(maps.Values(operationTypes))
	for _, name := range types {
		if !slices.Contains(known, name) {
			return "", problem.New(problem.KindUnprocessable, api.CodeInvalidRequest, "unknown type of operation").
				With("operation_types", name, "one of "+strings.Join(known, ", "))
		}
	}
	return joinKinds(chosen), nil
}

// merge puts two listings, each newest first, into one of at most most operations.
func merge(updates []store.Update, power []store.PowerOperation, most int) []Operation {
	all := make([]Operation, 0, len(updates)+len(power))
	for i := range updates {
		all = append(all, updateOperation(&updates[i]))
	}
	for i := range power {
		all = append(all, powerOperation(&power[i]))
	}
	slices.SortFunc(all, func(a, b Operation) int {
		if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	return all[:min(len(all), most)]
}

func updateOperation(u *store.Update) Operation {
	o := Operation{
		ID: u.ID, Type: operationTypes[string(u.Kind)], CorrelationID: u.CorrelationID, Target: StatusRunning, State: string(u.State),
		Reason: u.Reason, Since: u.StateSince.Time, ComposeHash: u.ComposeHash.String(), KeyName: u.CreatedBy,
		CreatedAt: u.CreatedAt.Time, Succeeded: u.State == column.Succeeded, Error: u.Error,
	}
	if u.FinishedAt != nil {
		o.FinishedAt = u.FinishedAt.Time
	}
	return o
}

func powerOperation(op *store.PowerOperation) Operation {
	o := Operation{
		ID: op.ID, Type: operationTypes[string(op.Kind)], CorrelationID: op.CorrelationID, Target: powerTarget(op.Kind), State: string(op.State),
		Reason: op.Reason, Since: op.StateSince.Time, KeyName: op.CreatedBy, CreatedAt: op.CreatedAt.Time,
		Succeeded: op.State == column.PowerSucceeded, Error: op.Error,
	}
	if op.FinishedAt != nil {
		o.FinishedAt = op.FinishedAt.Time
	}
	return o
}

// lister fills in what other tables know of operations.
type lister struct {
	*Service
	p    Principal
	keys map[string]string // names of API keys by id
}

// complete turns the id of a key into its name, adds the steps, and says why an operation failed in words
// that the caller may see.
func (l *lister) complete(ctx context.Context, o *Operation) error {
	name, ok := l.keys[o.KeyName]
	if !ok {
		key, err := l.store.Read().GetAPIKey(ctx, o.KeyName)
		if err != nil {
			return fmt.Errorf("API key %s: %w", o.KeyName, err)
		}
		name, l.keys[o.KeyName] = key.Name, key.Name
	}
	o.KeyName = name
	if isPower(o.ID) {
		events, err := l.store.Read().ListPowerEvents(ctx, o.ID)
		if err != nil {
			return fmt.Errorf("events of %s: %w", o.ID, err)
		}
		for _, e := range events {
			o.Events = append(o.Events, OperationEvent{State: string(e.ToState), At: e.CreatedAt.Time})
		}
	} else {
		events, err := l.store.Read().ListUpdateEvents(ctx, o.ID)
		if err != nil {
			return fmt.Errorf("events of %s: %w", o.ID, err)
		}
		for _, e := range events {
			o.Events = append(o.Events, OperationEvent{State: string(e.ToState), At: e.CreatedAt.Time})
		}
	}
	switch {
	case o.FinishedAt.IsZero() || o.Succeeded:
		o.Error = ""
	case o.Error == "":
		o.Error = o.Reason
	}
	if l.p.Require(ScopeAdmin) != nil {
		o.Error, o.Reason = sanitise(o.Error), sanitise(o.Reason)
	}
	return nil
}

// OperationStatus is GET /cvms/{id}/operation-status: what has the CVM now, or nil, and whether it could be
// cancelled.
func (s *Service) OperationStatus(ctx context.Context, p Principal, identifier string) (active *Operation, cancellable bool, err error) {
	if err := p.Require(ScopeRead); err != nil {
		return nil, false, err
	}
	row, err := s.find(ctx, p, identifier)
	if err != nil || row.ActiveUpdateID == "" {
		return nil, false, err
	}
	var o Operation
	if isPower(row.ActiveUpdateID) {
		op, err := s.store.Read().GetPowerOperation(ctx, row.ActiveUpdateID)
		if err != nil {
			return nil, false, fmt.Errorf("power operation %s: %w", row.ActiveUpdateID, err)
		}
		o, cancellable = powerOperation(&op), op.State == column.PowerPending
	} else {
		u, err := s.store.Read().GetUpdate(ctx, row.ActiveUpdateID)
		if err != nil {
			return nil, false, fmt.Errorf("update %s: %w", row.ActiveUpdateID, err)
		}
		o, cancellable = updateOperation(&u), u.State != column.RollingBack
	}
	if p.Require(ScopeAdmin) != nil {
		o.Reason = sanitise(o.Reason)
	}
	return &o, cancellable, nil
}
