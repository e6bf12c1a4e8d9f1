-- name: ListCVMsOfApps :many
-- What the CVMs of a workspace are found by, app by app: the newest app first, the CVMs of each in the
-- order in which they were made.
SELECT cvms.app_id, apps.name AS app_name, cvms.name, cvms.vm_uuid, cvms.instance_id, cvms.status, cvms.listed,
       cvms.image, cvms.instance_type, cvms.kms_id, cvms.node_id
FROM cvms JOIN apps ON apps.app_id = cvms.app_id
WHERE cvms.workspace_id = ?1 AND cvms.deleted_at IS NULL
ORDER BY apps.created_at DESC, cvms.app_id, cvms.id;
