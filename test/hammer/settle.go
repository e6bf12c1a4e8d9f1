package main

import (
	"context"
	"fmt"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// heal stops every failure and waits until nothing rolls any more.
func (w *world) heal(ctx context.Context) error {
	w.mend()
	return w.settle(ctx)
}

// settle waits until no update owns a CVM, and nothing else is under way.
func (w *world) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.options.heal)
	defer cancel()
	for {
		updates, err := w.updates(ctx)
		if err != nil {
			return err
		}
		var open []string
		for _, u := range updates {
			if !ended(u) {
				open = append(open, fmt.Sprintf("%s %s since %s: %s", u.ID, u.State, u.StateSince.Format(time.TimeOnly), u.Reason))
			}
		}
		busy, err := w.busy(ctx)
		if err != nil {
			return err
		}
		if open = append(open, busy...); len(open) == 0 {
			return nil
		}
		if rest(ctx, 200*time.Millisecond) != nil {
			return fmt.Errorf("%d things did not come to an end in %s:\n%s", len(open), w.options.heal, lines(open))
		}
	}
}

// ended reports whether nothing is left to do by itself: the update is final, or waits for its owner.
func ended(u store.Update) bool {
	return u.State.Final() || u.State == column.AwaitingApproval && u.TxHash == ""
}

// busy lists the CVMs that something is being done to, such as a stop.
func (w *world) busy(ctx context.Context) (busy []string, err error) {
	rows, err := w.database.db.Read().PageCVMs(ctx, 0, 1_000_000)
	for _, row := range rows {
		switch api.CVMStatus(row.Status) {
		case api.StatusRunning, api.StatusStopped, api.StatusExited, api.StatusError:
		default:
			busy = append(busy, row.Name+" is "+row.Status)
		}
	}
	return busy, err
}
