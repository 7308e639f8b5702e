-- Owner: internal/identity/principal
-- Apart from the column, which locks out even those who read: it is over in a moment,
-- this reads the whole table.
CREATE INDEX principals_flagged ON principals (realm, id) WHERE flagged;
