-- Owner: internal/job

-- Work that was promised in the transaction that caused it. While a node has a
-- job, due_at is when its lease ends, so that whoever finds it due may take it.
CREATE TABLE jobs (
	realm TEXT NOT NULL,
	id TEXT NOT NULL,
	kind TEXT NOT NULL,
	once_key TEXT NOT NULL,
	target TEXT NOT NULL,
	subject TEXT NOT NULL,
	payload BYTEA NOT NULL,
	state TEXT NOT NULL,
	due_at BIGINT NOT NULL,
	attempts BIGINT NOT NULL,
	attempts_left BIGINT NOT NULL,
	holder TEXT NOT NULL,
	last_error TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	ended_at BIGINT NOT NULL,
	PRIMARY KEY (realm, id)
);
CREATE UNIQUE INDEX jobs_once ON jobs (realm, kind, once_key);
CREATE INDEX jobs_due ON jobs (due_at, realm, target) WHERE state = 'waiting';
CREATE INDEX jobs_lane ON jobs (realm, target, due_at, id) WHERE state = 'waiting';
CREATE INDEX jobs_target ON jobs (realm, target, id);
CREATE INDEX jobs_subject ON jobs (realm, subject, id);
CREATE INDEX jobs_state ON jobs (realm, state, id) WHERE state <> 'done';
CREATE INDEX jobs_ended ON jobs (realm, ended_at) WHERE state <> 'waiting';
