-- +goose Up
-- What is done to a whole CVM without changing its document: start, stop, shutdown, restart, delete.
-- See docs/architecture.md.
CREATE TABLE power_operations (
    id               TEXT    NOT NULL PRIMARY KEY, -- pow_…; in cvms.active_update_id while it owns the CVM
    cvm_id           INTEGER NOT NULL REFERENCES cvms (id),
    kind             TEXT    NOT NULL, -- start, stop, shutdown, restart, delete
    state            TEXT    NOT NULL,
    reason           TEXT    NOT NULL, -- why it is in this state, or what it waits for
    correlation_id   TEXT    NOT NULL UNIQUE,
    force            BOOLEAN NOT NULL, -- cut the CVM off at once instead of asking the guest
    shutdown_timeout INTEGER NOT NULL, -- seconds; 0: the server's setting, -1: none
    allow_force_stop BOOLEAN NOT NULL, -- cut it off when the time is over
    resting_status   TEXT    NOT NULL, -- the CVM's status when the operation took it
    error            TEXT    NOT NULL DEFAULT '', -- what went wrong, in the guest's own words where there are any
    created_by       TEXT    NOT NULL, -- API key id
    created_at       INTEGER NOT NULL,
    state_since      INTEGER NOT NULL, -- when it entered the state; deadlines count from here
    finished_at      INTEGER,
    version          INTEGER NOT NULL DEFAULT 1 -- counts writes; guards concurrent ones
);
CREATE INDEX power_operations_by_cvm ON power_operations (cvm_id, created_at);
-- The rules that must hold whatever the code does: one operation at work and one in line for a CVM.
CREATE UNIQUE INDEX power_operations_one_active ON power_operations (cvm_id)
    WHERE state IN ('pending', 'stopping', 'starting', 'booting', 'removing');
CREATE UNIQUE INDEX power_operations_one_queued ON power_operations (cvm_id) WHERE state = 'queued';
CREATE INDEX power_operations_open ON power_operations (state)
    WHERE state IN ('queued', 'pending', 'stopping', 'starting', 'booting', 'removing');

-- Every step a power operation took.
CREATE TABLE power_events (
    operation_id TEXT    NOT NULL REFERENCES power_operations (id),
    seq          INTEGER NOT NULL,
    from_state   TEXT    NOT NULL, -- empty for the first
    to_state     TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    actor        TEXT    NOT NULL, -- API key id, or "lockstep"
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (operation_id, seq)
);

-- Rows of an older program: 0 and '' mean that it is not known, and the rest what that program does.
ALTER TABLE updates ADD COLUMN approved_at INTEGER NOT NULL DEFAULT 0; -- the progress deadline counts from here
ALTER TABLE updates ADD COLUMN resting_status TEXT NOT NULL DEFAULT ''; -- the CVM's status when the update took it
ALTER TABLE updates ADD COLUMN cancelled_by TEXT NOT NULL DEFAULT ''; -- API key id of who cancelled it
ALTER TABLE updates ADD COLUMN shutdown_timeout INTEGER NOT NULL DEFAULT 0; -- seconds; 0: the server's setting, -1: none
ALTER TABLE updates ADD COLUMN allow_force_stop BOOLEAN NOT NULL DEFAULT TRUE; -- cut it off when the time is over

-- +goose Down
ALTER TABLE updates DROP COLUMN allow_force_stop;
ALTER TABLE updates DROP COLUMN shutdown_timeout;
ALTER TABLE updates DROP COLUMN cancelled_by;
ALTER TABLE updates DROP COLUMN resting_status;
ALTER TABLE updates DROP COLUMN approved_at;
DROP TABLE power_events;
DROP TABLE power_operations;
