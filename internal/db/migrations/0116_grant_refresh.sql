-- Owner: internal/identity/grant
-- The one refresh token of a grant that is good. No index covers these columns,
-- so that its use rewrites one row and nothing else. refresh_tokens is for nodes
-- of the version before, and is dropped by the next one.
ALTER TABLE grants ADD COLUMN refresh_hash BYTEA;
ALTER TABLE grants ADD COLUMN refresh_generation BIGINT NOT NULL DEFAULT 0;
ALTER TABLE grants ADD COLUMN refresh_bound TEXT NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN refresh_epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE grants ADD COLUMN refreshed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE grants ADD COLUMN refresh_idle_at BIGINT NOT NULL DEFAULT 0;
