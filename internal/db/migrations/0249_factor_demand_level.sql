-- Owner: internal/identity/credential
-- The level that is demanded since then. A higher one gives time anew, a factor that comes and goes does not.
ALTER TABLE factor_demands ADD COLUMN acr TEXT NOT NULL DEFAULT 'aal2';
