-- name: InsertWorkspace :exec
INSERT INTO workspaces (id, slug, name, wallet_address, next_nonce, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- name: GetWorkspace :one
SELECT * FROM workspaces WHERE id = ?1;

-- name: GetWorkspaceBySlug :one
SELECT * FROM workspaces WHERE slug = ?1;

-- name: ListWorkspaces :many
SELECT * FROM workspaces ORDER BY slug;

-- name: SetWorkspaceNonce :exec
UPDATE workspaces SET next_nonce = ?2 WHERE id = ?1;

-- name: InsertAPIKey :exec
INSERT INTO api_keys (id, workspace_id, name, hash, hint, scopes, created_at, expires_at, revoked_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL);

-- name: GetAPIKeyByHash :one
SELECT sqlc.embed(api_keys), sqlc.embed(workspaces)
FROM api_keys JOIN workspaces ON workspaces.id = api_keys.workspace_id
WHERE api_keys.hash = ?1;

-- name: GetAPIKey :one
SELECT * FROM api_keys WHERE id = ?1;

-- name: ListAPIKeys :many
SELECT sqlc.embed(api_keys), sqlc.embed(workspaces)
FROM api_keys JOIN workspaces ON workspaces.id = api_keys.workspace_id
ORDER BY workspaces.slug, api_keys.created_at, api_keys.id;

-- name: RevokeAPIKey :execrows
UPDATE api_keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL;
