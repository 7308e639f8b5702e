-- Owner: internal/identity/registration
-- Clients that registered themselves. token is the hash of the registration
-- access token: whoever can write it manages the client. initial is the id of
-- the initial access token it came with.
CREATE TABLE registrations (
	realm      TEXT   NOT NULL,
	client     TEXT   NOT NULL,
	token      BYTEA  NOT NULL,
	initial    TEXT   NOT NULL,
	software   TEXT   NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (realm, client)
);

CREATE INDEX registrations_updated ON registrations (realm, updated_at, client);

-- Tokens that let somebody register clients, by hash.
CREATE TABLE initial_access_tokens (
	realm      TEXT   NOT NULL,
	id         TEXT   NOT NULL,
	hash       BYTEA  NOT NULL,
	name       TEXT   NOT NULL,
	uses       BIGINT NOT NULL,
	max_uses   BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	revoked_at BIGINT NOT NULL,
	PRIMARY KEY (realm, id)
);

CREATE UNIQUE INDEX initial_access_tokens_hash ON initial_access_tokens (realm, hash);

CREATE INDEX initial_access_tokens_expiry ON initial_access_tokens (realm, expires_at);
