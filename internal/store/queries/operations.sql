-- name: InsertPowerOperation :exec
INSERT INTO power_operations (id, cvm_id, kind, state, reason, correlation_id, force, shutdown_timeout, allow_force_stop,
                              resting_status, error, created_by, created_at, state_since, version)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, '', ?11, ?12, ?12, 1);

-- name: GetPowerOperation :one
SELECT * FROM power_operations WHERE id = ?1;

-- name: FindQueuedPower :one
-- The operation that is in line for a CVM.
SELECT * FROM power_operations WHERE cvm_id = ?1 AND state = 'queued';

-- name: ListOpenPower :many
-- Every power operation that is not final; what a sweeper looks at.
SELECT * FROM power_operations WHERE state IN ('queued', 'pending', 'stopping', 'starting', 'booting', 'removing') ORDER BY id;

-- name: SetPowerState :execrows
UPDATE power_operations SET state = ?3, reason = ?4, error = ?5, resting_status = ?6, state_since = ?7, finished_at = ?8,
                            version = version + 1
WHERE id = ?1 AND version = ?2;

-- name: InsertPowerEvent :exec
-- The next step of a power operation; steps count from 1.
INSERT INTO power_events (operation_id, seq, from_state, to_state, reason, actor, created_at)
VALUES (?1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM power_events WHERE operation_id = ?1), ?2, ?3, ?4, ?5, ?6);

-- name: ListPowerEvents :many
SELECT * FROM power_events WHERE operation_id = ?1 ORDER BY seq;

-- name: OlderUpdates :many
-- The updates of a CVM before a place in the listing, newest first. kinds is a list with a comma around each.
SELECT * FROM updates
WHERE cvm_id = sqlc.arg(cvm_id) AND created_at >= sqlc.arg(since) AND created_at <= sqlc.arg(until)
  AND (created_at < sqlc.arg(before_at) OR (created_at = sqlc.arg(before_at) AND id < sqlc.arg(before_id)))
  AND CAST(sqlc.arg(kinds) AS TEXT) LIKE '%,' || kind || ',%'
ORDER BY created_at DESC, id DESC LIMIT sqlc.arg(most);

-- name: OlderPowerOperations :many
-- The power operations of a CVM before a place in the listing, newest first.
SELECT * FROM power_operations
WHERE cvm_id = sqlc.arg(cvm_id) AND created_at >= sqlc.arg(since) AND created_at <= sqlc.arg(until)
  AND (created_at < sqlc.arg(before_at) OR (created_at = sqlc.arg(before_at) AND id < sqlc.arg(before_id)))
  AND CAST(sqlc.arg(kinds) AS TEXT) LIKE '%,' || kind || ',%'
ORDER BY created_at DESC, id DESC LIMIT sqlc.arg(most);

-- name: CountOperations :one
SELECT CAST((
    SELECT COUNT(*) FROM updates
    WHERE updates.cvm_id = sqlc.arg(cvm_id) AND updates.created_at >= sqlc.arg(since) AND updates.created_at <= sqlc.arg(until)
      AND CAST(sqlc.arg(kinds) AS TEXT) LIKE '%,' || updates.kind || ',%'
) + (
    SELECT COUNT(*) FROM power_operations
    WHERE power_operations.cvm_id = sqlc.arg(cvm_id) AND power_operations.created_at >= sqlc.arg(since)
      AND power_operations.created_at <= sqlc.arg(until)
      AND CAST(sqlc.arg(kinds) AS TEXT) LIKE '%,' || power_operations.kind || ',%'
) AS INTEGER) AS total;

-- name: SetUpdateResting :exec
-- What a taken update found, when it takes the CVM without a change of state.
UPDATE updates SET resting_status = ?2 WHERE id = ?1;

-- name: SetUpdateShutdown :exec
-- How the CVM is to be shut down for an update.
UPDATE updates SET shutdown_timeout = ?2, allow_force_stop = ?3 WHERE id = ?1;

-- name: GetAnyCVM :one
-- Like GetCVM, also after the CVM was deleted: what runs about it goes on to its end.
SELECT * FROM cvms WHERE id = ?1;

-- name: DeleteCVM :exec
-- From here on nobody finds the CVM and its name is free. Its row and its history stay.
UPDATE cvms SET deleted_at = ?2, updated_at = ?3 WHERE id = ?1;

-- name: RenameCVM :exec
UPDATE cvms SET name = ?2, updated_at = ?3 WHERE id = ?1 AND deleted_at IS NULL;

-- name: SetCVMListed :exec
UPDATE cvms SET listed = ?2, updated_at = ?3 WHERE id = ?1 AND deleted_at IS NULL;

-- name: PagePowerOperations :many
SELECT * FROM power_operations WHERE id > ?1 ORDER BY id LIMIT ?2;

-- name: PowerEventsBetween :many
-- The steps of the power operations of a page.
SELECT * FROM power_events WHERE operation_id > ?1 AND operation_id <= ?2 ORDER BY operation_id, seq;
