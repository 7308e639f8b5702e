-- Owner: internal/identity/client
-- source says by whose word a client is what it is: empty for an operator's.
ALTER TABLE clients ADD COLUMN source TEXT NOT NULL DEFAULT '';
CREATE INDEX clients_source ON clients (realm, source) WHERE source <> '' AND NOT deleted;
