-- Owner: internal/audit

-- The head of the log. The row of realm '' is the position that followers go
-- by; the row of a realm is the size and frontier of its Merkle tree.
CREATE TABLE log_heads (
	realm TEXT NOT NULL PRIMARY KEY,
	epoch BIGINT NOT NULL,
	seq BIGINT NOT NULL,
	chain BYTEA NOT NULL,
	frontier BYTEA NOT NULL
);

INSERT INTO log_heads (realm, epoch, seq, chain, frontier) VALUES ('', 1, 0, '', '');

-- One row for each change, written in the transaction that makes the change.
-- epoch, position and leaf are set by the sequencer; body is what is hashed.
CREATE TABLE events (
	realm TEXT NOT NULL,
	id TEXT NOT NULL,
	order_key BIGINT NOT NULL,
	at BIGINT NOT NULL,
	action TEXT NOT NULL,
	actor TEXT NOT NULL,
	target TEXT NOT NULL,
	body TEXT NOT NULL,
	epoch BIGINT,
	position BIGINT,
	leaf BIGINT,
	PRIMARY KEY (realm, id)
);

CREATE INDEX events_pending ON events (order_key) WHERE position IS NULL;
CREATE UNIQUE INDEX events_position ON events (epoch, position) WHERE position IS NOT NULL;
CREATE UNIQUE INDEX events_leaf ON events (realm, leaf) WHERE leaf IS NOT NULL;
CREATE INDEX events_target ON events (realm, target, id);
CREATE INDEX events_actor ON events (realm, actor, id);

-- Full tiles of a realm's tree: 256 hashes each (C2SP tlog-tiles).
CREATE TABLE log_tiles (
	realm TEXT NOT NULL,
	level BIGINT NOT NULL,
	n BIGINT NOT NULL,
	hashes BYTEA NOT NULL,
	PRIMARY KEY (realm, level, n)
);

-- Signed statements of a tree's size and root.
CREATE TABLE log_checkpoints (
	realm TEXT NOT NULL,
	size BIGINT NOT NULL,
	at BIGINT NOT NULL,
	root BYTEA NOT NULL,
	note TEXT NOT NULL,
	PRIMARY KEY (realm, size)
);

-- What happened without changing state, a segment a node and tenth of a second.
-- The segment's hash is in the log as one event.
CREATE TABLE activity (
	realm TEXT NOT NULL,
	id TEXT NOT NULL,
	at BIGINT NOT NULL,
	node TEXT NOT NULL,
	records BIGINT NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (realm, id)
);

-- The nodes and what they have applied. Nodes serve all realms; realm is ''.
CREATE TABLE nodes (
	realm TEXT NOT NULL,
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	started_at BIGINT NOT NULL,
	renewed_at BIGINT NOT NULL,
	renewals BIGINT NOT NULL,
	epoch BIGINT NOT NULL,
	seq BIGINT NOT NULL,
	lapsed BOOLEAN NOT NULL,
	PRIMARY KEY (realm, id)
);
