-- Owner: internal/identity/principal
-- flagged says that something may be held against a principal in risk_holds, or that
-- departures has it. Whoever begins a session reads the principal, and those tables
-- only where this is set.
ALTER TABLE principals ADD COLUMN flagged BOOLEAN NOT NULL DEFAULT FALSE;
