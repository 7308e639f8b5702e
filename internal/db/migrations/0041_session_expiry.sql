-- Owner: internal/identity/session
CREATE INDEX sessions_expiry ON sessions (realm, expires_at);
