package api

import "encoding/json"

// Bounds of shutdown_timeout, in seconds. null means no timeout.
const (
	MinShutdownTimeout = 10
	MaxShutdownTimeout = 1200
)

// ShutdownOptions say how a guest is asked to shut down. Without them the server's settings count: the guest
// is cut off when its time is over.
type ShutdownOptions struct {
	// ShutdownTimeout is in seconds, MinShutdownTimeout to MaxShutdownTimeout. It is told apart whether it is
	// absent (nil: the server's setting) or null (NoShutdownTimeout: none).
	ShutdownTimeout ShutdownTimeout `json:"shutdown_timeout,omitzero"`
	// AllowForceStop cuts the CVM off when the time is over; without it the operation fails then. Absent
	// means true when shutdown_timeout is absent too, and false otherwise.
	AllowForceStop *bool `json:"allow_force_stop,omitempty"`
}

// ShutdownTimeout is a number of seconds, none (null on the wire), or not given.
type ShutdownTimeout struct {
	// Seconds is the timeout when Given is set and None is not.
	Seconds int
	Given   bool
	None    bool
}

// MarshalJSON implements [json.Marshaler].
func (t ShutdownTimeout) MarshalJSON() ([]byte, error) {
	if !t.Given || t.None {
		return []byte("null"), nil
	}
	return json.Marshal(t.Seconds)
}

// UnmarshalJSON implements [json.Unmarshaler]. It is called when the member is there.
func (t *ShutdownTimeout) UnmarshalJSON(text []byte) error {
	*t = ShutdownTimeout{Given: true}
	if string(text) == "null" {
		t.None = true
		return nil
	}
	return json.Unmarshal(text, &t.Seconds)
}

// RestartRequest is the body of POST /cvms/{id}/restart, which may be left out (schema RestartBody; the
// options of the shutdown are of Lockstep servers).
type RestartRequest struct {
	// Force cuts the CVM off instead of asking the guest.
	Force bool `json:"force"`
	ShutdownOptions
}

// BatchStopRequest is the body of POST /cvms/batch-stop.
type BatchStopRequest struct {
	// CVMIDs are at most 50.
	CVMIDs []string `json:"cvm_ids"`
}

// BatchStopResponse is the answer of POST /cvms/batch-stop.
type BatchStopResponse struct {
	Total   int                  `json:"total"`
	Stopped int                  `json:"stopped"`
	Skipped int                  `json:"skipped"` // those that were stopped already
	Errors  List[BatchStopError] `json:"errors"`
}

// BatchStopError is why a CVM of a batch could not be stopped.
type BatchStopError struct {
	CVMID string `json:"cvm_id"`
	Error string `json:"error"`
}

// NameRequest is the body of PATCH /cvms/{id}/name.
type NameRequest struct {
	Name string `json:"name"`
}

// ListedRequest is the body of PATCH /cvms/{id}/listed.
type ListedRequest struct {
	Listed bool `json:"listed"`
}

// Types of operations.
const (
	OperationDeploy        = "deploy" // the first boot
	OperationComposeUpdate = "compose_update"
	OperationPowerOn       = "power_on"
	OperationPowerOff      = "power_off" // a hard stop
	OperationShutdown      = "shutdown"
	OperationRestart       = "restart"
	OperationDelete        = "delete"
)

// Statuses of an operation.
const (
	OperationInProgress = "in_progress"
	OperationCompleted  = "completed"
	OperationFailed     = "failed" // also what was cancelled, expired, superseded or rolled back
)

// Bounds of the query member limit of GET /cvms/{id}/operations.
const (
	DefaultOperations = 50
	MaxOperations     = 500
)

// Operations is the answer of GET /cvms/{id}/operations (schema PaginatedCvmOperationsResponse), newest
// first.
type Operations struct {
	Items List[Operation] `json:"items"`
	// NextCursor asks for the page after this one; null on the last.
	NextCursor *string `json:"next_cursor"`
	// Total is how many there are in all.
	Total int `json:"total"`
}

// Operation is an operation of a CVM (schema CvmOperationResponse).
type Operation struct {
	CorrelationID string `json:"correlation_id"`
	OperationType string `json:"operation_type"`
	// TargetState is the status of the CVM that the operation leads to.
	TargetState string `json:"target_state"`
	// TriggeredBy is a user id of the hosted service. A Lockstep server has API keys, whose name is in
	// TriggeredByUsername, and sends 0.
	TriggeredBy         int64   `json:"triggered_by"`
	TriggeredByUsername *string `json:"triggered_by_username"`
	TriggeredByEmail    *string `json:"triggered_by_email"`
	StartedAt           string  `json:"started_at"`
	CompletedAt         *string `json:"completed_at"`
	DurationMS          *int64  `json:"duration_ms"`
	Status              string  `json:"status"`
	// ErrorMessage is why the operation failed. Keys without the scope admin get it without the guest's log
	// lines and without addresses.
	ErrorMessage  *string              `json:"error_message"`
	SubOperations List[string]         `json:"sub_operations"`
	Events        List[OperationEvent] `json:"events"`
	InstanceName  string               `json:"instance_name"`
	ComposeHash   *string              `json:"compose_hash"`
}

// OperationEvent is a step of an operation (schema OperationEventDetail).
type OperationEvent struct {
	// EventType is instance.<operation type>.<step>.
	EventType string `json:"event_type"`
	Timestamp string `json:"timestamp"`
	State     string `json:"state"`
}

// OperationStatus is the answer of GET /cvms/{id}/operation-status: what runs now. The members beside
// Status are null when it is OperationIdle.
type OperationStatus struct {
	// Status is OperationIdle or OperationInProgress.
	Status        string  `json:"status"`
	CorrelationID *string `json:"correlation_id"`
	OperationType *string `json:"operation_type"`
	State         *string `json:"state"`
	// Reason says why it is in this state, or what it waits for.
	Reason *string `json:"reason"`
	// Since is when it entered the state.
	Since *string `json:"since"`
	// Cancellable tells whether POST /cvms/{id}/operations/cancel would cancel it now.
	Cancellable bool `json:"cancellable"`
}

// OperationIdle says that nothing runs.
const OperationIdle = "idle"

// CancelOperationResult is the answer of POST /cvms/{id}/operations/cancel.
type CancelOperationResult struct {
	// Cancelled is false when there was nothing to cancel.
	Cancelled     bool    `json:"cancelled"`
	CorrelationID *string `json:"correlation_id"`
}
