-- name: CountRevisions :one
SELECT COUNT(*) FROM revisions WHERE app_id = ?1;

-- name: ListRevisions :many
-- Newest first.
SELECT sqlc.embed(revisions), sqlc.embed(cvms), sqlc.embed(updates)
FROM revisions JOIN cvms ON cvms.id = revisions.cvm_id JOIN updates ON updates.id = revisions.update_id
WHERE revisions.app_id = ?1
ORDER BY revisions.created_at DESC, revisions.id DESC LIMIT ?2 OFFSET ?3;

-- name: GetCVMOfRevision :one
-- The CVM that a revision was made for, also after it was deleted.
SELECT cvms.* FROM cvms JOIN revisions ON revisions.cvm_id = cvms.id WHERE revisions.id = ?1;
