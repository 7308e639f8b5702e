-- Owner: internal/identity/principal
-- A deleted principal stays as a tombstone without personal data, so that its
-- id is never given to another and what refers to it stays readable. life
-- counts suspensions: what was born in an earlier life is dead.
CREATE TABLE principals (
	realm        TEXT NOT NULL,
	id           TEXT NOT NULL,
	kind         TEXT NOT NULL,
	name         TEXT NOT NULL,
	display_name TEXT NOT NULL,
	sort_key     BYTEA NOT NULL,
	state        TEXT NOT NULL,
	owner        TEXT,
	locale       TEXT NOT NULL,
	profile      TEXT NOT NULL,
	expires_at   BIGINT NOT NULL,
	life         BIGINT NOT NULL,
	version      BIGINT NOT NULL,
	created_at   BIGINT NOT NULL,
	updated_at   BIGINT NOT NULL,
	PRIMARY KEY (realm, id),
	FOREIGN KEY (realm, owner) REFERENCES principals (realm, id)
);

CREATE INDEX principals_kind ON principals (realm, kind, id);

CREATE INDEX principals_owner ON principals (realm, owner);

CREATE INDEX principals_sort ON principals (realm, sort_key, id);

-- Every name and e-mail address by which a principal is found, in canonical
-- form: one constraint keeps a name from being another's address as well. The
-- key is bytes, so that both engines compare it alike and find prefixes by range.
CREATE TABLE identifiers (
	realm      TEXT NOT NULL,
	space      TEXT NOT NULL,
	key        BYTEA NOT NULL,
	principal  TEXT NOT NULL,
	type       TEXT NOT NULL,
	value      TEXT NOT NULL,
	verified   BOOLEAN NOT NULL,
	is_primary BOOLEAN NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (realm, space, key),
	FOREIGN KEY (realm, principal) REFERENCES principals (realm, id)
);

CREATE INDEX identifiers_principal ON identifiers (realm, principal);

CREATE UNIQUE INDEX identifiers_primary ON identifiers (realm, principal) WHERE is_primary;

-- Who is in which group or organization. relation is a word for people and
-- directories; it grants nothing.
CREATE TABLE members (
	realm      TEXT NOT NULL,
	container  TEXT NOT NULL,
	member     TEXT NOT NULL,
	relation   TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (realm, container, member),
	FOREIGN KEY (realm, container) REFERENCES principals (realm, id),
	FOREIGN KEY (realm, member) REFERENCES principals (realm, id)
);

CREATE INDEX members_member ON members (realm, member, container);
