-- Owner: internal/job

-- When each recurring task is due, and which node has it. Tasks serve all
-- realms; realm is ''.
CREATE TABLE schedules (
	realm TEXT NOT NULL,
	task TEXT NOT NULL,
	due_at BIGINT NOT NULL,
	held_until BIGINT NOT NULL,
	holder TEXT NOT NULL,
	last_error TEXT NOT NULL,
	PRIMARY KEY (realm, task)
);
