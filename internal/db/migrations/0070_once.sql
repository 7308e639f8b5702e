-- Owner: internal/identity/once
CREATE TABLE once (
    realm       TEXT    NOT NULL,
    purpose     TEXT    NOT NULL,
    hash        BYTEA   NOT NULL,
    epoch       BIGINT  NOT NULL,
    subject     TEXT    NOT NULL,
    client      TEXT    NOT NULL,
    binding     TEXT    NOT NULL,
    payload     TEXT    NOT NULL,
    version     BIGINT  NOT NULL,
    issued      TEXT    NOT NULL,
    created_at  BIGINT  NOT NULL,
    expires_at  BIGINT  NOT NULL,
    consumed_at BIGINT  NOT NULL,
    PRIMARY KEY (realm, purpose, hash)
);

CREATE INDEX once_expiry ON once (realm, expires_at) WHERE created_at > 0;

CREATE TABLE once_seen (
    realm      TEXT   NOT NULL,
    purpose    TEXT   NOT NULL,
    client     TEXT   NOT NULL,
    hash       BYTEA  NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (realm, purpose, client, hash)
);

CREATE INDEX once_seen_expiry ON once_seen (realm, expires_at) WHERE purpose <> '';
