-- +goose Up
-- The history of each app: a hash chain, whose entries are written with what they record. See package history.
CREATE TABLE histories (
    app_id TEXT    NOT NULL PRIMARY KEY REFERENCES apps (app_id),
    public BOOLEAN NOT NULL DEFAULT FALSE, -- served without an API key
    seq    INTEGER NOT NULL, -- of the newest entry; writers of an app wait for each other on this row
    hash   TEXT    NOT NULL  -- of the newest entry; zeros when there is none
);
CREATE TABLE history_entries (
    app_id TEXT    NOT NULL REFERENCES apps (app_id),
    seq    INTEGER NOT NULL, -- from 1, without a gap
    hash   TEXT    NOT NULL, -- SHA-256 of bytes
    bytes  BLOB    NOT NULL, -- the entry; never made again from its parts
    PRIMARY KEY (app_id, seq)
);

-- The entry that records a step. 0: none yet, as an older program writes it; the sweeper makes one.
ALTER TABLE update_events ADD COLUMN history_seq INTEGER NOT NULL DEFAULT 0;
CREATE INDEX update_events_unrecorded ON update_events (created_at) WHERE history_seq = 0;

-- Who owned the app's contract when the document was approved, with 0x; empty when not known.
ALTER TABLE revisions ADD COLUMN owner TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE revisions DROP COLUMN owner;
DROP INDEX update_events_unrecorded;
ALTER TABLE update_events DROP COLUMN history_seq;
DROP TABLE history_entries;
DROP TABLE histories;
