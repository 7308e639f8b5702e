-- Owner: internal/access/journal

-- What was decided: segments of many decisions, compressed, written per node. The
-- hash of body is an event of the log. used sums up which relations the segment's
-- decisions needed, so that questions about months read little.
CREATE TABLE decision_segments (
	realm TEXT NOT NULL,
	id TEXT NOT NULL,
	node TEXT NOT NULL,
	first_at BIGINT NOT NULL,
	last_at BIGINT NOT NULL,
	records BIGINT NOT NULL,
	dropped BIGINT NOT NULL,
	body BYTEA NOT NULL,
	used BYTEA NOT NULL,
	PRIMARY KEY (realm, id)
);
CREATE INDEX decision_segments_last ON decision_segments (realm, last_at);
