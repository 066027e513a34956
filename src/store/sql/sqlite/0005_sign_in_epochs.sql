-- What ends somebody's sign-ins is a policy epoch in their credential now, which no clock moves. It was a time, kept under
-- the hash of whom it was for: which of the older sign-ins it ended cannot be told from here, so all of those end.
DELETE FROM secret WHERE kind = 'refresh' AND json_extract(body, '$.beganMs') <=
    (SELECT max(json_extract(body, '$.sinceMs')) FROM secret WHERE kind = 'refresh.user');
DELETE FROM secret WHERE kind = 'refresh.user';
