-- Owner: internal/access/version
-- Policy folders of realms, in versions. Whoever can write these tables decides
-- what everybody may do.

-- Files by the hash of what is in them, so that a version costs what it changes.
CREATE TABLE policy_files (
	realm TEXT NOT NULL,
	hash  TEXT NOT NULL,
	body  TEXT NOT NULL,
	PRIMARY KEY (realm, hash)
);

-- The one with the highest number counts.
CREATE TABLE policy_versions (
	realm      TEXT   NOT NULL,
	number     BIGINT NOT NULL,
	hash       TEXT   NOT NULL,
	content    TEXT   NOT NULL,
	files      BIGINT NOT NULL,
	bytes      BIGINT NOT NULL,
	tests      BIGINT NOT NULL,
	message    TEXT   NOT NULL,
	origin     TEXT   NOT NULL,
	plan       TEXT   NOT NULL,
	actor_kind TEXT   NOT NULL,
	actor      TEXT   NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (realm, number)
);

CREATE TABLE policy_version_files (
	realm  TEXT   NOT NULL,
	number BIGINT NOT NULL,
	path   TEXT   NOT NULL,
	hash   TEXT   NOT NULL,
	PRIMARY KEY (realm, number, path),
	FOREIGN KEY (realm, number) REFERENCES policy_versions (realm, number),
	FOREIGN KEY (realm, hash) REFERENCES policy_files (realm, hash)
);

CREATE INDEX policy_version_files_hash ON policy_version_files (realm, hash);

-- Where a realm's folder is followed, at most one place.
CREATE TABLE policy_sources (
	realm      TEXT   NOT NULL PRIMARY KEY,
	kind       TEXT   NOT NULL,
	location   TEXT   NOT NULL,
	branch     TEXT   NOT NULL,
	folder     TEXT   NOT NULL,
	username   TEXT   NOT NULL,
	password   BYTEA,
	seconds    BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	checked_at BIGINT NOT NULL,
	seen       TEXT   NOT NULL,
	state      TEXT   NOT NULL,
	detail     TEXT   NOT NULL,
	since      BIGINT NOT NULL,
	number     BIGINT NOT NULL
);
