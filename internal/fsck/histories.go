package fsck

import (
	"context"
	"errors"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/history"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// histories walks the chain of every app, from its first entry to its head.
func (c *check) histories(ctx context.Context, q *store.Queries) error {
	return pages(c, "histories", "", func(h store.History) string { return h.AppID },
		func(after string) ([]store.History, error) { return q.PageHistories(ctx, after, pageSize) },
		func(rows []store.History) error {
			for _, h := range rows {
				if err := c.chain(ctx, q, h); err != nil {
					return err
				}
			}
			return nil
		})
}

func (c *check) chain(ctx context.Context, q *store.Queries, h store.History) error {
	wrong := func(rule, seen string, args ...any) { c.found("histories", h.AppID, rule, seen, args...) }
	v := history.Verifier{AppID: h.AppID}
	broken := false
	steps := 0
	err := pages(c, "history_entries", int64(0), func(e store.HistoryEntry) int64 { return e.Seq },
		func(after int64) ([]store.HistoryEntry, error) {
			return q.ListHistoryEntries(ctx, store.ListHistoryEntriesParams{AppID: h.AppID, After: after, UpTo: 1<<63 - 1, Most: pageSize})
		},
		func(rows []store.HistoryEntry) error {
			for _, row := range rows {
				app, e, err := history.Parse(row.Bytes)
				switch {
				case err != nil:
					wrong("each entry has its form", "entry %d: %v", row.Seq, err)
					broken = true
				case app != h.AppID || e.Seq != uint64(row.Seq) || e.Hash != row.Hash:
					wrong("each entry is where it belongs", "row %d with hash %s holds entry %d of %s with hash %s", row.Seq, row.Hash, e.Seq, app, e.Hash)
					broken = true
				}
				if e.Kind == history.KindUpdate || e.Kind == history.KindApproval {
					steps++
				}
				if e.Kind == history.KindPower {
					c.powerEntries[e.Operation] = append(c.powerEntries[e.Operation], e)
				}
				if broken {
					continue // one break is enough to tell; all that follows would be reported
				}
				if err := v.Add(e); err != nil {
					wrong("the entries are a chain", "%v", err)
					broken = true
				}
			}
			return nil
		})
	if err != nil {
		return err
	}
	c.recorded[h.AppID] = steps
	if broken {
		return nil
	}
	if err := v.End(api.HistoryHead{Seq: uint64(h.Seq), Hash: h.Hash}); err != nil {
		wrong("the chain ends with its head", "%v", err)
	}
	return nil
}

// recordOf checks that a step of an update has its entry. A step that an older program wrote has none until
// the sweeper comes, which is not wrong by itself.
func (c *check) recordOf(ctx context.Context, q *store.Queries, u store.Update, step store.UpdateEvent) error {
	wrong := func(rule, seen string, args ...any) { c.found("updates", u.ID, rule, seen, args...) }
	appID := c.cvms[u.CVMID].AppID
	if step.HistorySeq == 0 {
		if c.options.Now.After(step.CreatedAt.Add(c.options.Grace)) {
			wrong("each step is recorded in the history of its app", "step %d is not", step.Seq)
		}
		return nil
	}
	c.steps[appID]++
	row, err := q.GetHistoryEntry(ctx, appID, step.HistorySeq)
	if errors.Is(err, store.ErrNotFound) {
		wrong("each step is recorded in the history of its app", "step %d names entry %d, which is not there", step.Seq, step.HistorySeq)
		return nil
	}
	if err != nil {
		return err
	}
	_, e, err := history.Parse(row.Bytes)
	if err != nil {
		return nil //nolint:nilerr // found when the chain was walked
	}
	if e.Operation != u.ID || e.Facts["from"] != string(step.FromState) || e.Facts["to"] != string(step.ToState) ||
		e.Facts["reason"] != step.Reason || e.Actor != step.Actor || e.Time != history.Time(step.CreatedAt.Time) {
		wrong("the entry of a step says the same", "step %d (%s to %s by %s: %s), entry %d (%s to %s by %s: %s) of %s", step.Seq,
			step.FromState, step.ToState, step.Actor, step.Reason, step.HistorySeq, e.Facts["from"], e.Facts["to"], e.Actor, e.Facts["reason"], e.Operation)
	}
	return nil
}

// recordsOfPower checks that each step of a power operation has its entry, in the order of the steps.
func (c *check) recordsOfPower(op store.PowerOperation, steps []store.PowerEvent, wrong func(rule, seen string, args ...any)) {
	entries := c.powerEntries[op.ID]
	delete(c.powerEntries, op.ID)
	if len(entries) != len(steps) {
		wrong("each step is recorded in the history of its app", "%d entries for %d steps", len(entries), len(steps))
		return
	}
	for i, step := range steps {
		e := entries[i]
		if e.CVM != c.cvms[op.CVMID].VMUUID || e.Facts["kind"] != string(op.Kind) || e.Facts["from"] != string(step.FromState) ||
			e.Facts["to"] != string(step.ToState) || e.Actor != step.Actor || e.Time != history.Time(step.CreatedAt.Time) ||
			e.Facts["error_sha256"] == "" && e.Facts["reason"] != step.Reason { // a history does not repeat what went wrong
			wrong("the entry of a step says the same", "step %d (%s to %s by %s: %s), entry %d (%s to %s by %s: %s)", step.Seq,
				step.FromState, step.ToState, step.Actor, step.Reason, e.Seq, e.Facts["from"], e.Facts["to"], e.Actor, e.Facts["reason"])
		}
	}
}

// checkRecords looks for entries of steps that nobody took: each step has exactly one.
func (c *check) checkRecords() {
	for id, entries := range c.powerEntries {
		c.found("power_operations", id, "each entry of a step has its step", "%d entries, and no such operation", len(entries))
	}
	for app, n := range c.recorded {
		if n != c.steps[app] {
			c.found("histories", app, "each entry of a step has its step", "%d entries for %d steps", n, c.steps[app])
		}
	}
}
