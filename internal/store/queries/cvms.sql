-- name: PutDocument :exec
INSERT INTO documents (compose_hash, bytes, created_at) VALUES (?1, ?2, ?3)
ON CONFLICT (compose_hash) DO NOTHING;

-- name: GetDocument :one
SELECT bytes FROM documents WHERE compose_hash = ?1;

-- name: InsertApp :exec
INSERT INTO apps (app_id, project_id, workspace_id, name, kms_id, contract_address, deployer_address, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);

-- name: GetApp :one
SELECT * FROM apps WHERE app_id = ?1;

-- name: InsertCVM :one
INSERT INTO cvms (hash_id, vm_uuid, workspace_id, app_id, name, instance_id, node_id, kms_id, status,
                  revision_id, active_update_id, image, instance_type, vcpu, memory_mb, disk_gb, listed,
                  encrypted_env, env_public_key, created_by, created_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, '', ?6, ?7, ?8, '', ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?19)
RETURNING *;

-- name: GetCVM :one
SELECT * FROM cvms WHERE id = ?1 AND deleted_at IS NULL;

-- name: FindCVMsByUUID :many
SELECT * FROM cvms WHERE vm_uuid = ?1 AND deleted_at IS NULL;

-- name: FindCVMsByHashID :many
SELECT * FROM cvms WHERE hash_id = ?1 AND deleted_at IS NULL;

-- name: FindCVMsByApp :many
SELECT * FROM cvms WHERE app_id = ?1 AND deleted_at IS NULL ORDER BY id;

-- name: FindCVMsByInstance :many
SELECT * FROM cvms WHERE instance_id = ?1 AND deleted_at IS NULL ORDER BY id;

-- name: FindCVMsByName :many
SELECT * FROM cvms WHERE workspace_id = ?1 AND name = ?2 AND deleted_at IS NULL;

-- name: CountCVMs :one
SELECT COUNT(*) FROM cvms WHERE workspace_id = ?1 AND deleted_at IS NULL;

-- name: ListCVMs :many
SELECT * FROM cvms WHERE workspace_id = ?1 AND deleted_at IS NULL
ORDER BY id DESC LIMIT ?2 OFFSET ?3;

-- name: SetCVMState :exec
-- What an update changes of its CVM when it enters a state.
UPDATE cvms SET status = ?2, active_update_id = ?3, revision_id = ?4, instance_id = ?5, updated_at = ?6
WHERE id = ?1;

-- name: InsertRevision :exec
INSERT INTO revisions (id, app_id, cvm_id, update_id, compose_hash, operation_type, created_by, tx_hash,
                       block_number, created_at, owner)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
-- An update that was put back and approved again has another approval, and nothing of it ran yet.
ON CONFLICT (update_id) DO UPDATE SET tx_hash = excluded.tx_hash, block_number = excluded.block_number,
                                      owner = excluded.owner;

-- name: GetRevision :one
SELECT * FROM revisions WHERE id = ?1;

-- name: IsHashAccepted :one
-- Whether the platform accepted this document for the app: it ran, or an update to it is rolling.
SELECT CAST(EXISTS (
    SELECT 1 FROM revisions WHERE revisions.app_id = ?1 AND revisions.compose_hash = ?2
) OR EXISTS (
    SELECT 1 FROM updates JOIN cvms ON cvms.id = updates.cvm_id
    WHERE cvms.app_id = ?1 AND updates.compose_hash = ?2
      AND updates.state IN ('approved', 'rolling_out', 'verifying')
) AS BOOLEAN) AS accepted;

-- name: InsertProvision :exec
INSERT INTO provisions (id, workspace_id, compose_hash, app_id, name, node_id, kms_id, image, instance_type,
                        vcpu, memory_mb, disk_gb, listed, created_by, created_at, expires_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16);

-- name: FindProvisions :many
-- Newest first: a repeated provision of the same document replaces the older one.
SELECT * FROM provisions WHERE workspace_id = ?1 AND compose_hash = ?2 ORDER BY created_at DESC, id DESC;

-- name: NodeUsage :one
-- What the CVMs of a node take of it.
SELECT COUNT(*) AS cvms, CAST(COALESCE(SUM(vcpu), 0) AS INTEGER) AS vcpu,
       CAST(COALESCE(SUM(memory_mb), 0) AS INTEGER) AS memory_mb
FROM cvms WHERE node_id = ?1 AND deleted_at IS NULL;
