-- Owner: internal/access/relation

-- Where facts are pulled from, and how that goes. secret is sealed.
CREATE TABLE access_sources (
	realm TEXT NOT NULL,
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	kind TEXT NOT NULL,
	settings TEXT NOT NULL,
	secret BYTEA NOT NULL,
	enabled BOOLEAN NOT NULL,
	version BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	pulled_at BIGINT NOT NULL,
	good_at BIGINT NOT NULL,
	failures BIGINT NOT NULL,
	last_error TEXT NOT NULL,
	facts BIGINT NOT NULL,
	added BIGINT NOT NULL,
	removed BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (realm, id)
);
CREATE UNIQUE INDEX access_sources_name ON access_sources (realm, name);
