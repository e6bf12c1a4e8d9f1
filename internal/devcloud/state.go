package devcloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// state is what `lockstep dev` remembers between two starts on one folder, besides what its parts
// keep themselves. The keys in it are worth nothing outside this folder.
type state struct {
	KMSContract  string `json:"kms_contract_address"`
	APIKey       string `json:"api_key"`
	SecondAPIKey string `json:"second_api_key"`

	path string
}

func openState(dir string) (*state, error) {
	state := &state{path: filepath.Join(dir, "dev.json")}
	b, err := os.ReadFile(state.path)
	if errors.Is(err, fs.ErrNotExist) {
		return state, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, state); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", state.path, err)
	}
	return state, nil
}

func (s *state) save() error {
	b, err := json.MarshalIndent(s, "", "  ") //nolint:gosec // keys of a development cloud, in a file only its owner reads
	if err != nil {
		return err
	}
	return WriteFileAtomic(s.path, b)
}

// WriteFileAtomic writes a file that only its owner may read, so that a reader sees all of it or what
// was there before.
func WriteFileAtomic(path string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".tmp-*") // created with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }() // after the rename there is nothing to remove
	if _, err = temporary.Write(content); err == nil {
		err = temporary.Sync()
	}
	if err = errors.Join(err, temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
