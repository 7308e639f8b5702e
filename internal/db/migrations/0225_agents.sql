-- Owner: internal/access/agent

-- Agents that decide elsewhere, as they said of themselves last. Nothing is
-- decided by it.
CREATE TABLE policy_agents (
	realm TEXT NOT NULL,
	client TEXT NOT NULL,
	id TEXT NOT NULL,
	kind TEXT NOT NULL,
	version TEXT NOT NULL,
	state TEXT NOT NULL,
	first_seen BIGINT NOT NULL,
	seen_at BIGINT NOT NULL,
	PRIMARY KEY (realm, client, id)
);
CREATE INDEX policy_agents_seen ON policy_agents (realm, seen_at);
