-- The first schema. Times are Unix milliseconds; bodies are JSON text.

CREATE TABLE document (
    kind TEXT NOT NULL,
    id   TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE value (
    name  TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    id      TEXT PRIMARY KEY NOT NULL,
    started TEXT NOT NULL,
    ended   TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX session_open ON session (id) WHERE ended IS NULL;

-- The record is hashed byte for byte as it stands here (codec/chain.h).
CREATE TABLE audit (
    seq    INTEGER PRIMARY KEY NOT NULL,
    record TEXT NOT NULL,
    hash   BLOB NOT NULL
) STRICT;

-- One row: the newest record's number and hash, apart from the records so that a cut tail shows.
CREATE TABLE audit_head (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    seq  INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;

-- Refresh tokens and the like: only the SHA-256 of a secret is ever here.
CREATE TABLE secret (
    kind       TEXT NOT NULL,
    key        BLOB NOT NULL,
    body       TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX secret_expiry ON secret (expires_ms);
