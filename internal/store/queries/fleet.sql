-- name: InsertRollout :exec
INSERT INTO rollouts (id, app_id, workspace_id, compose_hash, tx_hash, strategy, max_unavailable, canary,
                      canary_batches, min_ready, max_failures, promoted, state, reason, created_by, created_at,
                      state_since, version)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, FALSE, ?12, ?13, ?14, ?15, ?15, 1);

-- name: GetRollout :one
SELECT * FROM rollouts WHERE id = ?1;

-- name: FindActiveRollout :one
-- The rollout of an app that is not final.
SELECT * FROM rollouts WHERE app_id = ?1 AND state IN ('running', 'paused', 'rolling_back');

-- name: ListRollouts :many
SELECT * FROM rollouts WHERE app_id = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2;

-- name: ListOpenRollouts :many
-- Every rollout that is not final; what a sweeper looks at.
SELECT * FROM rollouts WHERE state IN ('running', 'paused', 'rolling_back') ORDER BY id;

-- name: SetRollout :execrows
-- Guards a write of a rollout and its targets, and sets its state.
UPDATE rollouts SET state = ?3, reason = ?4, promoted = ?5, state_since = ?6, finished_at = ?7, version = version + 1
WHERE id = ?1 AND version = ?2;

-- name: InsertRolloutTarget :exec
INSERT INTO rollout_targets (rollout_id, position, cvm_id, vm_uuid, batch, state, reason, moved, down, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, FALSE, FALSE, ?8);

-- name: ListRolloutTargets :many
SELECT * FROM rollout_targets WHERE rollout_id = ?1 ORDER BY position;

-- name: ListRolloutUpdates :many
-- The updates that are under way for a rollout, in one go: a fleet may have thousands.
SELECT updates.* FROM rollout_targets
JOIN updates ON updates.id = CASE rollout_targets.state WHEN 'updating' THEN rollout_targets.update_id ELSE rollout_targets.revert_id END
WHERE rollout_targets.rollout_id = ?1 AND rollout_targets.state IN ('updating', 'reverting');

-- name: SetRolloutTarget :exec
UPDATE rollout_targets SET state = ?3, reason = ?4, from_revision_id = ?5, update_id = ?6, revert_id = ?7, moved = ?8,
                           down = ?9, ready_at = ?10, updated_at = ?11
WHERE rollout_id = ?1 AND position = ?2;

-- name: FindRolloutOfUpdate :one
-- The rollout that an update was begun by.
SELECT rollout_id FROM rollout_targets
WHERE (update_id = ?1 AND update_id <> '') OR (revert_id = ?1 AND revert_id <> '')
ORDER BY updated_at DESC LIMIT 1;

-- name: InsertRolloutEvent :exec
-- The next step of a rollout; steps count from 1.
INSERT INTO rollout_events (rollout_id, seq, from_state, to_state, reason, actor, created_at)
VALUES (?1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM rollout_events WHERE rollout_id = ?1), ?2, ?3, ?4, ?5, ?6);

-- name: ListRolloutEvents :many
SELECT * FROM rollout_events WHERE rollout_id = ?1 ORDER BY seq;

-- name: IsDocumentOfApp :one
-- Whether a document ran on a CVM of the app, or was proposed for one.
SELECT CAST(EXISTS (
    SELECT 1 FROM revisions WHERE revisions.app_id = ?1 AND revisions.compose_hash = ?2
) OR EXISTS (
    SELECT 1 FROM updates JOIN cvms ON cvms.id = updates.cvm_id
    WHERE cvms.app_id = ?1 AND updates.compose_hash = ?2
) AS BOOLEAN) AS known;
