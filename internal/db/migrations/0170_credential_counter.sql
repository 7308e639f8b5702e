-- Owner: internal/identity/credential
-- counter is what a factor must exceed to be used again: the last time step of
-- a time-based code, or the signature counter of a passkey.
ALTER TABLE credentials ADD COLUMN counter BIGINT NOT NULL DEFAULT 0;
