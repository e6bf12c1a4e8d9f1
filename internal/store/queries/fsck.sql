-- What lockstep fsck reads: every row of a table, in pages by its key.

-- name: PageDocuments :many
SELECT * FROM documents WHERE compose_hash > ?1 ORDER BY compose_hash LIMIT ?2;

-- name: PageUpdates :many
SELECT * FROM updates WHERE id > ?1 ORDER BY id LIMIT ?2;

-- name: UpdateEventsBetween :many
-- The steps of the updates of a page.
SELECT * FROM update_events WHERE update_id > ?1 AND update_id <= ?2 ORDER BY update_id, seq;

-- name: PageCVMs :many
SELECT * FROM cvms WHERE id > ?1 ORDER BY id LIMIT ?2;

-- name: PageRevisions :many
SELECT * FROM revisions WHERE id > ?1 ORDER BY id LIMIT ?2;

-- name: PageRollouts :many
SELECT * FROM rollouts WHERE id > ?1 ORDER BY id LIMIT ?2;

-- name: RolloutEventsBetween :many
-- The steps of the rollouts of a page.
SELECT * FROM rollout_events WHERE rollout_id > ?1 AND rollout_id <= ?2 ORDER BY rollout_id, seq;
