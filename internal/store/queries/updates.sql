-- name: InsertUpdate :exec
INSERT INTO updates (id, cvm_id, kind, state, reason, correlation_id, compose_hash, from_revision_id, tx_hash,
                     block_number, error, created_by, created_at, expires_at, state_since, finished_at, version,
                     approved_at, resting_status, shutdown_timeout, allow_force_stop)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, '', ?11, ?12, ?13, ?12, ?14, 1, ?15, ?16, ?17, ?18);

-- name: GetUpdate :one
SELECT * FROM updates WHERE id = ?1;

-- name: LastOutcome :one
-- How the newest rollout of a CVM ended, which is how the CVM was left.
SELECT state FROM updates
WHERE cvm_id = ?1 AND state IN ('succeeded', 'rolled_back', 'failed')
ORDER BY finished_at DESC, id DESC LIMIT 1;

-- name: FindCandidate :one
-- The one open candidate of a CVM.
SELECT * FROM updates WHERE cvm_id = ?1 AND state = 'awaiting_approval';

-- name: FindLatestByHash :one
-- The newest update of a CVM to this document, whatever its state.
SELECT * FROM updates WHERE cvm_id = ?1 AND compose_hash = ?2 ORDER BY created_at DESC, id DESC LIMIT 1;

-- name: ListUpdates :many
SELECT * FROM updates WHERE cvm_id = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2;

-- name: ListOpenUpdates :many
-- Every update that is not final; what a sweeper looks at.
SELECT * FROM updates
WHERE state IN ('awaiting_approval', 'approved', 'rolling_out', 'verifying', 'rolling_back')
ORDER BY id;

-- name: SetUpdateState :execrows
UPDATE updates SET state = ?3, reason = ?4, tx_hash = ?5, block_number = ?6, error = ?7, state_since = ?8,
                   finished_at = ?9, approved_at = ?10, resting_status = ?11, cancelled_by = ?12, version = version + 1
WHERE id = ?1 AND version = ?2;

-- name: SetUpdateNote :execrows
-- Changes what an update waits for, or the transaction it waits on, without a change of state.
UPDATE updates SET reason = ?3, tx_hash = ?4, expires_at = ?5, version = version + 1
WHERE id = ?1 AND version = ?2;

-- name: InsertUpdateEvent :exec
-- The next step of an update; steps count from 1.
INSERT INTO update_events (update_id, seq, from_state, to_state, reason, actor, created_at, history_seq)
VALUES (?1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM update_events WHERE update_id = ?1), ?2, ?3, ?4, ?5, ?6, ?7);

-- name: InsertFirstUpdateEvents :exec
-- The first two steps of an update: proposed, and where that led at once.
INSERT INTO update_events (update_id, seq, from_state, to_state, reason, actor, created_at, history_seq)
VALUES (sqlc.arg(update_id), 1, '', sqlc.arg(proposed_state), 'proposed', sqlc.arg(actor), sqlc.arg(created_at),
        sqlc.arg(proposed_history_seq)),
       (sqlc.arg(update_id), 2, sqlc.arg(proposed_state), sqlc.arg(to_state), sqlc.arg(reason), sqlc.arg(actor), sqlc.arg(created_at),
        sqlc.arg(to_history_seq));

-- name: ListUpdateEvents :many
SELECT * FROM update_events WHERE update_id = ?1 ORDER BY seq;
