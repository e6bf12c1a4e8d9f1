package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// record is everything that a run is judged by.
type record struct {
	updates      []store.Update
	steps        map[string][]store.UpdateEvent // by update
	revisions    map[string]appcompose.ComposeHash
	boots        []boot
	calls        []call // the VM is named by its CVM's id
	disturbances []disturbance
	bootsGoOn    bool // a boot that was cut off goes on with what it has started
	cvms         []ending
	accepted     map[string]string
	cancelled    map[string]string
	bad          map[appcompose.ComposeHash]bool
	said         map[grant]history
	offered      map[operation]bool
	operations   map[operation]int
	fsck         string // what `lockstep fsck` says when it finds something

	hammered, healed time.Duration
}

// ending is what became of a CVM, as the control plane has it and as the host does.
type ending struct {
	name     string
	id       int64 // in the database
	uuid     string
	app      string
	onChain  bool
	status   api.CVMStatus          // as the API says
	document appcompose.ComposeHash // as the API says
	hosted
}

// collect brings together what clients, host, owner, database and fsck know.
func (w *world) collect(ctx context.Context) (*record, error) {
	r := &record{
		accepted: w.tally.accepted, cancelled: w.tally.cancelled, bad: w.tally.badHashes, said: w.owner.granted,
		offered: w.offered, operations: w.tally.operations, bootsGoOn: w.options.runtime == onDocker, revisions: map[string]appcompose.ComposeHash{},
	}
	err := w.host.settle(ctx)
	if err != nil {
		return nil, err
	}
	r.boots, r.calls, r.disturbances = w.diary.copied()
	if r.updates, err = w.updates(ctx); err != nil {
		return nil, err
	}
	if r.steps, err = w.steps(ctx); err != nil {
		return nil, err
	}
	for after := ""; ; {
		page, err := w.database.db.Read().PageRevisions(ctx, after, 1000)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			break
		}
		for _, revision := range page {
			r.revisions[revision.ID], after = revision.ComposeHash, revision.ID
		}
	}
	if r.cvms, err = w.endings(ctx); err != nil {
		return nil, err
	}
	if err := w.nameVMs(ctx, r); err != nil {
		return nil, err
	}
	r.fsck, err = w.fsck(ctx)
	return r, err
}

// endings asks control plane and host what every CVM is and runs.
func (w *world) endings(ctx context.Context) (all []ending, err error) {
	rows, err := w.database.db.Read().PageCVMs(ctx, 0, 1_000_000)
	if err != nil {
		return nil, err
	}
	ids := map[string]int64{}
	for _, row := range rows {
		ids[row.Name] = row.ID
	}
	client := w.servers[0].client
	for _, c := range w.cvms {
		said, err := client.GetCVM(ctx, c.name)
		if err != nil {
			return nil, fmt.Errorf("ask for %s: %w", c.name, err)
		}
		file, err := client.GetCVMComposeFile(ctx, c.name)
		if err != nil {
			return nil, fmt.Errorf("ask for the document of %s: %w", c.name, err)
		}
		seen, err := w.host.look(ctx, *said.VMUUID)
		if err != nil {
			return nil, fmt.Errorf("ask the host for %s: %w", c.name, err)
		}
		all = append(all, ending{
			name: c.name, id: ids[c.name], uuid: *said.VMUUID, app: c.appID, onChain: c.onChain, status: said.Status,
			document: appcompose.Hash(file.Bytes()), hosted: seen,
		})
	}
	return all, nil
}

// nameVMs puts the id of the CVM in place of that of its VM, which the driver writes at the end of the VM's name.
func (w *world) nameVMs(ctx context.Context, r *record) error {
	names, err := w.host.names(ctx)
	if err != nil {
		return err
	}
	for i := range r.calls {
		name := r.calls[i].vm
		if named, ok := names[name]; ok {
			name = named
		}
		for _, c := range r.cvms {
			if strings.HasSuffix(name, c.uuid) {
				r.calls[i].vm = c.uuid
			}
		}
	}
	return nil
}

// fsck runs `lockstep fsck`. What it finds is no error here; the judge looks at it.
func (w *world) fsck(ctx context.Context) (found string, err error) {
	var out bytes.Buffer
	command := exec.CommandContext(ctx, w.options.lockstep, "fsck", "--config", w.servers[0].config)
	command.Stdout, command.Stderr = io.MultiWriter(&out), &out
	if err := command.Run(); err != nil {
		return fmt.Sprintf("%v: %s", err, out.String()), ctx.Err()
	}
	return "", nil
}

// print gives the figures of a run.
func (w *world) print(r *record) {
	states := map[string]int{}
	for _, u := range r.updates {
		states[string(u.State)]++
	}
	operations := map[string]int{}
	for o, n := range r.operations {
		operations[string(o)] = n
	}
	denied := 0
	for _, b := range r.boots {
		if !b.allowed {
			denied++
		}
	}
	w.say("done to servers and what they stand on: %s", counts(w.tally.harm))
	w.say("answers: %s", counts(w.tally.answers))
	w.say("operations taken: %s", counts(operations))
	w.say("%d updates, %d of them accepted with an answer that arrived; states: %s", len(r.updates), len(r.accepted), counts(states))
	w.say("%d boots on the host, %d of them denied by the KMS, after %d calls that change a VM", len(r.boots), denied, len(r.calls))
	w.say("hammered for %s; all came to an end %s after the last failure", r.hammered.Round(time.Second), r.healed.Round(100*time.Millisecond))
}

func counts(of map[string]int) string {
	if len(of) == 0 {
		return "none"
	}
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s %d", what, of[what]))
	}
	return strings.Join(parts, ", ")
}

func lines(of []string) string { return strings.Join(of, "\n") }
