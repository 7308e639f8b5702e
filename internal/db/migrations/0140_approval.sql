-- Owner: internal/identity/approval
-- What clients ask for and a person decides somewhere else: on another device
-- (RFC 8628) or by the back channel (CIBA). hash is that of the code with which
-- the client asks how it went, user_code that of the code that people type, ''
-- where there is none; subject is whoever alone may decide, '' anybody who has
-- the user code. request and answer are JSON; issued names the grant that came
-- of it. wait is the least time between two questions in milliseconds, and hasty
-- says whether the latest question came before it was over.
CREATE TABLE approvals (
	realm      TEXT    NOT NULL,
	id         TEXT    NOT NULL,
	kind       TEXT    NOT NULL,
	hash       BYTEA   NOT NULL,
	user_code  TEXT    NOT NULL,
	client     TEXT    NOT NULL,
	subject    TEXT    NOT NULL,
	request    TEXT    NOT NULL,
	state      TEXT    NOT NULL,
	answer     TEXT    NOT NULL,
	issued     TEXT    NOT NULL,
	wait       BIGINT  NOT NULL,
	polled_at  BIGINT  NOT NULL,
	hasty      BOOLEAN NOT NULL,
	epoch      BIGINT  NOT NULL,
	created_at BIGINT  NOT NULL,
	decided_at BIGINT  NOT NULL,
	expires_at BIGINT  NOT NULL,
	PRIMARY KEY (realm, id)
);

CREATE UNIQUE INDEX approvals_hash ON approvals (realm, kind, hash);

CREATE UNIQUE INDEX approvals_user_code ON approvals (realm, user_code) WHERE user_code <> '';

CREATE INDEX approvals_subject ON approvals (realm, subject, id) WHERE subject <> '';

CREATE INDEX approvals_expiry ON approvals (realm, expires_at);

-- Wrong user codes: per network address, or per account of somebody signed in,
-- the instants of those of the current window, as a JSON array.
CREATE TABLE approval_guesses (
	realm   TEXT   NOT NULL,
	guesser TEXT   NOT NULL,
	taken   TEXT   NOT NULL,
	last_at BIGINT NOT NULL,
	PRIMARY KEY (realm, guesser)
);

CREATE INDEX approval_guesses_last ON approval_guesses (realm, last_at);
