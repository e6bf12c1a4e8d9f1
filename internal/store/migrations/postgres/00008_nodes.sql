-- +goose Up
-- Hosts that were added at run time, and what operators decided about any host. See docs/operations.md.
CREATE TABLE nodes (
    id         BIGINT NOT NULL PRIMARY KEY, -- never used again: CVMs name it
    name       TEXT    NOT NULL,
    origin     TEXT    NOT NULL, -- database; or config: its settings are in the servers' configuration
    driver     TEXT    NOT NULL DEFAULT '',
    settings   TEXT    NOT NULL DEFAULT '', -- JSON as in the configuration file; secrets by file only
    state      TEXT    NOT NULL, -- active, draining, removed
    reason     TEXT    NOT NULL DEFAULT '', -- why it is in this state, in the operator's words
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX nodes_by_name ON nodes (name) WHERE state <> 'removed';

-- What a server saw when it last looked at a host. Written by servers, read by people.
CREATE TABLE node_health (
    node_id    BIGINT NOT NULL PRIMARY KEY,
    reachable  BOOLEAN NOT NULL,
    error      TEXT    NOT NULL DEFAULT '', -- of the last look that failed
    version    TEXT    NOT NULL DEFAULT '', -- what the host says of itself; 0: it does not say
    max_cvms   BIGINT NOT NULL DEFAULT 0,
    max_vcpu   BIGINT NOT NULL DEFAULT 0,
    max_memory_mb BIGINT NOT NULL DEFAULT 0,
    state_since BIGINT NOT NULL, -- reachable or not since then
    updated_at BIGINT NOT NULL  -- when it was looked at
);

-- +goose Down
DROP TABLE node_health;
DROP TABLE nodes;
