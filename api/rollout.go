package api

import (
	"encoding/json"
	"strconv"
)

// CountOrPercent is an amount of CVMs: a JSON number, or a string such as "25%".
type CountOrPercent string

// Count returns a number of CVMs.
func Count(n int) CountOrPercent { return CountOrPercent(strconv.Itoa(n)) }

// Percent returns a share of the CVMs, 0 to 100; the server rounds it down, but not below one CVM.
func Percent(n int) CountOrPercent { return CountOrPercent(strconv.Itoa(n) + "%") }

// MarshalJSON implements json.Marshaler: counts are numbers.
func (a CountOrPercent) MarshalJSON() ([]byte, error) {
	if n, err := strconv.Atoi(string(a)); err == nil {
		return json.Marshal(n)
	}
	return json.Marshal(string(a))
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *CountOrPercent) UnmarshalJSON(text []byte) error {
	var n int
	if json.Unmarshal(text, &n) == nil {
		*a = Count(n)
		return nil
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	*a = CountOrPercent(s)
	return nil
}

// Strategies of a rollout.
const (
	RolloutRolling   = "rolling"
	RolloutCanary    = "canary"
	RolloutAllAtOnce = "all_at_once"
)

// RolloutRequest is the body of POST /apps/{app_id}/rollouts, which Lockstep servers offer beyond the
// hosted API. ComposeHash or RevisionID is needed; everything else has a default.
type RolloutRequest struct {
	// ComposeHash names the document: one that a CVM of the app ran, or that was proposed for one.
	ComposeHash string `json:"compose_hash,omitempty"`
	RevisionID  string `json:"revision_id,omitempty"`
	// TransactionHash is the approval on chain; empty or already-registered when there is none to show.
	TransactionHash string `json:"transaction_hash,omitempty"`
	// VMUUIDs are the CVMs to roll out to; empty means all of the app.
	VMUUIDs []string `json:"vm_uuids,omitempty"`
	// Strategy is rolling (the default), canary or all_at_once.
	Strategy string `json:"strategy,omitempty"`
	// MaxUnavailable is how many CVMs may be down at once; default 1. Not with all_at_once.
	MaxUnavailable CountOrPercent `json:"max_unavailable,omitempty"`
	// Canary is how many CVMs go first with the strategy canary; default 1.
	Canary CountOrPercent `json:"canary,omitempty"`
	// MinReady is for how many seconds a CVM has to stay healthy before the next batch, 0 to 3600;
	// default 10.
	MinReady *int `json:"min_ready,omitempty"`
	// MaxFailures is how many CVMs may fail before the rollout goes back; default 0.
	MaxFailures int `json:"max_failures,omitempty"`
}

// RolloutState is the state of a rollout.
type RolloutState string

// States of a rollout.
const (
	RolloutRunning     RolloutState = "running"
	RolloutPaused      RolloutState = "paused" // by a person, or because the canary is good
	RolloutRollingBack RolloutState = "rolling_back"
	RolloutSucceeded   RolloutState = "succeeded"
	RolloutRolledBack  RolloutState = "rolled_back"
	RolloutFailed      RolloutState = "failed" // not every CVM could go back
)

// Final reports whether nothing follows this state.
func (s RolloutState) Final() bool {
	return s == RolloutSucceeded || s == RolloutRolledBack || s == RolloutFailed
}

// Rollout is one document on its way to the replicas of an app.
type Rollout struct {
	RolloutID       string       `json:"rollout_id"`
	AppID           string       `json:"app_id"`
	ComposeHash     string       `json:"compose_hash"`
	TransactionHash *string      `json:"transaction_hash"`
	Strategy        string       `json:"strategy"`
	MaxUnavailable  int          `json:"max_unavailable"`
	Canary          int          `json:"canary"`
	MinReady        int          `json:"min_ready"` // seconds
	MaxFailures     int          `json:"max_failures"`
	State           RolloutState `json:"state"`
	// Reason says why it is in this state, or what it waits for.
	Reason     string  `json:"reason"`
	CreatedBy  string  `json:"created_by"` // id of an API key
	CreatedAt  string  `json:"created_at"`
	StateSince string  `json:"state_since"`
	FinishedAt *string `json:"finished_at"`
	// Targets are its CVMs in the order of their turn. They are left out of listings.
	Targets List[RolloutTarget] `json:"targets"`
	// Events are the steps it took; left out in a listing.
	Events List[RolloutEvent] `json:"events,omitzero"`
}

// RolloutTarget is one CVM of a rollout.
type RolloutTarget struct {
	VMUUID string `json:"vm_uuid"`
	Batch  int    `json:"batch"` // counted from 1
	// State is pending, updating, settling, done, failed, skipped, reverting, reverted or stuck.
	State  string `json:"state"`
	Reason string `json:"reason"`
	// FromRevisionID is what it ran when its turn came.
	FromRevisionID *string `json:"from_revision_id"`
	UpdatedAt      string  `json:"updated_at"`
}

// RolloutEvent is one step of a rollout.
type RolloutEvent struct {
	FromState string `json:"from_state"` // empty for the first
	ToState   string `json:"to_state"`
	Reason    string `json:"reason"`
	Actor     string `json:"actor"` // id of an API key, or lockstep
	Timestamp string `json:"timestamp"`
}

// Rollouts is the answer of GET /apps/{app_id}/rollouts, newest first.
type Rollouts struct {
	Items List[Rollout] `json:"items"`
}

// MissingApproval is one thing that the owner has to register before a rollout can begin: an item of the
// detail missing of the 465 answer.
type MissingApproval struct {
	Kind     string   `json:"kind"` // compose_hash or device
	Value    string   `json:"value"`
	Call     string   `json:"call"` // the function of the app's contract that allows it
	NodeName string   `json:"node_name,omitempty"`
	VMUUIDs  []string `json:"vm_uuids,omitempty"`
}

// DetailMissing is the name of the detail of a 465 answer that lists each [MissingApproval].
const DetailMissing = "missing"
