// Package fsck checks every invariant that the control plane keeps, over a whole database, and says what is
// wrong where. It trusts nothing that it can compute again, changes nothing, and may run beside a server:
// it looks at the database as it is at one moment.
package fsck

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// Finding is one thing that is wrong.
type Finding struct {
	Table string `json:"table"`
	ID    string `json:"id"`
	Rule  string `json:"rule"` // the invariant that does not hold
	Seen  string `json:"seen"` // what is there instead
}

// String is the finding as a line for people.
func (f Finding) String() string {
	return fmt.Sprintf("%s %s: %s (seen: %s)", f.Table, f.ID, f.Rule, f.Seen)
}

// Report is the result of a check.
type Report struct {
	OK       bool           `json:"ok"`
	Findings []Finding      `json:"findings"`
	Rows     map[string]int `json:"rows"` // how many rows of each table were looked at
}

// Options of a check. Zero values mean the defaults.
type Options struct {
	// Now is compared with deadlines.
	Now time.Time
	// Grace is how long after its time an expired candidate may still be open; the sweeper runs once a
	// minute. The default is five minutes.
	Grace time.Duration
}

// Check looks at everything. The error is one of the database; what is wrong inside it is in the report.
func Check(ctx context.Context, db *store.Store, options Options) (*Report, error) {
	if options.Grace == 0 {
		options.Grace = 5 * time.Minute
	}
	c := &check{
		options: options, report: Report{Findings: []Finding{}, Rows: map[string]int{}},
		cvms: map[int64]store.CVM{}, revisions: map[string]revision{}, active: map[int64]string{},
		newest: map[int64]outcome{}, recorded: map[string]int{}, steps: map[string]int{},
		powered: map[int64]powered{}, powerEntries: map[string][]api.HistoryEntry{}, booted: map[int64]bool{}, fromNothing: map[int64]string{}, fleetUpdates: map[string]fleetUpdate{},
	}
	err := db.Snapshot(ctx, func(ctx context.Context, q *store.Queries) error {
		for _, table := range []struct {
			name string
			scan func(context.Context, *store.Queries) error
		}{
			{"documents", c.documents}, {"cvms", c.readCVMs}, {"revisions", c.readRevisions}, {"histories", c.histories},
			{"rollouts", c.rollouts}, {"updates", c.updates}, {"power operations", c.power},
		} {
			if err := table.scan(ctx, q); err != nil {
				return fmt.Errorf("fsck: read %s: %w", table.name, err)
			}
		}
		c.checkCVMs()
		c.checkRevisions()
		c.checkRecords()
		c.checkTargets()
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(c.report.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Rule, b.Rule))
	})
	c.report.OK = len(c.report.Findings) == 0
	return &c.report, nil
}

// check is one run. Of tables that others refer to it keeps what the rules need.
type check struct {
	options   Options
	report    Report
	cvms      map[int64]store.CVM
	revisions map[string]revision
	active    map[int64]string  // by CVM: the update or power operation that owns it
	newest    map[int64]outcome // by CVM: the newest rollout that ended
	recorded  map[string]int    // by app: entries of steps in its history
	steps     map[string]int    // by app: steps that name an entry
	powered   map[int64]powered // by CVM: the newest power operation that ended and was not cancelled

	powerEntries map[string][]api.HistoryEntry // by power operation: entries of its steps, until they are compared

	booted      map[int64]bool   // by CVM: its first boot succeeded
	fromNothing map[int64]string // by CVM: an update that starts from no revision

	fleetTargets []fleetTarget
	fleetUpdates map[string]fleetUpdate // those that a target names
}

// powered is how a power operation ended.
type powered struct {
	kind  column.PowerKind
	state column.PowerState
	at    time.Time
}

// revision is what the rules need of a revision.
type revision struct {
	cvm       int64
	appID     string
	update    string
	hash      appcompose.ComposeHash
	hasUpdate bool // the update was found and agrees
}

// outcome is how a rollout ended.
type outcome struct {
	update string
	kind   column.UpdateKind
	state  column.UpdateState
	at     time.Time
}

func (c *check) found(table, id, rule, seen string, args ...any) {
	c.report.Findings = append(c.report.Findings, Finding{Table: table, ID: id, Rule: rule, Seen: fmt.Sprintf(seen, args...)})
}

// pageSize is how many rows are read at once.
const pageSize = 500

// pages calls each for every row of a table, page by page. next reads the rows after a key.
func pages[Row, Key any](c *check, table string, first Key, key func(Row) Key, next func(Key) ([]Row, error), each func([]Row) error) error {
	after := first
	for {
		rows, err := next(after)
		if err != nil || len(rows) == 0 {
			return err
		}
		c.report.Rows[table] += len(rows)
		if err := each(rows); err != nil {
			return err
		}
		after = key(rows[len(rows)-1])
	}
}
