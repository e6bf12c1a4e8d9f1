package lockstep

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Checkpoint keeps how far an update came, so that [Client.Apply] goes on there in another process.
// One checkpoint serves one update at a time.
type Checkpoint interface {
	// Load returns the record, or nil when there is none.
	Load() (*CheckpointRecord, error)
	// Save replaces the record. When it returns, the record survives a crash.
	Save(*CheckpointRecord) error
	// Clear removes the record: the update is done.
	Clear() error
}

// CheckpointRecord is how far an update came. It holds no secret.
type CheckpointRecord struct {
	// API, CVM and ComposeSHA256 name the update; a record of another one is not used. CVM is the
	// identifier in its path form, ComposeSHA256 is of the compose text.
	API           string `json:"api"`
	CVM           string `json:"cvm"`
	ComposeSHA256 string `json:"compose_sha256"`
	// ComposeHash is what phase 1 answered with.
	ComposeHash string `json:"compose_hash,omitempty"`
	// Asked is set before the approver is called: from then on a transaction may exist.
	Asked bool `json:"asked,omitempty"`
	// TransactionHash is what the approver returned.
	TransactionHash string `json:"transaction_hash,omitempty"`
	// PreviousTransaction is one that did not lead to an accepted update; it may still be pending.
	PreviousTransaction string `json:"previous_transaction,omitempty"`
	// Accepted is set once the server accepted the update.
	Accepted      bool   `json:"accepted,omitempty"`
	CorrelationID string `json:"correlation_id,omitempty"`
}

// same reports whether two records are of the same update.
func (r *CheckpointRecord) same(o *CheckpointRecord) bool {
	return r.API == o.API && r.CVM == o.CVM && r.ComposeSHA256 == o.ComposeSHA256
}

// FileCheckpoint keeps the record in a file that only its owner can read.
type FileCheckpoint struct{ path string }

// NewFileCheckpoint returns a checkpoint in the file at path. Its folder must exist.
func NewFileCheckpoint(path string) *FileCheckpoint { return &FileCheckpoint{path} }

// Load implements [Checkpoint]. A file that is no record is an error: whoever deletes it knows what
// was approved.
func (f *FileCheckpoint) Load() (*CheckpointRecord, error) {
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r CheckpointRecord
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s is not a checkpoint: %w", f.path, err)
	}
	return &r, nil
}

// Save implements [Checkpoint]. The file is replaced as a whole, and is on disk when Save returns.
func (f *FileCheckpoint) Save(r *CheckpointRecord) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	// CreateTemp makes the file with mode 0600.
	tmp, err := os.CreateTemp(filepath.Dir(f.path), filepath.Base(f.path)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(b, '\n'))
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), f.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return syncFolder(filepath.Dir(f.path))
}

// Clear implements [Checkpoint].
func (f *FileCheckpoint) Clear() error {
	if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncFolder makes a rename durable.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
