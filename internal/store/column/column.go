// Package column has the Go types of database columns that are more than a string or a number.
package column

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// Time is a UTC instant with microseconds, stored as Unix microseconds. The zero Time is stored as 0.
type Time struct{ time.Time }

// At cuts a time to what the column keeps, so that what was written equals what is read.
func At(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return Time{t.UTC().Truncate(time.Microsecond)}
}

// Value implements driver.Valuer.
func (t Time) Value() (driver.Value, error) {
	if t.IsZero() {
		return int64(0), nil
	}
	return t.UnixMicro(), nil
}

// Scan implements sql.Scanner.
func (t *Time) Scan(src any) error {
	us, ok := src.(int64)
	if !ok {
		return fmt.Errorf("column: time is stored as %T, want an integer of microseconds", src)
	}
	*t = Time{}
	if us != 0 {
		t.Time = time.UnixMicro(us).UTC()
	}
	return nil
}

// UpdateState is where an update is. The transitions between states are in internal/control.
type UpdateState string

// States of an update, in the order of a good one, then the ends.
const (
	Proposed         UpdateState = "proposed"
	AwaitingApproval UpdateState = "awaiting_approval"
	Approved         UpdateState = "approved"
	RollingOut       UpdateState = "rolling_out"
	Verifying        UpdateState = "verifying"
	RollingBack      UpdateState = "rolling_back"

	Succeeded  UpdateState = "succeeded"
	RolledBack UpdateState = "rolled_back"
	Failed     UpdateState = "failed"
	Cancelled  UpdateState = "cancelled"
	Expired    UpdateState = "expired"
	Superseded UpdateState = "superseded"
)

// Final reports whether nothing follows this state.
func (s UpdateState) Final() bool {
	switch s {
	case Succeeded, RolledBack, Failed, Cancelled, Expired, Superseded:
		return true
	default:
		return false
	}
}

// Rolling reports whether an update in this state owns its CVM: it may be taken down and brought up.
func (s UpdateState) Rolling() bool {
	switch s {
	case Approved, RollingOut, Verifying, RollingBack:
		return true
	default:
		return false
	}
}

// UpdateKind tells a CVM's first boot from a change of what it runs.
type UpdateKind string

// Kinds of updates.
const (
	KindDeploy UpdateKind = "deploy"
	KindUpdate UpdateKind = "update"
)
