package api

// CVMState is the answer of GET /cvms/{id}/state and the data of a "state" event of its stream
// (schema CvmState). Optional members are absent, never null.
type CVMState struct {
	ID               *string   `json:"id,omitempty"`
	InstanceID       *string   `json:"instance_id,omitempty"`
	Name             string    `json:"name"`
	Status           CVMStatus `json:"status"`
	Uptime           *string   `json:"uptime,omitempty"`
	ExitedAt         *string   `json:"exited_at,omitempty"`
	BootProgress     *string   `json:"boot_progress,omitempty"`
	BootError        *string   `json:"boot_error,omitempty"`
	ShutdownProgress *string   `json:"shutdown_progress,omitempty"`
}

// Names of the events of GET /cvms/{id}/state?target=…. The JavaScript client keeps only the last
// data line of an event, so data is one line.
const (
	// EventState carries a [CVMState]. At least one comes before EventComplete.
	EventState = "state"
	// EventComplete carries a [StateComplete]: the target was reached and the stream ends.
	EventComplete = "complete"
	// EventTimeout carries a [StateTimeout]: the target was not reached in time.
	EventTimeout = "timeout"
	// EventError carries a [StateError]; the stream goes on.
	EventError = "error"
)

// StateComplete is the data of an [EventComplete].
type StateComplete struct {
	Status CVMStatus `json:"status"`
	// Elapsed is in seconds.
	Elapsed float64 `json:"elapsed"`
	Target  string  `json:"target"`
}

// StateTimeout is the data of an [EventTimeout].
type StateTimeout struct {
	Error string `json:"error"`
	// Elapsed is in seconds.
	Elapsed float64 `json:"elapsed"`
	Target  string  `json:"target"`
}

// StateError is the data of an [EventError].
type StateError struct {
	Error string `json:"error"`
}

// Bounds of the query members interval and timeout of the state stream, in seconds.
const (
	MinStateInterval     = 5
	MaxStateInterval     = 30
	DefaultStateInterval = 5
	MinStateTimeout      = 10
	MaxStateTimeout      = 600
	DefaultStateTimeout  = 300
)
