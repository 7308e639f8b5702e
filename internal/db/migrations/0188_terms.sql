-- Owner: internal/identity/terms
-- Versions of the documents that people must accept, and who accepted which. A
-- version is never changed once it is in force.
CREATE TABLE terms (
	realm        TEXT   NOT NULL,
	id           TEXT   NOT NULL,
	document     TEXT   NOT NULL,
	version      TEXT   NOT NULL,
	title        TEXT   NOT NULL,
	link         TEXT   NOT NULL,
	body         TEXT   NOT NULL,
	effective_at BIGINT NOT NULL,
	withdrawn_at BIGINT NOT NULL,
	created_at   BIGINT NOT NULL,
	PRIMARY KEY (realm, id)
);

CREATE UNIQUE INDEX terms_version ON terms (realm, document, version);

CREATE TABLE terms_acceptances (
	realm       TEXT   NOT NULL,
	principal   TEXT   NOT NULL,
	terms       TEXT   NOT NULL,
	accepted_at BIGINT NOT NULL,
	PRIMARY KEY (realm, principal, terms),
	FOREIGN KEY (realm, principal) REFERENCES principals (realm, id),
	FOREIGN KEY (realm, terms) REFERENCES terms (realm, id)
);

CREATE INDEX terms_acceptances_terms ON terms_acceptances (realm, terms, principal);
