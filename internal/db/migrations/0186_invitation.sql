-- Owner: internal/identity/life
-- Who was invited by whom. The address and the name are emptied when the
-- invitation has ended. serial counts how often it was sent: only its latest link
-- is good. containers is a JSON array of groups and organizations.
CREATE TABLE invitations (
	realm        TEXT   NOT NULL,
	id           TEXT   NOT NULL,
	key          BYTEA  NOT NULL,
	address      TEXT   NOT NULL,
	display_name TEXT   NOT NULL,
	locale       TEXT   NOT NULL,
	containers   TEXT   NOT NULL,
	by_principal TEXT   NOT NULL,
	state        TEXT   NOT NULL,
	principal    TEXT   NOT NULL,
	serial       BIGINT NOT NULL,
	created_at   BIGINT NOT NULL,
	expires_at   BIGINT NOT NULL,
	ended_at     BIGINT NOT NULL,
	PRIMARY KEY (realm, id)
);

CREATE UNIQUE INDEX invitations_open ON invitations (realm, key) WHERE state = 'open';

CREATE INDEX invitations_ended ON invitations (realm, ended_at) WHERE ended_at > 0;
