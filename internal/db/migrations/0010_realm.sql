-- Owner: internal/realm
-- A row is never deleted: the name of a deleted realm stays taken for ever,
-- because every other table and every token issued knows the realm by it.
CREATE TABLE realms (
	realm        TEXT NOT NULL PRIMARY KEY,
	display_name TEXT NOT NULL,
	host         TEXT,
	state        TEXT NOT NULL,
	settings     TEXT NOT NULL,
	version      BIGINT NOT NULL,
	created_at   BIGINT NOT NULL,
	updated_at   BIGINT NOT NULL
);

CREATE UNIQUE INDEX realms_host ON realms (host);
