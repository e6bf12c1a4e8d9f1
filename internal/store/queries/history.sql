-- name: NextHistorySeq :one
-- Takes the next number in the history of an app, and the hash that the entry before has. The row is locked
-- until the transaction ends: writers of one app take turns.
INSERT INTO histories (app_id, seq, hash) VALUES (?1, 1, ?2)
ON CONFLICT (app_id) DO UPDATE SET seq = histories.seq + 1
RETURNING seq, hash;

-- name: SetHistoryHead :exec
UPDATE histories SET hash = ?2 WHERE app_id = ?1;

-- name: InsertHistoryEntry :exec
INSERT INTO history_entries (app_id, seq, hash, bytes) VALUES (?1, ?2, ?3, ?4);

-- name: GetHistory :one
SELECT * FROM histories WHERE app_id = ?1;

-- name: SetHistoryPublic :exec
UPDATE histories SET public = ?2 WHERE app_id = ?1;

-- name: GetHistoryEntry :one
SELECT * FROM history_entries WHERE app_id = ?1 AND seq = ?2;

-- name: ListHistoryEntries :many
-- The entries after one, up to another.
SELECT * FROM history_entries
WHERE app_id = sqlc.arg(app_id) AND seq > sqlc.arg(after) AND seq <= sqlc.arg(up_to) ORDER BY seq LIMIT sqlc.arg(most);

-- name: PageHistories :many
SELECT * FROM histories WHERE app_id > ?1 ORDER BY app_id LIMIT ?2;

-- name: ListUnrecordedEvents :many
-- Steps of updates without an entry: an older program wrote them.
SELECT sqlc.embed(update_events), sqlc.embed(updates), sqlc.embed(cvms)
FROM update_events JOIN updates ON updates.id = update_events.update_id JOIN cvms ON cvms.id = updates.cvm_id
WHERE update_events.history_seq = 0
ORDER BY update_events.created_at, update_events.update_id, update_events.seq LIMIT ?1;

-- name: SetEventRecorded :execrows
UPDATE update_events SET history_seq = ?3 WHERE update_id = ?1 AND seq = ?2 AND history_seq = 0;
