-- +goose Up
-- Requests that carried an Idempotency-Key, so that one that is repeated is not carried out twice.
CREATE TABLE idempotency_keys (
    workspace_id TEXT    NOT NULL REFERENCES workspaces (id),
    key          TEXT    NOT NULL, -- as the client chose it
    fingerprint  TEXT    NOT NULL, -- SHA-256 of what makes the request; see package server
    attempt      BIGINT NOT NULL, -- counts who carried it out; guards the writes of one that lost its lease
    leased_until BIGINT NOT NULL, -- somebody is at it until then; 0: nobody is
    result       TEXT    NOT NULL DEFAULT '', -- id of what it made, written with it
    status       BIGINT NOT NULL DEFAULT 0, -- HTTP status of the answer; 0: not answered yet
    media_type   TEXT    NOT NULL DEFAULT '',
    body         BYTEA,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, key)
);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);

-- +goose Down
DROP TABLE idempotency_keys;
