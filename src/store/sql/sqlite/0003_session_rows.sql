-- Rows stand in the order of their start, so that what is written together lies together. By their random ids they lay
-- scattered over as many pages, and each was too long for a page of such a table: a commit wrote nine pages, now six.
CREATE TABLE session_in_order (
    number   INTEGER PRIMARY KEY,
    id       TEXT UNIQUE NOT NULL,
    started  TEXT NOT NULL,
    ended    TEXT,
    ended_ms INTEGER
) STRICT;
INSERT INTO session_in_order (id, started, ended, ended_ms)
    SELECT id, started, ended, CASE WHEN ended IS NOT NULL THEN ifnull(ended_ms, 0) END FROM session ORDER BY ended_ms;
DROP TABLE session;
ALTER TABLE session_in_order RENAME TO session;
-- For pruning, and for those that have not ended.
CREATE INDEX session_end ON session (ended_ms);
