-- Owner: internal/identity/grant
-- A grant of somebody who acts for another dies with either of them.
CREATE INDEX grants_actor ON grants (actor, realm) WHERE actor <> '';
