package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver that the store uses

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// clients is how many requests are in flight at once.
const clients = 64

// rounds is how often server and baseline are measured in turn.
const rounds = 3

// measurePhase1 compares phase-1 requests over HTTP, each on disk before it is answered, with commits of
// the same rows by a program that does nothing else.
func measurePhase1(ctx context.Context, env *environment) ([]figure, error) {
	dir, err := os.MkdirTemp("", "lockstep-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder that stays does no harm
	cloud, err := startCloud(ctx, env, filepath.Join(dir, "cloud"))
	if err != nil {
		return nil, err
	}
	defer cloud.stop()
	rows, err := openBareRows(ctx, filepath.Join(dir, "bare"))
	if err != nil {
		return nil, err
	}
	defer rows.close()
	var ours, bare float64
	for range rounds {
		n, err := proposals(ctx, cloud.ready, env.duration)
		if err != nil {
			return nil, err
		}
		ours += n / rounds
		if n, err = rows.rate(ctx, env.duration); err != nil {
			return nil, err
		}
		bare += n / rounds
	}
	return []figure{{
		name: "durable phase-1 requests over HTTP / bare SQLite commits", ours: fmt.Sprintf("%.0f/s", ours),
		baseline: fmt.Sprintf("%.0f/s", bare), value: ours / bare, unit: "x", limit: 0.7,
	}}, nil
}

var proposal atomic.Int64

func nextYAML() string {
	return fmt.Sprintf("services:\n  web:\n    image: nginx:1.27.3\n    environment:\n      VERSION: \"%d\"\n", proposal.Add(1))
}

// proposals sends different proposals for one CVM and returns how many were answered a second. It is a
// plain HTTP client: the server is measured, and both share the machine.
func proposals(ctx context.Context, ready ready, duration time.Duration) (float64, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	var answered atomic.Int64
	failed := make(chan error, clients)
	began := time.Now()
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for time.Since(began) < duration {
				if err := propose(ctx, transport, ready); err != nil {
					failed <- err
					return
				}
				answered.Add(1)
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
		return float64(answered.Load()) / time.Since(began).Seconds(), nil
	}
}

func propose(ctx context.Context, transport http.RoundTripper, ready ready) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPatch, ready.APIURL+"/cvms/"+ready.CVMs[1].ID+"/docker-compose", strings.NewReader(nextYAML()))
	if err != nil {
		return err
	}
	request.Header = http.Header{"X-Api-Key": {ready.APIKey}, "Content-Type": {"text/yaml"}}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // it was read to its end
	if err == nil && (response.StatusCode != api.StatusHashRegistrationRequired || !bytes.Contains(body, []byte(`"compose_hash"`))) {
		err = fmt.Errorf("phase 1 was answered with %d: %s", response.StatusCode, body)
	}
	return err
}

// bareRows writes the rows of a phase-1 request and nothing else: document, update, its two history
// rows, and the end of the candidate before it.
type bareRows struct {
	db   *sql.DB
	stmt []*sql.Stmt
	n    int
}

var bareStatements = []string{
	`INSERT INTO documents (compose_hash, bytes, created_at) VALUES (?1, ?2, ?3)`,
	`UPDATE updates SET state = 'superseded', reason = ?2, finished_at = ?3, version = version + 1 WHERE id = ?1`,
	`INSERT INTO update_events (update_id, seq, from_state, to_state, reason, actor, created_at) VALUES (?1, 3, 'awaiting_approval', 'superseded', ?2, 'key', ?3)`,
	`INSERT INTO updates (id, cvm_id, kind, state, reason, correlation_id, compose_hash, from_revision_id, created_by, created_at, expires_at, state_since)
	 VALUES (?1, 1, 'update', 'awaiting_approval', 'waits', ?1, ?2, 'rev', 'key', ?3, ?3, ?3)`,
	`INSERT INTO update_events (update_id, seq, from_state, to_state, reason, actor, created_at) VALUES (?1, ?2, ?3, ?4, 'proposed', 'key', ?5)`,
}

func openBareRows(ctx context.Context, dir string) (*bareRows, error) {
	path := filepath.Join(dir, "bare.db")
	schema, err := store.Open(ctx, "sqlite:"+path) // the same tables and indexes
	if err != nil {
		return nil, err
	}
	if err := schema.Close(); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(ON)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	rows := &bareRows{db: db}
	for _, text := range []string{
		`INSERT INTO workspaces (id, slug, name, wallet_address, created_at) VALUES ('w', 'w', 'w', '', 0)`,
		`INSERT INTO apps (app_id, project_id, workspace_id, name, kms_id, created_at) VALUES ('a', 'p', 'w', 'n', 'k', 0)`,
		`INSERT INTO cvms (id, hash_id, vm_uuid, workspace_id, app_id, name, node_id, kms_id, status, image, instance_type, vcpu, memory_mb, disk_gb, listed, created_by, created_at, updated_at)
		 VALUES (1, 'c', 'u', 'w', 'a', 'n', 1, 'k', 'running', 'i', 't', 1, 1, 1, 0, 'key', 0, 0)`,
	} {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	for _, text := range bareStatements {
		stmt, err := db.PrepareContext(ctx, text)
		if err != nil {
			return nil, errors.Join(err, db.Close())
		}
		rows.stmt = append(rows.stmt, stmt)
	}
	return rows, nil
}

func (r *bareRows) close() { _ = r.db.Close() }

func (r *bareRows) rate(ctx context.Context, duration time.Duration) (float64, error) {
	began, before := time.Now(), r.n
	for time.Since(began) < duration {
		if err := r.commit(ctx); err != nil {
			return 0, err
		}
	}
	return float64(r.n-before) / time.Since(began).Seconds(), nil
}

func (r *bareRows) commit(ctx context.Context) error {
	document, err := appcompose.New(appcompose.Spec{Name: "demo-onchain", DockerComposeFile: nextYAML()})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(document.Bytes())
	hash := hex.EncodeToString(sum[:])
	now := time.Now().UnixMicro()
	id, old := fmt.Sprintf("upd_%020d", r.n+1), fmt.Sprintf("upd_%020d", r.n)
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	run := func(i int, args ...any) {
		if err == nil {
			_, err = tx.StmtContext(ctx, r.stmt[i]).ExecContext(ctx, args...)
		}
	}
	run(0, hash, document.Bytes(), now)
	if r.n > 0 {
		run(1, old, "superseded by "+id, now)
		run(2, old, "superseded by "+id, now)
	}
	run(3, id, hash, now)
	run(4, id, 1, "", "proposed", now)
	run(4, id, 2, "proposed", "awaiting_approval", now)
	if err != nil {
		return err
	}
	r.n++
	return tx.Commit()
}
