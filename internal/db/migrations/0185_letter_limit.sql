-- Owner: internal/identity/life
-- How many letters strangers had sent for one purpose to one address, or to one
-- person, within the present window. key is a hash.
CREATE TABLE letter_limits (
	realm  TEXT   NOT NULL,
	what   TEXT   NOT NULL,
	key    BYTEA  NOT NULL,
	since  BIGINT NOT NULL,
	n      BIGINT NOT NULL,
	PRIMARY KEY (realm, what, key)
);

CREATE INDEX letter_limits_since ON letter_limits (realm, since);
