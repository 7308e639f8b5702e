-- Owner: internal/identity/trust
-- Whose statements about people and services count. Whoever can write this table
-- can act as anybody whom a row of the next one links.
CREATE TABLE trusted_issuers (
  realm    TEXT    NOT NULL,
  id       TEXT    NOT NULL,
  issuer   TEXT    NOT NULL,
  deleted  BOOLEAN NOT NULL,
  settings TEXT    NOT NULL,
  version  BIGINT  NOT NULL,
  created  BIGINT  NOT NULL,
  updated  BIGINT  NOT NULL,
  PRIMARY KEY (realm, id)
);

CREATE UNIQUE INDEX trusted_issuers_issuer ON trusted_issuers (realm, issuer) WHERE NOT deleted;

-- Who a subject of such an issuer is here. The link is a credential of the
-- principal, so that what is obtained through it dies with it.
CREATE TABLE trusted_subjects (
  realm      TEXT   NOT NULL,
  credential TEXT   NOT NULL,
  issuer     TEXT   NOT NULL,
  subject    TEXT   NOT NULL,
  principal  TEXT   NOT NULL,
  created    BIGINT NOT NULL,
  PRIMARY KEY (realm, credential),
  FOREIGN KEY (realm, issuer) REFERENCES trusted_issuers (realm, id)
);

CREATE UNIQUE INDEX trusted_subjects_subject ON trusted_subjects (realm, issuer, subject);

CREATE INDEX trusted_subjects_principal ON trusted_subjects (realm, principal);
