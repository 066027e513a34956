-- When a session ended, for pruning.
ALTER TABLE session ADD COLUMN ended_ms INTEGER;
UPDATE session SET ended_ms = 1000 * CAST(strftime('%s', json_extract(ended, '$.endTime')) AS INTEGER)
    WHERE ended IS NOT NULL;
CREATE INDEX session_end ON session (ended_ms) WHERE ended_ms IS NOT NULL;
