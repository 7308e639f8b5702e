-- Owner: internal/identity/credential
-- Until when a browser is not asked for a second factor that only the realm or
-- its owner wants; 0: it is asked.
ALTER TABLE browsers ADD COLUMN remembered_until BIGINT NOT NULL DEFAULT 0;
