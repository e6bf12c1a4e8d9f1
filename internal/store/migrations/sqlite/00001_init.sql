-- +goose Up
-- Times are Unix microseconds (UTC). Hashes and addresses are lower-case hex without 0x.

CREATE TABLE workspaces (
    id             TEXT    NOT NULL PRIMARY KEY, -- wks_…
    slug           TEXT    NOT NULL UNIQUE,
    name           TEXT    NOT NULL,
    wallet_address TEXT    NOT NULL, -- off-chain app ids are the CREATE addresses of this wallet
    next_nonce     INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL
);

CREATE TABLE api_keys (
    id           TEXT    NOT NULL PRIMARY KEY, -- key_…
    workspace_id TEXT    NOT NULL REFERENCES workspaces (id),
    name         TEXT    NOT NULL,
    hash         TEXT    NOT NULL UNIQUE, -- SHA-256 of the key; the key itself is never stored
    hint         TEXT    NOT NULL,        -- its last four characters, to tell keys apart
    scopes       TEXT    NOT NULL,        -- comma separated: read, update, admin
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL DEFAULT 0, -- 0: never
    revoked_at   INTEGER
);
CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id);

-- App-compose documents by the hash of their bytes. Written once, never changed.
CREATE TABLE documents (
    compose_hash TEXT    NOT NULL PRIMARY KEY,
    bytes        BLOB    NOT NULL,
    created_at   INTEGER NOT NULL
);

CREATE TABLE apps (
    app_id           TEXT    NOT NULL PRIMARY KEY, -- 40 hex; on chain: the contract's address
    project_id       TEXT    NOT NULL UNIQUE,      -- prj_…
    workspace_id     TEXT    NOT NULL REFERENCES workspaces (id),
    name             TEXT    NOT NULL,
    kms_id           TEXT    NOT NULL,
    contract_address TEXT    NOT NULL DEFAULT '', -- EIP-55 with 0x; empty with an off-chain KMS
    deployer_address TEXT    NOT NULL DEFAULT '',
    created_at       INTEGER NOT NULL
);
CREATE INDEX apps_by_workspace ON apps (workspace_id);

CREATE TABLE cvms (
    id               INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    hash_id          TEXT    NOT NULL UNIQUE, -- cvm_…
    vm_uuid          TEXT    NOT NULL UNIQUE, -- with dashes
    workspace_id     TEXT    NOT NULL REFERENCES workspaces (id),
    app_id           TEXT    NOT NULL REFERENCES apps (app_id),
    name             TEXT    NOT NULL,
    instance_id      TEXT    NOT NULL DEFAULT '',
    node_id          INTEGER NOT NULL,
    kms_id           TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    revision_id      TEXT    NOT NULL DEFAULT '', -- what runs, or ran last; empty before the first boot
    active_update_id TEXT    NOT NULL DEFAULT '', -- the update that owns the CVM now
    image            TEXT    NOT NULL,
    instance_type    TEXT    NOT NULL,
    vcpu             INTEGER NOT NULL,
    memory_mb        INTEGER NOT NULL,
    disk_gb          INTEGER NOT NULL,
    listed           BOOLEAN NOT NULL,
    encrypted_env    BLOB,
    env_public_key   TEXT    NOT NULL DEFAULT '',
    created_by       TEXT    NOT NULL, -- API key id
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    deleted_at       INTEGER
);
CREATE UNIQUE INDEX cvms_by_name ON cvms (workspace_id, name) WHERE deleted_at IS NULL;
CREATE INDEX cvms_by_app ON cvms (app_id);
CREATE INDEX cvms_by_instance ON cvms (instance_id) WHERE instance_id <> '';

