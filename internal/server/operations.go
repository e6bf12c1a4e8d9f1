package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
)

// listOperations is GET /cvms/{id}/operations.
func (s *Server) listOperations(w http.ResponseWriter, r *http.Request, c *call) error {
	query, err := operationsQuery(r.URL.Query())
	if err != nil {
		return err
	}
	page, err := s.domain.Operations(r.Context(), c.principal, c.params["id"], query)
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, api.Operations{
		Items:      each(page.Items, func(o control.Operation) api.Operation { return operationOf(&o, page.CVM.Name) }),
		NextCursor: optional(page.Next), Total: int(page.Total),
	})
	return nil
}

func operationsQuery(query url.Values) (control.OperationsQuery, error) {
	var q control.OperationsQuery
	var err error
	if q.Limit, err = queryInt(query, "limit", api.DefaultOperations, 1, api.MaxOperations); err != nil {
		return q, err
	}
	if q.Since, err = queryTime(query, "start_time"); err != nil {
		return q, err
	}
	if q.Until, err = queryTime(query, "end_time"); err != nil {
		return q, err
	}
	q.Cursor = query.Get("cursor")
	// Clients write a list in each of these ways.
	for _, value := range append(query["operation_types"], query["operation_types[]"]...) {
		for name := range strings.SplitSeq(value, ",") {
			if name != "" {
				q.Types = append(q.Types, name)
			}
		}
	}
	return q, nil
}

// queryTime reads a time from the query; absent means none.
func queryTime(query url.Values, name string) (time.Time, error) {
	text := query.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, invalidAt("datetime_parsing", fmt.Sprintf("got %q, want a time such as 2026-01-21T12:00:00Z (with + as %%2B)", clip(text)), "query", name)
	}
	return t, nil
}

func operationOf(o *control.Operation, cvm string) api.Operation {
	shown := api.Operation{
		CorrelationID: o.CorrelationID, OperationType: o.Type, TargetState: o.Target, TriggeredByUsername: optional(o.KeyName),
		StartedAt: *timestamp(o.CreatedAt), Status: api.OperationInProgress, InstanceName: cvm, ComposeHash: optional(o.ComposeHash),
		ErrorMessage: optional(o.Error), Events: make([]api.OperationEvent, len(o.Events)),
	}
	if !o.FinishedAt.IsZero() {
		took := o.FinishedAt.Sub(o.CreatedAt).Milliseconds()
		shown.CompletedAt, shown.DurationMS = timestamp(o.FinishedAt), &took
		shown.Status = api.OperationFailed
		if o.Succeeded {
			shown.Status = api.OperationCompleted
		}
	}
	for i, e := range o.Events {
		step := e.State
		if i == 0 {
			step = "start"
		}
		shown.Events[i] = api.OperationEvent{
			EventType: "instance." + o.Type + "." + step, Timestamp: *timestamp(e.At), State: e.State,
		}
	}
	return shown
}

// operationStatus is GET /cvms/{id}/operation-status.
func (s *Server) operationStatus(w http.ResponseWriter, r *http.Request, c *call) error {
	o, cancellable, err := s.domain.OperationStatus(r.Context(), c.principal, c.params["id"])
	if err != nil {
		return err
	}
	status := api.OperationStatus{Status: api.OperationIdle}
	if o != nil {
		status = api.OperationStatus{
			Status: api.OperationInProgress, CorrelationID: &o.CorrelationID, OperationType: &o.Type, State: &o.State,
			Reason: &o.Reason, Since: timestamp(o.Since), Cancellable: cancellable,
		}
	}
	s.json(w, http.StatusOK, status)
	return nil
}

// cancelOperation is POST /cvms/{id}/operations/cancel.
func (s *Server) cancelOperation(w http.ResponseWriter, r *http.Request, c *call) error {
	done, err := s.domain.CancelOperation(r.Context(), c.principal, c.params["id"])
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, api.CancelOperationResult{Cancelled: done.Cancelled, CorrelationID: optional(done.CorrelationID)})
	return nil
}
