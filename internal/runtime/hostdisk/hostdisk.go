// Package hostdisk is how a driver that is a host itself keeps its CVMs on disk: the exact bytes of what boots
// next, and a record of what the CVM is and is meant to do.
package hostdisk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// The layout:
//
//	<dir>/<cvm id>/instance.json              record: what the CVM is and whether it is meant to run
//	<dir>/<cvm id>/config-N/app-compose.json  the document, byte for byte
//	<dir>/<cvm id>/config-N/encrypted-env     absent when there is none
//	<dir>/.new-<cvm id>, .gone-<cvm id>       a CVM being created or removed
//
// Every change becomes true by one rename: that of the CVM's folder, or that of instance.json, which
// names the config folder in force. What is written before is synced first. So a process that is killed
// at any point leaves either the old or the new state, and what it left lying is swept at the next open.
const (
	recordFile   = "instance.json"
	documentFile = "app-compose.json"
	envFile      = "encrypted-env"
	configPrefix = "config-"
	newPrefix    = ".new-"
	gonePrefix   = ".gone-"
	tempSuffix   = ".tmp"
)

// Record is what instance.json holds.
type Record struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	AppID     string            `json:"app_id"`
	Image     string            `json:"image"`
	Resources runtime.Resources `json:"resources"`
	Config    int               `json:"config"` // N of the config folder in force
	Started   bool              `json:"started"`
	Seed      string            `json:"instance_id_seed,omitempty"` // 20 bytes in hex, drawn at the first boot
	Instance  string            `json:"instance_id,omitempty"`      // of the last boot that got so far
	CreatedAt time.Time         `json:"created_at"`
	StartedAt time.Time         `json:"started_at,omitzero"`
	ExitedAt  time.Time         `json:"exited_at,omitzero"`

	// Of drivers whose containers outlive their process.
	Up        bool                   `json:"up,omitempty"`      // the last boot came to its end, and what it started is not known to be down
	Down      bool                   `json:"down,omitempty"`    // all that it ran is known to be down
	Gone      bool                   `json:"gone,omitempty"`    // it is being removed
	Measured  appcompose.ComposeHash `json:"measured,omitzero"` // hash of what the last boot read; zero before
	BootError string                 `json:"boot_error,omitempty"`
}

// Folder is the folder of one CVM.
type Folder string

// ConfigDir is the folder of a configuration.
func (d Folder) ConfigDir(n int) string { return filepath.Join(string(d), fmt.Sprint(configPrefix, n)) }

// ReadConfig reads the configuration in force.
func (d Folder) ReadConfig(n int) (runtime.Config, error) {
	document, err := d.ReadDocument(n)
	if err != nil {
		return runtime.Config{}, err
	}
	env, err := os.ReadFile(filepath.Join(d.ConfigDir(n), envFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return runtime.Config{}, err
	}
	return runtime.Config{Document: document, EncryptedEnv: env}, nil
}

// ReadDocument reads the document of a configuration.
func (d Folder) ReadDocument(n int) ([]byte, error) {
	return os.ReadFile(filepath.Join(d.ConfigDir(n), documentFile))
}

// WriteConfig writes and syncs a config folder, replacing one that a killed process left half done.
func (d Folder) WriteConfig(n int, config runtime.Config) error {
	dir := d.ConfigDir(n)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(dir, documentFile), config.Document); err != nil {
		return err
	}
	if len(config.EncryptedEnv) > 0 {
		if err := writeSynced(filepath.Join(dir, envFile), config.EncryptedEnv); err != nil {
			return err
		}
	}
	return errors.Join(syncDir(dir), syncDir(string(d)))
}

// WriteRecord replaces the record, and syncs.
func (d Folder) WriteRecord(r Record) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(string(d), recordFile)
	if err := writeSynced(path+tempSuffix, append(text, '\n')); err != nil {
		return err
	}
	if err := os.Rename(path+tempSuffix, path); err != nil {
		return err
	}
	return syncDir(string(d))
}

// ReadRecord reads the record.
func (d Folder) ReadRecord() (Record, error) {
	var r Record
	text, err := os.ReadFile(filepath.Join(string(d), recordFile))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(text, &r)
}

// sweep deletes the config folders that are not in force.
func (d Folder) sweep(inForce int) error {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return err
	}
	keep := filepath.Base(d.ConfigDir(inForce))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), configPrefix) && e.Name() != keep {
			err = errors.Join(err, os.RemoveAll(filepath.Join(string(d), e.Name())))
		}
	}
	return err
}

// Disk is the folder of the node.
type Disk string

// CVM is the folder of one CVM.
func (d Disk) CVM(id string) Folder { return Folder(filepath.Join(string(d), id)) }

// Create makes the folder of a CVM appear whole.
func (d Disk) Create(r Record, config runtime.Config) error {
	temp := Folder(filepath.Join(string(d), newPrefix+r.ID))
	if err := os.RemoveAll(string(temp)); err != nil {
		return err
	}
	if err := os.Mkdir(string(temp), 0o700); err != nil {
		return err
	}
	if err := temp.WriteConfig(r.Config, config); err != nil {
		return err
	}
	if err := temp.WriteRecord(r); err != nil {
		return err
	}
	if err := os.Rename(string(temp), string(d.CVM(r.ID))); err != nil {
		return err
	}
	return syncDir(string(d))
}

// Hide makes the folder of a CVM disappear at once. What was in it is still to be deleted.
func (d Disk) Hide(id string) error {
	if err := d.Shred(id); err != nil {
		return err
	}
	if err := os.Rename(string(d.CVM(id)), d.gone(id)); err != nil {
		return err
	}
	return syncDir(string(d))
}

// Shred deletes what hide has hidden. What it leaves is swept when the node is opened again.
func (d Disk) Shred(id string) error { return os.RemoveAll(d.gone(id)) }

func (d Disk) gone(id string) string { return filepath.Join(string(d), gonePrefix+id) }

// Open creates the disk when missing, sweeps what a killed process left, and lists the CVMs.
func (d Disk) Open() ([]Record, error) {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, err
	}
	var records []Record
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Name(), newPrefix), strings.HasPrefix(e.Name(), gonePrefix):
			// What cannot be deleted now, such as files that containers own, shall not keep the node from its work.
			_ = os.RemoveAll(filepath.Join(string(d), e.Name()))
		case e.IsDir():
			r, err := d.load(e.Name())
			if err != nil {
				return nil, fmt.Errorf("CVM folder %s: %w", e.Name(), err)
			}
			records = append(records, r)
		}
	}
	return records, nil
}

func (d Disk) load(id string) (Record, error) {
	r, err := d.CVM(id).ReadRecord()
	if err != nil {
		return r, err
	}
	if r.ID != id {
		return r, fmt.Errorf("%s names CVM %q", recordFile, r.ID)
	}
	return r, d.CVM(id).sweep(r.Config)
}

func writeSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
