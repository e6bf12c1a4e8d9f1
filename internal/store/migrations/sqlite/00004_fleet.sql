-- +goose Up
-- One document on its way to the replicas of an app. See docs/architecture.md.
CREATE TABLE rollouts (
    id              TEXT    NOT NULL PRIMARY KEY, -- rol_…
    app_id          TEXT    NOT NULL REFERENCES apps (app_id),
    workspace_id    TEXT    NOT NULL REFERENCES workspaces (id),
    compose_hash    TEXT    NOT NULL REFERENCES documents (compose_hash),
    tx_hash         TEXT    NOT NULL DEFAULT '', -- approval on chain, with 0x; empty when none was named
    strategy        TEXT    NOT NULL, -- rolling, canary, all_at_once
    max_unavailable INTEGER NOT NULL, -- CVMs; percentages are resolved
    canary          INTEGER NOT NULL, -- CVMs that go first
    canary_batches  INTEGER NOT NULL,
    min_ready       INTEGER NOT NULL, -- seconds
    max_failures    INTEGER NOT NULL,
    promoted        BOOLEAN NOT NULL, -- a person resumed it after the canary
    state           TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    created_by      TEXT    NOT NULL, -- API key id
    created_at      INTEGER NOT NULL,
    state_since     INTEGER NOT NULL,
    finished_at     INTEGER,
    version         INTEGER NOT NULL DEFAULT 1 -- counts writes, those of its targets too; guards concurrent ones
);
CREATE INDEX rollouts_by_app ON rollouts (app_id, created_at);
-- The rule that must hold whatever the code does: one active rollout per app.
CREATE UNIQUE INDEX rollouts_one_active ON rollouts (app_id) WHERE state IN ('running', 'paused', 'rolling_back');

-- The CVMs of a rollout, in the order of their turn.
CREATE TABLE rollout_targets (
    rollout_id       TEXT    NOT NULL REFERENCES rollouts (id),
    position         INTEGER NOT NULL,
    cvm_id           INTEGER NOT NULL REFERENCES cvms (id),
    vm_uuid          TEXT    NOT NULL,
    batch            INTEGER NOT NULL,
    state            TEXT    NOT NULL,
    reason           TEXT    NOT NULL,
    from_revision_id TEXT    NOT NULL DEFAULT '', -- what it ran when its turn came
    update_id        TEXT    NOT NULL DEFAULT '',
    revert_id        TEXT    NOT NULL DEFAULT '', -- the update that took it back
    moved            BOOLEAN NOT NULL, -- the rollout brought it to the document
    down             BOOLEAN NOT NULL, -- the rollout left it without a healthy document
    ready_at         INTEGER NOT NULL DEFAULT 0, -- when it will have been healthy for min_ready
    updated_at       INTEGER NOT NULL,
    PRIMARY KEY (rollout_id, position)
);
CREATE UNIQUE INDEX rollout_targets_by_cvm ON rollout_targets (rollout_id, cvm_id);
CREATE INDEX rollout_targets_by_update ON rollout_targets (update_id) WHERE update_id <> '';
CREATE INDEX rollout_targets_by_revert ON rollout_targets (revert_id) WHERE revert_id <> '';

-- Every step that a rollout took.
CREATE TABLE rollout_events (
    rollout_id TEXT    NOT NULL REFERENCES rollouts (id),
    seq        INTEGER NOT NULL,
    from_state TEXT    NOT NULL, -- empty for the first
    to_state   TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    actor      TEXT    NOT NULL, -- API key id, or "lockstep"
    created_at INTEGER NOT NULL,
    PRIMARY KEY (rollout_id, seq)
);

-- +goose Down
DROP TABLE rollout_events;
DROP TABLE rollout_targets;
DROP TABLE rollouts;
