package app

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// Keys manages the API keys of a server through its database, without starting it.
type Keys struct {
	db      *store.Store
	service *control.Service
}

// noQueue is for a service that starts no updates.
type noQueue struct{}

// EnqueueAdvance implements control.Queue.
func (noQueue) EnqueueAdvance(context.Context, *store.Tx, string) error {
	return errors.New("app: key management starts no updates")
}

// EnqueueRollout implements control.Queue.
func (noQueue) EnqueueRollout(context.Context, *store.Tx, string) error {
	return errors.New("app: key management starts no rollouts")
}

// EnqueuePower implements control.Queue.
func (noQueue) EnqueuePower(context.Context, *store.Tx, string) error {
	return errors.New("app: key management starts no power operations")
}

// OpenKeys opens the database of a configuration.
func OpenKeys(ctx context.Context, config Config) (*Keys, error) {
	db, err := store.Open(ctx, config.DatabaseURL)
	if err != nil {
		return nil, err
	}
	catalog, err := control.NewCatalog(nil, nil)
	if err != nil {
		return nil, err
	}
	service, err := control.New(control.Config{Store: db, Queue: noQueue{}, Catalog: catalog, Clock: wallClock{}})
	if err != nil {
		return nil, err
	}
	return &Keys{db: db, service: service}, nil
}

// Close closes the database.
func (k *Keys) Close() error { return k.db.Close() }

// Create makes a key, and its workspace when that is not there.
func (k *Keys) Create(ctx context.Context, workspace, name string, scopes []control.Scope, lifetime time.Duration) (control.NewKey, error) {
	if _, err := k.service.EnsureWorkspace(ctx, workspace, workspace); err != nil {
		return control.NewKey{}, err
	}
	return k.service.CreateKey(ctx, workspace, name, scopes, lifetime)
}

// List lists every key.
func (k *Keys) List(ctx context.Context) ([]control.KeyInfo, error) { return k.service.Keys(ctx) }

// Revoke ends a key.
func (k *Keys) Revoke(ctx context.Context, id string) error { return k.service.RevokeKey(ctx, id) }
