package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// heal stops every failure and waits until nothing rolls any more.
func (w *world) heal(ctx context.Context) error {
	w.mend()
	return w.settle(ctx)
}

// settle waits until no update owns a CVM.
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
		if len(open) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d updates did not come to an end in %s:\n%s", len(open), w.options.heal, strings.Join(open, "\n"))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// ended reports whether nothing is left to do by itself: the update is final, or waits for its owner.
func ended(u store.Update) bool {
	return u.State.Final() || u.State == column.AwaitingApproval && u.TxHash == ""
}

// updates reads every update from the database, beside the server.
func (w *world) updates(ctx context.Context) (all []store.Update, err error) {
	db, err := store.Open(ctx, "sqlite:"+filepath.Join(w.dir, "lockstep.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	after := ""
	for {
		page, err := db.Read().PageUpdates(ctx, after, 1000)
		if err != nil || len(page) == 0 {
			return all, err
		}
		all, after = append(all, page...), page[len(page)-1].ID
	}
}

// judge looks for everything that must not be, and prints the figures.
func (w *world) judge(ctx context.Context, healed time.Duration) error {
	updates, err := w.updates(ctx)
	if err != nil {
		return err
	}
	wrong := slices.Clone(w.boots.bad)
	byCorrelation, states := map[string]store.Update{}, map[string]int{}
	for _, u := range updates {
		byCorrelation[u.CorrelationID] = u
		states[string(u.State)]++
		if u.Reason == "" {
			wrong = append(wrong, fmt.Sprintf("update %s is %s without a reason", u.ID, u.State))
		}
	}
	for id, name := range w.tally.accepted {
		switch u, ok := byCorrelation[id]; {
		case !ok:
			wrong = append(wrong, fmt.Sprintf("the update %s of %s was accepted and is lost", id, name))
		case !u.State.Final() && u.Error == "":
			// Back with its owner is an end too, but only when the approval was lost, which leaves an error.
			wrong = append(wrong, fmt.Sprintf("the update %s of %s was accepted and is %s: %s", id, name, u.State, u.Reason))
		}
	}
	running, err := w.compareWithHost(ctx)
	if err != nil {
		return err
	}
	wrong = append(wrong, running...)
	if out, err := w.fsck(ctx); err != nil {
		wrong = append(wrong, fmt.Sprintf("lockstep fsck: %v: %s", err, out))
	}
	w.print(updates, states, healed)
	if len(wrong) > 0 {
		return fmt.Errorf("%d things are wrong:\n%s", len(wrong), strings.Join(wrong, "\n"))
	}
	w.say("nothing is wrong")
	return nil
}

func (w *world) fsck(ctx context.Context) (string, error) {
	var out bytes.Buffer
	command := exec.CommandContext(ctx, w.options.lockstep, "fsck", "--config", filepath.Join(w.dir, "lockstep.yaml"))
	command.Stdout, command.Stderr = io.MultiWriter(&out), &out
	err := command.Run()
	return out.String(), err
}

// compareWithHost asks the host what every CVM runs: it must be what the control plane says, and it must run
// unless the control plane says that it does not.
func (w *world) compareWithHost(ctx context.Context) (wrong []string, err error) {
	driver, err := dstack.New(dstack.Config{URL: w.host.URL})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, driver.Close()) }()
	for _, c := range w.cvms {
		said, err := w.client.GetCVM(ctx, c.name)
		if err != nil {
			return nil, fmt.Errorf("ask for %s: %w", c.name, err)
		}
		file, err := w.client.GetCVMComposeFile(ctx, c.name)
		if err != nil {
			return nil, fmt.Errorf("ask for the document of %s: %w", c.name, err)
		}
		seen, err := driver.Status(ctx, *said.VMUUID)
		if err != nil {
			return nil, fmt.Errorf("ask the host for %s: %w", c.name, err)
		}
		switch {
		case said.Status == api.StatusError:
			// Its new version did not boot and the previous one may not run any more; the update says so.
		case seen.State != runtime.StateRunning || seen.RunningHash.String() != file.Hash():
			wrong = append(wrong, fmt.Sprintf("%s is said to run %s (%s), the host has it %s with %s: %s",
				c.name, file.Hash(), said.Status, seen.State, seen.RunningHash, seen.BootError))
		}
	}
	return wrong, nil
}

func (w *world) print(updates []store.Update, states map[string]int, healed time.Duration) {
	w.say("killed the server %d times; outages: %s", w.tally.kills, counts(w.tally.outages))
	w.say("answers: %s", counts(w.tally.answers))
	w.say("%d updates, %d of them accepted with an answer that arrived; states: %s", len(updates), len(w.tally.accepted), counts(states))
	w.say("%d boots on the host, each of a document that was allowed; all came to an end %s after the last failure",
		w.boots.total.Load(), healed.Round(100*time.Millisecond))
}

func counts(of map[string]int) string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s %d", what, of[what]))
	}
	return strings.Join(parts, ", ")
}
