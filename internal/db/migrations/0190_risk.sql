-- Owner: internal/identity/risk

-- How a person signs in: kinds of browsers, hashes of networks, countries, as
-- JSON of bounded size.
CREATE TABLE risk_people (
	realm TEXT NOT NULL,
	principal TEXT NOT NULL,
	memory TEXT NOT NULL,
	last_at BIGINT NOT NULL,
	PRIMARY KEY (realm, principal)
);
CREATE INDEX risk_people_last ON risk_people (realm, last_at);

-- What unknown browsers of a network tried within the last hour, by keyed hash
-- of the network: hashes of accounts and whether they opened.
CREATE TABLE risk_sources (
	realm TEXT NOT NULL,
	network TEXT NOT NULL,
	memory TEXT NOT NULL,
	last_at BIGINT NOT NULL,
	PRIMARY KEY (realm, network)
);
CREATE INDEX risk_sources_last ON risk_sources (realm, last_at);

-- At how many accounts wrong passwords of one hash of ten bits were tried on a
-- day, and hashes of the accounts.
CREATE TABLE risk_echoes (
	realm TEXT NOT NULL,
	day TEXT NOT NULL,
	echo BIGINT NOT NULL,
	memory TEXT NOT NULL,
	accounts BIGINT NOT NULL,
	PRIMARY KEY (realm, day, echo)
);

-- What an action holds: subject is a principal or the hash of a network.
CREATE TABLE risk_holds (
	realm TEXT NOT NULL,
	subject TEXT NOT NULL,
	detector TEXT NOT NULL,
	action BIGINT NOT NULL,
	incident TEXT NOT NULL,
	since_at BIGINT NOT NULL,
	until_at BIGINT NOT NULL,
	next_at BIGINT NOT NULL,
	PRIMARY KEY (realm, subject, detector)
);
CREATE INDEX risk_holds_until ON risk_holds (realm, until_at);
CREATE INDEX risk_holds_incident ON risk_holds (realm, incident) WHERE incident <> '';

-- What operators have to look into. There is one open incident per subject.
CREATE TABLE incidents (
	realm TEXT NOT NULL,
	id TEXT NOT NULL,
	subject TEXT NOT NULL,
	principal TEXT NOT NULL,
	network TEXT NOT NULL,
	detector TEXT NOT NULL,
	reason TEXT NOT NULL,
	args TEXT NOT NULL,
	findings BIGINT NOT NULL,
	state TEXT NOT NULL,
	opened_at BIGINT NOT NULL,
	last_at BIGINT NOT NULL,
	closed_at BIGINT NOT NULL,
	closed_by TEXT NOT NULL,
	note TEXT NOT NULL,
	PRIMARY KEY (realm, id)
);
CREATE UNIQUE INDEX incidents_open ON incidents (realm, subject) WHERE state = 'open';
CREATE INDEX incidents_principal ON incidents (realm, principal, id);
CREATE INDEX incidents_state ON incidents (realm, state, id);
CREATE INDEX incidents_closed ON incidents (realm, closed_at) WHERE state = 'closed';
