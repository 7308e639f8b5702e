-- Owner: internal/identity/grant
CREATE TABLE grants (
    realm       TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    principal   TEXT    NOT NULL,
    era         BIGINT  NOT NULL,
    client      TEXT    NOT NULL,
    client_life BIGINT  NOT NULL,
    session     TEXT,
    credential  TEXT,
    parent      TEXT,
    actor       TEXT    NOT NULL,
    standing    TEXT,
    consent     BOOLEAN NOT NULL,
    offline     BOOLEAN NOT NULL,
    scope       TEXT    NOT NULL,
    audience    TEXT    NOT NULL,
    claims      TEXT    NOT NULL,
    acr         TEXT    NOT NULL,
    amr         TEXT    NOT NULL,
    auth_time   BIGINT  NOT NULL,
    list        TEXT    NOT NULL,
    idx         BIGINT  NOT NULL,
    moved_list  TEXT    NOT NULL,
    moved_idx   BIGINT  NOT NULL,
    moved_until BIGINT  NOT NULL,
    created_at  BIGINT  NOT NULL,
    expires_at  BIGINT  NOT NULL,
    revoked_at  BIGINT  NOT NULL,
    reason      TEXT    NOT NULL,
    version     BIGINT  NOT NULL,
    PRIMARY KEY (realm, id)
);

CREATE UNIQUE INDEX grants_standing ON grants (realm, standing) WHERE standing IS NOT NULL AND revoked_at = 0;

CREATE INDEX grants_principal ON grants (principal, realm, client, id);

CREATE INDEX grants_client ON grants (client, realm, id);

CREATE INDEX grants_session ON grants (session, realm) WHERE session IS NOT NULL;

CREATE INDEX grants_credential ON grants (credential, realm) WHERE credential IS NOT NULL;

CREATE INDEX grants_parent ON grants (parent, realm) WHERE parent IS NOT NULL;

CREATE INDEX grants_expiry ON grants (realm, expires_at) WHERE expires_at > 0;

CREATE TABLE consents (
    realm      TEXT   NOT NULL,
    principal  TEXT   NOT NULL,
    client     TEXT   NOT NULL,
    scope      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    PRIMARY KEY (realm, principal, client)
);

CREATE INDEX consents_client ON consents (realm, client, principal);

CREATE TABLE refresh_tokens (
    realm       TEXT    NOT NULL,
    hash        BYTEA   NOT NULL,
    grant_id    TEXT    NOT NULL,
    client      TEXT    NOT NULL,
    epoch       BIGINT  NOT NULL,
    generation  BIGINT  NOT NULL,
    predecessor BYTEA,
    issued_at   BIGINT  NOT NULL,
    idle_at     BIGINT  NOT NULL,
    expires_at  BIGINT  NOT NULL,
    consumed_at BIGINT  NOT NULL,
    PRIMARY KEY (realm, hash),
    UNIQUE (grant_id, generation, realm)
);

CREATE INDEX refresh_tokens_expiry ON refresh_tokens (realm, idle_at) WHERE issued_at > 0;
