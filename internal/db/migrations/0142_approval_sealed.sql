-- Owner: internal/identity/approval
-- What delivering an answer needs, sealed under the master key; empty where the
-- client asks for the answer, and once it was delivered.
ALTER TABLE approvals ADD COLUMN sealed TEXT NOT NULL DEFAULT '';
