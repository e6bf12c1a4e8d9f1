-- +goose Up
-- Servers that share the work of a database.
CREATE TABLE servers (
    id         TEXT    NOT NULL PRIMARY KEY, -- srv_…; a process that lost its lease comes back under another
    joined_at  BIGINT  NOT NULL,
    expires_at BIGINT  NOT NULL -- end of its lease, by the clock of the database
);

-- What a server works on. It goes with the server.
CREATE TABLE claims (
    subject   TEXT NOT NULL PRIMARY KEY, -- id of an update or of a fleet rollout
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE
);
CREATE INDEX claims_by_server ON claims (server_id);

-- Every committed change of a CVM or of one of its updates is told to all servers, whose event streams wait
-- for it.
-- +goose StatementBegin
CREATE FUNCTION tell_cvm() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('lockstep_cvm', NEW.id::text);
    RETURN NULL;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION tell_cvm_of_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('lockstep_cvm', NEW.cvm_id::text);
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER cvms_tell AFTER INSERT OR UPDATE ON cvms FOR EACH ROW EXECUTE FUNCTION tell_cvm();
CREATE TRIGGER updates_tell AFTER INSERT OR UPDATE ON updates FOR EACH ROW EXECUTE FUNCTION tell_cvm_of_update();

-- +goose Down
DROP TRIGGER updates_tell ON updates;
DROP TRIGGER cvms_tell ON cvms;
DROP FUNCTION tell_cvm_of_update();
DROP FUNCTION tell_cvm();
DROP TABLE claims;
DROP TABLE servers;
