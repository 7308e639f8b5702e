-- Owner: internal/identity/credential
-- The level that is demanded since then. A higher one gives time anew, a factor that comes and goes does not.
-- What was noted without one counted for every level.
ALTER TABLE factor_demands ADD COLUMN acr TEXT NOT NULL DEFAULT 'aal3';
