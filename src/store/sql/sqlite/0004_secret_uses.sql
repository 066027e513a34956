-- A refresh token stays where it is when it is used: how often that was, and when first. Used ones were rows of their own
-- kind, which knew only their family.
ALTER TABLE secret ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;
ALTER TABLE secret ADD COLUMN first_ms INTEGER NOT NULL DEFAULT 0;
UPDATE secret SET kind = 'refresh', uses = 1, first_ms = ifnull(json_extract(body, '$.usedMs'), 0)
    WHERE kind = 'refresh.used';
