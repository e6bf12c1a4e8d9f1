-- name: GetIdempotencyKey :one
SELECT * FROM idempotency_keys WHERE workspace_id = ?1 AND key = ?2;

-- name: InsertIdempotencyKey :exec
INSERT INTO idempotency_keys (workspace_id, key, fingerprint, attempt, leased_until, expires_at)
VALUES (?1, ?2, ?3, 1, ?4, ?5);

-- name: LeaseIdempotencyKey :execrows
-- Takes up a request that nobody works on any more.
UPDATE idempotency_keys SET attempt = attempt + 1, leased_until = ?4, expires_at = ?5
WHERE workspace_id = ?1 AND key = ?2 AND attempt = ?3 AND status = 0;

-- name: SetIdempotencyResult :execrows
-- Notes what a request made, in the transaction that makes it.
UPDATE idempotency_keys SET result = ?4 WHERE workspace_id = ?1 AND key = ?2 AND attempt = ?3 AND result = '';

-- name: AnswerIdempotencyKey :execrows
UPDATE idempotency_keys SET status = ?4, media_type = ?5, body = ?6, leased_until = 0
WHERE workspace_id = ?1 AND key = ?2 AND attempt = ?3;

-- name: ReleaseIdempotencyKey :execrows
-- Lets a request be made again that was refused or broke off.
UPDATE idempotency_keys SET leased_until = 0 WHERE workspace_id = ?1 AND key = ?2 AND attempt = ?3;

-- name: DeleteExpiredIdempotencyKeys :execrows
DELETE FROM idempotency_keys WHERE expires_at <= ?1;

-- name: DeleteIdempotencyKey :exec
DELETE FROM idempotency_keys WHERE workspace_id = ?1 AND key = ?2;
