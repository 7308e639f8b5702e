-- Owner: internal/access/guard
-- Where and until when the policies that a realm adds about Cardea's own
-- administration are set aside. Whoever can write here can set them aside.
CREATE TABLE access_glass (
	realm  TEXT   NOT NULL PRIMARY KEY,
	since  BIGINT NOT NULL,
	until  BIGINT NOT NULL,
	reason TEXT   NOT NULL
);
