-- Owner: internal/identity/credential
-- handle finds a credential by what the world calls it: the hash of a passkey's
-- credential id. It stays when the credential is revoked, so that nobody
-- registers the same one again.
ALTER TABLE credentials ADD COLUMN handle TEXT NOT NULL DEFAULT '';

CREATE UNIQUE INDEX credentials_handle ON credentials (realm, handle) WHERE handle <> '';

-- The name under which authenticators know a person: random, for it tells
-- whoever holds the device nothing (WebAuthn Level 3, section 14.6.1), and the
-- same for all passkeys of the person.
CREATE TABLE passkey_users (
	realm     TEXT NOT NULL,
	principal TEXT NOT NULL,
	handle    TEXT NOT NULL,
	PRIMARY KEY (realm, principal),
	FOREIGN KEY (realm, principal) REFERENCES principals (realm, id)
);

CREATE UNIQUE INDEX passkey_users_handle ON passkey_users (realm, handle);
