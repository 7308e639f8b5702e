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

-- One row for each change. body is what is hashed; the columns repeat parts of
-- it for queries.
CREATE TABLE events (
	realm TEXT NOT NULL,
	id TEXT NOT NULL,
	at BIGINT NOT NULL,
	action TEXT NOT NULL,
	actor TEXT NOT NULL,
	target TEXT NOT NULL,
	body TEXT NOT NULL,
	epoch BIGINT NOT NULL,
	position BIGINT NOT NULL,
	leaf BIGINT NOT NULL,
	PRIMARY KEY (realm, leaf)
);

CREATE UNIQUE INDEX events_position ON events (epoch, position);
CREATE INDEX events_target ON events (realm, target, leaf);
CREATE INDEX events_actor ON events (realm, actor, leaf);

-- Events that the sequencer has yet to place, written in the transactions that
-- make the changes. It moves them to events.
CREATE TABLE event_queue (
	order_key BIGINT NOT NULL PRIMARY KEY,
	realm TEXT NOT NULL,
	id TEXT NOT NULL,
	at BIGINT NOT NULL,
	action TEXT NOT NULL,
	actor TEXT NOT NULL,
	target TEXT NOT NULL,
	body TEXT NOT NULL
);

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
