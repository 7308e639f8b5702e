-- Owner: internal/identity/life
-- People who asked that their account be deleted, until they come back or it is.
CREATE TABLE departures (
	realm     TEXT   NOT NULL,
	principal TEXT   NOT NULL,
	asked_at  BIGINT NOT NULL,
	due_at    BIGINT NOT NULL,
	PRIMARY KEY (realm, principal),
	FOREIGN KEY (realm, principal) REFERENCES principals (realm, id)
);

CREATE INDEX departures_due ON departures (realm, due_at);
