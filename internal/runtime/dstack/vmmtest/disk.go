package vmmtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

// The disk of a host, laid out as dstack-vmm does:
//
//	<dir>/vm/<vm id>/vm-manifest.json          manifest
//	<dir>/vm/<vm id>/shared/app-compose.json   what the next boot reads
//	<dir>/vm/<vm id>/shared/.encrypted-env
//	<dir>/vm/<vm id>/shared/.user-config
//	<dir>/vm/<vm id>/booted/app-compose.json   what the last boot read; a guest knows it, the VMM does not look
//	<dir>/guests/<vm id>/                      the guest, see runtime/sim
//	<dir>/lock                                 held by the VMM that uses the disk
//
// As with the VMM, nothing is flushed: it survives the end of the process at any point, not of the machine.
// Unlike with the VMM, a file is replaced whole or not at all.
const (
	lockFile     = "lock"
	manifestFile = "vm-manifest.json"
	sharedDir    = "shared"
	bootedDir    = "booted"
	composeFile  = "app-compose.json"
	envFile      = ".encrypted-env"
	userFile     = ".user-config"
)

// manifest is what the VMM keeps of a VM besides its shared files.
type manifest struct {
	ID          string              `json:"id"`
	Name        string              `json:"name"`
	AppID       string              `json:"app_id"`
	Image       string              `json:"image"`
	VCPU        uint32              `json:"vcpu"`
	Memory      uint32              `json:"memory"`
	DiskSize    uint32              `json:"disk_size"`
	Ports       []vmmrpc.Port       `json:"port_map,omitempty"`
	CreatedAt   uint64              `json:"created_at_ms"`
	Sequence    uint64              `json:"sequence"` // breaks ties of created_at_ms
	Hugepages   bool                `json:"hugepages,omitempty"`
	PinNUMA     bool                `json:"pin_numa,omitempty"`
	GPUs        *vmmrpc.GPUConfig   `json:"gpus,omitempty"`
	KMSURLs     []string            `json:"kms_urls,omitempty"`
	GatewayURLs []string            `json:"gateway_urls,omitempty"`
	NoTEE       bool                `json:"no_tee,omitempty"`
	Networks    []vmmrpc.Networking `json:"networks,omitempty"`
	Started     bool                `json:"started,omitempty"`
	Removing    bool                `json:"removing,omitempty"`
	InstanceID  string              `json:"instance_id,omitempty"`
	StartedAt   time.Time           `json:"started_at,omitzero"` // of the process
	StoppedAt   time.Time           `json:"stopped_at,omitzero"` // of the process
}

// disk is the vm folder of a host.
type disk string

func (d disk) vm(id string) string                  { return filepath.Join(string(d), id) }
func (d disk) shared(id, name string) string        { return filepath.Join(string(d), id, sharedDir, name) }
func (d disk) booted(id string) string              { return filepath.Join(string(d), id, bootedDir, composeFile) }
func (d disk) readBooted(id string) ([]byte, error) { return os.ReadFile(d.booted(id)) }

// create makes the folder of a VM with its shared files. The manifest makes it one, and is written last.
func (d disk) create(m manifest, c *vmmrpc.VMConfiguration) error {
	for _, dir := range []string{sharedDir, bootedDir} {
		if err := os.MkdirAll(filepath.Join(d.vm(m.ID), dir), 0o700); err != nil {
			return err
		}
	}
	err := d.writeShared(m.ID, composeFile, []byte(c.ComposeFile))
	if len(c.EncryptedEnv) > 0 {
		err = errors.Join(err, d.writeShared(m.ID, envFile, c.EncryptedEnv))
	}
	if c.UserConfig != "" {
		err = errors.Join(err, d.writeShared(m.ID, userFile, []byte(c.UserConfig)))
	}
	return errors.Join(err, d.writeManifest(m))
}

func (d disk) writeShared(id, name string, content []byte) error {
	return replaceFile(d.shared(id, name), content)
}

// readShared reads a shared file; one that is not there is empty.
func (d disk) readShared(id, name string) ([]byte, error) {
	content, err := os.ReadFile(d.shared(id, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return content, err
}

// keepBooted keeps the document that a boot reads. A later UpdateVm puts another file in its place and leaves
// this one as it is.
func (d disk) keepBooted(id string) error {
	if err := os.Remove(d.booted(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Link(d.shared(id, composeFile), d.booted(id))
}

func (d disk) writeManifest(m manifest) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(d.vm(m.ID), manifestFile), text)
}

func (d disk) remove(id string) error { return os.RemoveAll(d.vm(id)) }

// load reads the manifests. A folder without one is what a killed process left of a VM it was creating.
func (d disk) load() ([]manifest, error) {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, err
	}
	var all []manifest
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(string(d), e.Name(), manifestFile))
		if errors.Is(err, fs.ErrNotExist) {
			if err := d.remove(e.Name()); err != nil {
				return nil, err
			}
			continue
		}
		var m manifest
		if err == nil {
			err = json.Unmarshal(text, &m)
		}
		if err != nil {
			return nil, fmt.Errorf("VM folder %s: %w", e.Name(), err)
		}
		all = append(all, m)
	}
	return all, nil
}

func replaceFile(path string, content []byte) error {
	temporary := path + ".tmp"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
