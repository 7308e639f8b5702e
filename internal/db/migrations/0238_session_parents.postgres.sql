-- Owner: internal/identity/session
-- Whoever begins a session has proved in the same transaction that principal and
-- credential are there and alive, and neither is ever deleted. PostgreSQL looked both
-- up again for each session, and wrote locks into their rows.
ALTER TABLE sessions DROP CONSTRAINT IF EXISTS sessions_realm_principal_fkey, DROP CONSTRAINT IF EXISTS sessions_realm_credential_fkey;
