-- Owner: internal/identity/grant
-- details are the authorization details that were granted (RFC 9396), as a JSON
-- array, empty for none.
ALTER TABLE grants ADD COLUMN details TEXT NOT NULL DEFAULT '';
