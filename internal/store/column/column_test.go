package column

import (
	"testing"
	"time"
)

func TestTimeKeepsMicrosecondsAndNothingElse(t *testing.T) {
	zone := time.FixedZone("east", 3600)
	for _, in := range []time.Time{{}, time.Unix(0, 0), time.Date(2026, 1, 2, 3, 4, 5, 678901234, zone), time.Date(1969, 12, 31, 23, 59, 59, 999999999, zone)} {
		at := At(in)
		if !in.IsZero() && !at.Equal(in.Truncate(time.Microsecond)) {
			t.Errorf("At(%v) = %v", in, at)
		}
		value, err := at.Value()
		if err != nil {
			t.Fatal(err)
		}
		var back Time
		if err := back.Scan(value); err != nil {
			t.Fatal(err)
		}
		if in.Equal(time.Unix(0, 0)) {
			continue // stored as 0, which is no time
		}
		if !back.Equal(at.Time) || back.IsZero() != in.IsZero() {
			t.Errorf("%v came back as %v", at, back)
		}
	}
	var back Time
	if err := back.Scan("2026-01-02"); err == nil {
		t.Error("a text was read as a time")
	}
}

func TestStatesAreEitherFinalOrGoOn(t *testing.T) {
	for state, want := range map[UpdateState]struct{ final, rolling bool }{
		Proposed: {}, AwaitingApproval: {}, Approved: {rolling: true}, RollingOut: {rolling: true}, Verifying: {rolling: true},
		RollingBack: {rolling: true}, Succeeded: {final: true}, RolledBack: {final: true}, Failed: {final: true},
		Cancelled: {final: true}, Expired: {final: true}, Superseded: {final: true}, "unknown": {},
	} {
		if state.Final() != want.final || state.Rolling() != want.rolling {
			t.Errorf("%s: final %v rolling %v, want %+v", state, state.Final(), state.Rolling(), want)
		}
	}
}
