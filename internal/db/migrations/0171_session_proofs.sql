-- Owner: internal/identity/session
-- proofs is what was proved for the session and when, as the door that began it
-- noted it: empty for sessions older than this column.
ALTER TABLE sessions ADD COLUMN proofs TEXT NOT NULL DEFAULT '';
