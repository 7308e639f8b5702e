-- Owner: internal/identity/detail
CREATE TABLE authorization_detail_types (
    realm       TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    schema_text TEXT   NOT NULL,
    words       TEXT   NOT NULL,
    version     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    deleted     BOOLEAN NOT NULL,
    PRIMARY KEY (realm, name)
);
