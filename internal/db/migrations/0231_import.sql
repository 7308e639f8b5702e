-- Owner: internal/access/relation

-- Files of facts that the server writes by itself, and how far it is.
CREATE TABLE access_imports (
	realm      TEXT   NOT NULL,
	id         TEXT   NOT NULL,
	name       TEXT   NOT NULL,
	state      TEXT   NOT NULL,
	parts      BIGINT NOT NULL,
	done_parts BIGINT NOT NULL,
	facts      BIGINT NOT NULL,
	done_facts BIGINT NOT NULL,
	last_error TEXT   NOT NULL,
	actor_kind TEXT   NOT NULL,
	actor      TEXT   NOT NULL,
	client     TEXT   NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	ended_at   BIGINT NOT NULL,
	PRIMARY KEY (realm, id)
);

-- What was sent and is not written yet.
CREATE TABLE access_import_parts (
	realm  TEXT   NOT NULL,
	import TEXT   NOT NULL,
	part   BIGINT NOT NULL,
	facts  BIGINT NOT NULL,
	body   BYTEA  NOT NULL,
	PRIMARY KEY (realm, import, part),
	FOREIGN KEY (realm, import) REFERENCES access_imports (realm, id)
);
