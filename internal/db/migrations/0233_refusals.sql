-- Owner: internal/audit

-- How often it was tried in vain to be somebody, by day, with what and from
-- where. Of a day there are few rows of a person; a row with nothing but a
-- number is for the rest. A row of the day 2^40 says for a while that the person
-- was deleted.
CREATE TABLE refusals (
	realm     TEXT   NOT NULL,
	principal TEXT   NOT NULL,
	day       BIGINT NOT NULL,
	factor    TEXT   NOT NULL,
	ip        TEXT   NOT NULL,
	agent     TEXT   NOT NULL,
	n         BIGINT NOT NULL,
	first_at  BIGINT NOT NULL,
	last_at   BIGINT NOT NULL,
	PRIMARY KEY (realm, principal, day, factor, ip, agent)
);
CREATE INDEX refusals_day ON refusals (realm, day);
