-- Owner: internal/identity/principal
-- signouts counts the times that a principal, but not what it owns, was cut off
-- from all that was born before, such as when its password was replaced.
ALTER TABLE principals ADD COLUMN signouts BIGINT NOT NULL DEFAULT 0;