-- A document that an app ran or was accepted to run. Never changed.
CREATE TABLE revisions (
    id             TEXT    NOT NULL PRIMARY KEY, -- rev_…
    app_id         TEXT    NOT NULL REFERENCES apps (app_id),
    cvm_id         INTEGER NOT NULL REFERENCES cvms (id),
    update_id      TEXT    NOT NULL UNIQUE,
    compose_hash   TEXT    NOT NULL REFERENCES documents (compose_hash),
    operation_type TEXT    NOT NULL, -- deploy, update
    created_by     TEXT    NOT NULL, -- API key id
    tx_hash        TEXT    NOT NULL DEFAULT '', -- approval on chain, with 0x
    block_number   INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL
);
CREATE INDEX revisions_by_app ON revisions (app_id, created_at);
CREATE INDEX revisions_by_hash ON revisions (app_id, compose_hash);

-- What POST /cvms/provision prepared and POST /cvms takes up.
CREATE TABLE provisions (
    id           TEXT    NOT NULL PRIMARY KEY, -- prv_…
    workspace_id TEXT    NOT NULL REFERENCES workspaces (id),
    compose_hash TEXT    NOT NULL REFERENCES documents (compose_hash),
    app_id       TEXT    NOT NULL, -- empty when the owner deploys the contract first
    name         TEXT    NOT NULL,
    node_id      INTEGER NOT NULL,
    kms_id       TEXT    NOT NULL,
    image        TEXT    NOT NULL,
    instance_type TEXT   NOT NULL,
    vcpu         INTEGER NOT NULL,
    memory_mb    INTEGER NOT NULL,
    disk_gb      INTEGER NOT NULL,
    listed       BOOLEAN NOT NULL,
    created_by   TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
);
CREATE INDEX provisions_by_hash ON provisions (workspace_id, compose_hash);

-- One attempt to move one CVM from one revision to another. See docs/architecture.md.
CREATE TABLE updates (
    id               TEXT    NOT NULL PRIMARY KEY, -- upd_…
    cvm_id           INTEGER NOT NULL REFERENCES cvms (id),
    kind             TEXT    NOT NULL, -- deploy, update
    state            TEXT    NOT NULL,
    reason           TEXT    NOT NULL, -- why it is in this state, or what it waits for
    correlation_id   TEXT    NOT NULL UNIQUE,
    compose_hash     TEXT    NOT NULL REFERENCES documents (compose_hash),
    from_revision_id TEXT    NOT NULL DEFAULT '', -- the base of the candidate; empty for a deploy
    tx_hash          TEXT    NOT NULL DEFAULT '', -- with 0x; empty until given
    block_number     INTEGER NOT NULL DEFAULT 0,
    error            TEXT    NOT NULL DEFAULT '', -- what went wrong with the new revision
    created_by       TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL, -- of the candidate while it awaits approval
    state_since      INTEGER NOT NULL, -- when it entered the state; deadlines count from here
    finished_at      INTEGER,
    version          INTEGER NOT NULL DEFAULT 1 -- counts writes; guards concurrent ones
);
CREATE INDEX updates_by_cvm ON updates (cvm_id, created_at);
CREATE INDEX updates_by_hash ON updates (cvm_id, compose_hash);
-- The two rules that must hold whatever the code does: one open candidate and one rollout per CVM.
CREATE UNIQUE INDEX updates_one_candidate ON updates (cvm_id) WHERE state = 'awaiting_approval';
CREATE UNIQUE INDEX updates_one_rollout ON updates (cvm_id)
    WHERE state IN ('approved', 'rolling_out', 'verifying', 'rolling_back');
CREATE INDEX updates_open ON updates (state)
    WHERE state IN ('awaiting_approval', 'approved', 'rolling_out', 'verifying', 'rolling_back');

-- Every step an update took.
CREATE TABLE update_events (
    update_id  TEXT    NOT NULL REFERENCES updates (id),
    seq        INTEGER NOT NULL,
    from_state TEXT    NOT NULL, -- empty for the first
    to_state   TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    actor      TEXT    NOT NULL, -- API key id, or "lockstep"
    created_at INTEGER NOT NULL,
    PRIMARY KEY (update_id, seq)
);

-- +goose Down
DROP TABLE update_events;
DROP TABLE updates;
DROP TABLE provisions;
DROP TABLE revisions;
DROP TABLE cvms;
DROP TABLE apps;
DROP TABLE documents;
DROP TABLE api_keys;
DROP TABLE workspaces;
