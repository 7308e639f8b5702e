-- Owner: internal/identity/letter
-- How many letters of a kind that anybody can ask for were written to one address
-- within the present window. key is a hash of the address.
CREATE TABLE letter_quota (
	realm TEXT   NOT NULL,
	kind  TEXT   NOT NULL,
	key   BYTEA  NOT NULL,
	since BIGINT NOT NULL,
	n     BIGINT NOT NULL,
	PRIMARY KEY (realm, kind, key)
);

CREATE INDEX letter_quota_since ON letter_quota (realm, since);
