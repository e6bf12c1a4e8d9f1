-- +goose Up
-- Servers that share the work of a database. Only PostgreSQL has several; a SQLite database has a lock file.
CREATE TABLE servers (
    id         TEXT    NOT NULL PRIMARY KEY, -- srv_…; a process that lost its lease comes back under another
    joined_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL -- end of its lease, by the clock of the database
);

-- What a server works on. It goes with the server.
CREATE TABLE claims (
    subject   TEXT NOT NULL PRIMARY KEY, -- id of an update or of a fleet rollout
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE
);
CREATE INDEX claims_by_server ON claims (server_id);

-- +goose Down
DROP TABLE claims;
DROP TABLE servers;
