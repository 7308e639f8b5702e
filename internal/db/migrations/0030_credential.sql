-- Owner: internal/identity/credential
-- What a principal proves itself with. data holds a password's PHC string, a
-- secret's SHA-256, or a public JWK; it is emptied on revocation.
CREATE TABLE credentials (
	realm        TEXT NOT NULL,
	id           TEXT NOT NULL,
	principal    TEXT NOT NULL,
	type         TEXT NOT NULL,
	name         TEXT NOT NULL,
	data         TEXT NOT NULL,
	must_change  BOOLEAN NOT NULL,
	created_at   BIGINT NOT NULL,
	expires_at   BIGINT NOT NULL,
	last_used_at BIGINT NOT NULL,
	revoked_at   BIGINT NOT NULL,
	version      BIGINT NOT NULL,
	PRIMARY KEY (realm, id),
	FOREIGN KEY (realm, principal) REFERENCES principals (realm, id)
);

CREATE INDEX credentials_principal ON credentials (realm, principal, id);

CREATE UNIQUE INDEX credentials_password ON credentials (realm, principal) WHERE type = 'password' AND revoked_at = 0;

-- Guesses: per account, or per hash of an identifier that is nobody's, and per
-- browser that has signed in before ('' for all others), the instants of the
-- wrong or unfinished attempts of the current window, as a JSON array.
CREATE TABLE attempts (
	realm   TEXT NOT NULL,
	subject TEXT NOT NULL,
	browser TEXT NOT NULL,
	taken   TEXT NOT NULL,
	last_at BIGINT NOT NULL,
	PRIMARY KEY (realm, subject, browser)
);

CREATE INDEX attempts_last ON attempts (realm, last_at);

-- Browsers that have signed in to an account before, by hash of their cookie.
CREATE TABLE browsers (
	realm         TEXT NOT NULL,
	principal     TEXT NOT NULL,
	browser       TEXT NOT NULL,
	first_seen_at BIGINT NOT NULL,
	last_seen_at  BIGINT NOT NULL,
	PRIMARY KEY (realm, principal, browser),
	FOREIGN KEY (realm, principal) REFERENCES principals (realm, id)
);
