-- Owner: internal/identity/session
-- The sessions of a credential are found among those of its owner.
DROP INDEX sessions_credential;
