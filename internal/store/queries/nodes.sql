-- name: ListNodes :many
SELECT * FROM nodes ORDER BY id;

-- name: GetNode :one
SELECT * FROM nodes WHERE id = ?1;

-- name: InsertNode :exec
INSERT INTO nodes (id, name, origin, driver, settings, state, reason, created_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8);

-- name: SetNodeState :execrows
UPDATE nodes SET state = ?2, reason = ?3, updated_at = ?4 WHERE id = ?1 AND state <> 'removed';

-- name: SetNodeSettings :execrows
UPDATE nodes SET settings = ?2, updated_at = ?3 WHERE id = ?1 AND origin = 'database' AND state <> 'removed';

-- name: HoldNode :execrows
-- Keeps a node from being drained or removed until the transaction ends, if that has not happened yet.
UPDATE nodes SET state = 'active' WHERE id = ?1 AND state = 'active';

-- name: ListNodeHealth :many
SELECT * FROM node_health ORDER BY node_id;

-- name: PutNodeHealth :exec
INSERT INTO node_health (node_id, reachable, error, version, max_cvms, max_vcpu, max_memory_mb, state_since, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (node_id) DO UPDATE SET reachable = excluded.reachable, error = excluded.error, version = excluded.version,
    max_cvms = excluded.max_cvms, max_vcpu = excluded.max_vcpu, max_memory_mb = excluded.max_memory_mb,
    state_since = excluded.state_since, updated_at = excluded.updated_at;

-- name: DeleteNodeHealth :exec
DELETE FROM node_health WHERE node_id = ?1;

-- name: UsageByNode :many
-- What the CVMs of each node take of it.
SELECT node_id, COUNT(*) AS cvms, CAST(COALESCE(SUM(vcpu), 0) AS BIGINT) AS vcpu,
       CAST(COALESCE(SUM(memory_mb), 0) AS BIGINT) AS memory_mb
FROM cvms WHERE deleted_at IS NULL GROUP BY node_id ORDER BY node_id;

-- name: ListCVMsOfNode :many
SELECT * FROM cvms WHERE node_id = ?1 AND deleted_at IS NULL ORDER BY id LIMIT ?2;

-- name: ForgetConfigNode :exec
-- What was decided about a node that is not in the configuration any more.
DELETE FROM nodes WHERE id = ?1 AND origin = 'config';
