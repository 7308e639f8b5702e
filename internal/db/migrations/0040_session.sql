-- Owner: internal/identity/session
CREATE TABLE sessions (
	realm       TEXT NOT NULL,
	id          TEXT NOT NULL,
	principal   TEXT NOT NULL,
	credential  TEXT NOT NULL,
	era         BIGINT NOT NULL,
	secret_hash BYTEA NOT NULL,
	acr         TEXT NOT NULL,
	amr         TEXT NOT NULL,
	auth_time   BIGINT NOT NULL,
	created_at  BIGINT NOT NULL,
	last_seen_at BIGINT NOT NULL,
	idle_until  BIGINT NOT NULL,
	expires_at  BIGINT NOT NULL,
	ended_at    BIGINT NOT NULL,
	reason      TEXT NOT NULL,
	ip          TEXT NOT NULL,
	user_agent  TEXT NOT NULL,
	browser     TEXT NOT NULL,
	PRIMARY KEY (realm, id),
	FOREIGN KEY (realm, principal) REFERENCES principals (realm, id),
	FOREIGN KEY (realm, credential) REFERENCES credentials (realm, id)
);

CREATE UNIQUE INDEX sessions_secret ON sessions (realm, secret_hash);

CREATE INDEX sessions_principal ON sessions (realm, principal, id);

CREATE INDEX sessions_credential ON sessions (realm, credential);
