-- Owner: internal/identity/grant
CREATE TABLE status_lists (
    realm      TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    purpose    TEXT   NOT NULL,
    epoch      BIGINT NOT NULL,
    size       BIGINT NOT NULL,
    step       BIGINT NOT NULL,
    next       BIGINT NOT NULL,
    state      TEXT   NOT NULL,
    opened_at  BIGINT NOT NULL,
    closed_at  BIGINT NOT NULL,
    PRIMARY KEY (realm, id)
);

CREATE UNIQUE INDEX status_lists_open ON status_lists (realm, purpose) WHERE state = 'open';

CREATE TABLE status_pages (
    realm TEXT   NOT NULL,
    list  TEXT   NOT NULL,
    page  BIGINT NOT NULL,
    bits  BYTEA  NOT NULL,
    PRIMARY KEY (realm, list, page)
);

CREATE TABLE status_checkpoints (
    realm   TEXT   NOT NULL,
    epoch   BIGINT NOT NULL,
    seq     BIGINT NOT NULL,
    cutoffs TEXT   NOT NULL,
    PRIMARY KEY (realm)
);

CREATE TABLE dead_tokens (
    realm      TEXT   NOT NULL,
    jti        TEXT   NOT NULL,
    client     TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (realm, jti)
);

CREATE INDEX dead_tokens_client ON dead_tokens (realm, client, expires_at);

CREATE INDEX dead_tokens_expiry ON dead_tokens (realm, expires_at);
