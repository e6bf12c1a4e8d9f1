package dstack

import (
	"context"
	"regexp"
	"strings"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

// machine is a CVM as the VMM shows it at one moment.
type machine struct {
	id   string // of the CVM
	info vmmrpc.VMInfo
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// maxLabel is how much of a CVM's name goes into the name of its VM.
const maxLabel = 40

// vmName is the name of the VM of a CVM: something for people to read, and the id of the CVM. It has only what
// every version of the VMM takes in a name: letters, digits, - and _.
func vmName(spec runtime.Spec) string {
	label := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '_'
	}, spec.Name)
	if label == "" {
		label = "cvm"
	}
	return label[:min(len(label), maxLabel)] + nameOf(spec.ID)
}

// nameOf is how the names of all VMs of a CVM end.
func nameOf(id string) string { return "-" + id }

// find returns the VM of a CVM. The error is ErrNotFound also for one that is being removed.
func (d *Driver) find(ctx context.Context, id string) (*machine, error) {
	if err := d.usable(ctx); err != nil {
		return nil, err
	}
	if !uuid.MatchString(id) {
		return nil, notFound(id)
	}
	var known string
	d.mu.Lock()
	if m := d.seen[id]; m != nil {
		known = m.vm
	}
	d.mu.Unlock()
	if known != "" {
		found, err := d.list(ctx, id, vmmrpc.StatusRequest{IDs: []string{known}})
		if err != nil {
			return nil, err
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	found, err := d.list(ctx, id, vmmrpc.StatusRequest{Keyword: id})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		d.forget(id)
		return nil, notFound(id)
	}
	chosen := choose(found)
	d.remember(id, func(m *memory) {
		if m.vm != chosen.info.ID {
			*m = memory{vm: chosen.info.ID}
		}
	})
	return chosen, nil
}

// list asks for VMs and keeps those of the CVM that are there to stay, in the order of their creation.
func (d *Driver) list(ctx context.Context, id string, request vmmrpc.StatusRequest) ([]*machine, error) {
	var answer vmmrpc.StatusResponse
	if err := d.client.rpc(ctx, vmmrpc.Status, request, &answer); err != nil {
		return nil, err
	}
	var found []*machine
	for _, info := range answer.VMs {
		if strings.HasSuffix(info.Name, nameOf(id)) && info.Status != vmmrpc.StatusRemoving && info.ID != "" {
			found = append(found, &machine{id: id, info: info})
		}
	}
	return found, nil
}

// choose says which of several VMs that were created for one CVM is the one: a create whose answer got lost
// may have been repeated before it took effect. It is the first that was ever started, and otherwise the
// first. Whoever looks, whenever, comes to the same answer, because only the chosen one is started.
func choose(found []*machine) *machine {
	for _, m := range found {
		if m.everStarted() {
			return m
		}
	}
	return found[0]
}

func (m *machine) everStarted() bool {
	return m.info.Status != vmmrpc.StatusStopped || m.info.Uptime != "" && m.info.Uptime != vmmrpc.Never
}

// config is what the VMM holds for the next boot.
func (m *machine) config() runtime.Config {
	if m.info.Configuration == nil {
		return runtime.Config{}
	}
	return runtime.Config{Document: []byte(m.info.Configuration.ComposeFile), EncryptedEnv: m.info.Configuration.EncryptedEnv}
}

// nextHash is the hash of what boots next; zero when the VMM shows no document.
func (m *machine) nextHash() appcompose.ComposeHash {
	if m.info.Configuration == nil || m.info.Configuration.ComposeFile == "" {
		return appcompose.ComposeHash{}
	}
	return appcompose.Hash([]byte(m.info.Configuration.ComposeFile))
}
