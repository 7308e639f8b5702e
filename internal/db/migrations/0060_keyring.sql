-- Owner: internal/identity/keyring

-- Signing keys of a realm. The state of a key is a function of these times and
-- of now; nothing needs to run for a key to become active or to retire. sealed
-- is the private key under the master key, empty once it must not sign again.
CREATE TABLE signing_keys (
	realm TEXT NOT NULL,
	id TEXT NOT NULL,
	alg TEXT NOT NULL,
	generation BIGINT NOT NULL,
	public TEXT NOT NULL,
	sealed BYTEA NOT NULL,
	created_at BIGINT NOT NULL,
	active_from BIGINT NOT NULL,
	retire_at BIGINT NOT NULL,
	revoked_at BIGINT NOT NULL,
	PRIMARY KEY (realm, id),
	UNIQUE (realm, alg, generation)
);

-- Symmetric keys of a realm: what seals opaque tokens (rotated) and what
-- derives values (never rotated, since the values must not change).
CREATE TABLE secret_keys (
	realm TEXT NOT NULL,
	id TEXT NOT NULL,
	purpose TEXT NOT NULL,
	generation BIGINT NOT NULL,
	sealed BYTEA NOT NULL,
	created_at BIGINT NOT NULL,
	active_from BIGINT NOT NULL,
	retire_at BIGINT NOT NULL,
	PRIMARY KEY (realm, id),
	UNIQUE (realm, purpose, generation)
);
