-- Owner: internal/audit
-- When the current epoch began, in the row of realm ''; 0 in the first one.
ALTER TABLE log_heads ADD COLUMN began_at BIGINT NOT NULL DEFAULT 0;
