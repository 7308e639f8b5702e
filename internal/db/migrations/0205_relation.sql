-- Owner: internal/access/relation

-- Who is related to what. Ids are bytes, so that any text is one and both engines
-- order them alike. version is that of the realm's facts when the row was last
-- written; source is the pulled source that the row comes from, or ''.
CREATE TABLE access_relations (
	realm TEXT NOT NULL,
	subject_type TEXT NOT NULL,
	subject_id BYTEA NOT NULL,
	relation TEXT NOT NULL,
	object_type TEXT NOT NULL,
	object_id BYTEA NOT NULL,
	expires_at BIGINT NOT NULL,
	version BIGINT NOT NULL,
	source TEXT NOT NULL,
	PRIMARY KEY (realm, subject_type, subject_id, relation, object_type, object_id)
);
CREATE INDEX access_relations_object ON access_relations (realm, object_type, object_id, subject_type, subject_id, relation);
CREATE INDEX access_relations_inside ON access_relations (realm, object_type, object_id, subject_type, subject_id) WHERE relation IN ('member', 'parent');
CREATE INDEX access_relations_source ON access_relations (realm, source) WHERE source <> '';

-- What is known about an entity. value is JSON.
CREATE TABLE access_attributes (
	realm TEXT NOT NULL,
	entity_type TEXT NOT NULL,
	entity_id BYTEA NOT NULL,
	name TEXT NOT NULL,
	value TEXT NOT NULL,
	version BIGINT NOT NULL,
	source TEXT NOT NULL,
	PRIMARY KEY (realm, entity_type, entity_id, name)
);
CREATE INDEX access_attributes_source ON access_attributes (realm, source) WHERE source <> '';

-- The version of a realm's facts: how many batches there were. Whoever writes
-- holds this row, so that batches follow each other.
CREATE TABLE access_facts (
	realm TEXT NOT NULL PRIMARY KEY,
	version BIGINT NOT NULL
);

-- The batches of the last days: target is that of the batch's event, by which its
-- place in the log is found; once_key is what its sender called it.
CREATE TABLE access_batches (
	realm TEXT NOT NULL,
	version BIGINT NOT NULL,
	target TEXT NOT NULL,
	sender TEXT NOT NULL,
	once_key TEXT NOT NULL,
	digest BYTEA NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (realm, version)
);
CREATE UNIQUE INDEX access_batches_key ON access_batches (realm, sender, once_key) WHERE once_key <> '';
CREATE INDEX access_batches_created ON access_batches (realm, created_at);
