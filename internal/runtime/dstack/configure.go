package dstack

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

// Create implements runtime.Runtime.
func (d *Driver) Create(ctx context.Context, spec runtime.Spec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	if err := checkText("Spec.Config.Document", spec.Config.Document); err != nil {
		return err
	}
	if err := d.usable(ctx); err != nil {
		return err
	}
	give, err := d.turns.take(ctx, d.client.context.Done(), spec.ID)
	if err != nil {
		return err
	}
	defer give()
	if _, err := d.find(ctx, spec.ID); !errors.Is(err, runtime.ErrNotFound) {
		return err // nil when it is there
	}
	return d.create(ctx, spec)
}

func (d *Driver) create(ctx context.Context, spec runtime.Spec) error {
	request := vmmrpc.VMConfiguration{
		Name: vmName(spec), Image: spec.Image, ComposeFile: string(spec.Config.Document), EncryptedEnv: spec.Config.EncryptedEnv,
		VCPU: uint32(spec.Resources.VCPU), Memory: uint32(spec.Resources.MemoryMB), DiskSize: uint32(spec.Resources.DiskGB),
		AppID: &spec.AppID, KMSURLs: d.config.KMSURLs, GatewayURLs: d.config.GatewayURLs, Stopped: true,
	}
	var created vmmrpc.ID
	if err := d.client.rpc(ctx, vmmrpc.CreateVM, request, &created); err != nil {
		return err
	}
	// Somebody else may have created one at the same time. All look again, and agree.
	all, err := d.list(ctx, spec.ID, vmmrpc.StatusRequest{Keyword: spec.ID})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("dstack: the VMM created VM %q and does not list it", created.ID)
	}
	chosen := choose(all)
	for _, m := range all {
		if m != chosen && m.info.ID == created.ID {
			d.config.Logger.WarnContext(ctx, "a second VM for one CVM is removed", "cvm", spec.ID, "vm", created.ID)
			if err := d.client.rpc(ctx, vmmrpc.RemoveVM, vmmrpc.ID{ID: created.ID}, nil); err != nil {
				return err
			}
		}
	}
	if chosen.info.ID != created.ID {
		return nil // as if it had been there
	}
	d.remember(spec.ID, func(m *memory) { *m = memory{vm: created.ID} })
	if got, want := chosen.nextHash(), appcompose.Hash(spec.Config.Document); got != want {
		return fmt.Errorf("dstack: the VMM holds a document with hash %s after it was given one with hash %s", got, want)
	}
	if chosen.info.Status != vmmrpc.StatusStopped {
		return d.cutOff(ctx, chosen) // a VMM that knows no "stopped" starts what it creates
	}
	return nil
}

// Apply implements runtime.Runtime.
func (d *Driver) Apply(ctx context.Context, id string, config runtime.Config) error {
	return d.change(ctx, id, func(m *machine) error {
		there := m.config()
		sameDocument, sameEnv := bytes.Equal(there.Document, config.Document), sameEnv(there.EncryptedEnv, config.EncryptedEnv)
		if sameDocument && sameEnv {
			return nil
		}
		if err := checkText("Config.Document", config.Document); err != nil {
			return err
		}
		if state := d.stateOf(m); state != runtime.StateStopped && state != runtime.StateExited {
			return fmt.Errorf("%w: cannot apply a document while it is %s", runtime.ErrConflict, state)
		}
		// A guest that sits there after a failed boot would boot again with files half changed, and so would
		// a VM that the VMM is about to restart.
		if m.info.Status != vmmrpc.StatusStopped {
			if err := d.cutOff(ctx, m); err != nil {
				return err
			}
		}
		if !sameEnv {
			if err := d.writeEnv(ctx, m, config.EncryptedEnv); err != nil {
				return err
			}
		}
		if !sameDocument {
			if err := d.update(ctx, vmmrpc.UpdateVMRequest{ID: m.info.ID, ComposeFile: string(config.Document)}); err != nil {
				return err
			}
		}
		return d.checkWritten(ctx, id, config)
	})
}

func (d *Driver) update(ctx context.Context, request vmmrpc.UpdateVMRequest) error {
	return d.client.rpc(ctx, vmmrpc.UpdateVM, request, nil) // the id it answers is not that of the VM
}

// checkWritten reads back what was written.
func (d *Driver) checkWritten(ctx context.Context, id string, want runtime.Config) error {
	m, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	if got, hash := m.nextHash(), appcompose.Hash(want.Document); got != hash {
		return fmt.Errorf("dstack: the VMM holds a document with hash %s after it was given one with hash %s", got, hash)
	}
	if !sameEnv(m.config().EncryptedEnv, want.EncryptedEnv) {
		return errors.New("dstack: the VMM holds another encrypted environment than it was given")
	}
	return nil
}

// emptyEnvSize is the size of an encrypted environment without variables: key, nonce and tag, and the text
// {"env":[]}. No environment with variables is as short.
const emptyEnvSize = 32 + 12 + 16 + 10

// sameEnv compares environments. One without variables is as good as none.
func sameEnv(a, b []byte) bool {
	none := func(env []byte) bool { return len(env) == 0 || len(env) == emptyEnvSize }
	return none(a) && none(b) || bytes.Equal(a, b)
}

// writeEnv replaces the environment. The VMM takes no empty one, so that one without variables stands for it.
// Nothing in it is secret, so it does not matter whose key the VMM says it is: with a wrong one the
// guest fails to boot, as with any other environment that the host might put there.
func (d *Driver) writeEnv(ctx context.Context, m *machine, env []byte) error {
	if len(env) == 0 {
		app, err := hex.DecodeString(m.info.AppID)
		if err != nil || len(app) != 20 {
			return fmt.Errorf("dstack: app id of VM %s is %q, want 40 hex digits", m.info.ID, m.info.AppID)
		}
		var key vmmrpc.PublicKeyResponse
		if err := d.client.rpc(ctx, vmmrpc.GetAppEnvEncryptPubKey, vmmrpc.AppID{AppID: app}, &key); err != nil {
			return fmt.Errorf("dstack: an environment cannot be cleared without the key of the app: %w", err)
		}
		if len(key.PublicKey) != 32 {
			return fmt.Errorf("dstack: environment key of app %s has %d bytes, want 32", m.info.AppID, len(key.PublicKey))
		}
		if env, err = kms.EncryptEnv(rand.Reader, [32]byte(key.PublicKey), nil); err != nil {
			return err
		}
	}
	return d.update(ctx, vmmrpc.UpdateVMRequest{ID: m.info.ID, EncryptedEnv: env})
}

// checkText refuses a document that JSON cannot carry: the VMM would get, and hash, other bytes.
func checkText(field string, document []byte) error {
	if !utf8.Valid(document) {
		return &runtime.FieldError{Field: field, Seen: "bytes that are not UTF-8", Want: "UTF-8 text: dstack-vmm takes the document as a JSON string"}
	}
	if len(document) == 0 {
		return &runtime.FieldError{Field: field, Seen: "", Want: "an app-compose document"}
	}
	return nil
}
