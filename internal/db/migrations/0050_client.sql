-- Owner: internal/identity/client
-- A deleted client keeps its row, emptied, so that its id is never used again.
CREATE TABLE clients (
  realm     TEXT    NOT NULL,
  id        TEXT    NOT NULL,
  principal TEXT    NOT NULL,
  name      TEXT    NOT NULL,
  enabled   BOOLEAN NOT NULL,
  built_in  BOOLEAN NOT NULL,
  deleted   BOOLEAN NOT NULL,
  life      BIGINT  NOT NULL,
  settings  TEXT    NOT NULL,
  version   BIGINT  NOT NULL,
  created   BIGINT  NOT NULL,
  updated   BIGINT  NOT NULL,
  PRIMARY KEY (realm, id)
);
CREATE UNIQUE INDEX clients_principal ON clients (realm, principal);
-- The origins whose scripts may call us, so that a preflight, which names no
-- client, is answered by one look-up.
CREATE TABLE client_origins (
  realm  TEXT NOT NULL,
  origin TEXT NOT NULL,
  client TEXT NOT NULL,
  PRIMARY KEY (realm, origin, client),
  FOREIGN KEY (realm, client) REFERENCES clients (realm, id)
);
CREATE INDEX client_origins_client ON client_origins (realm, client);
