-- Owner: internal/identity/credential
-- Since when a realm has demanded of somebody a factor that they do not have.
CREATE TABLE factor_demands (
	realm     TEXT NOT NULL,
	principal TEXT NOT NULL,
	since     BIGINT NOT NULL,
	PRIMARY KEY (realm, principal),
	FOREIGN KEY (realm, principal) REFERENCES principals (realm, id)
);
