-- Owner: internal/identity/grant
-- A token is used up on the page it was written to, which needs room there: then
-- no index is written again.
ALTER TABLE refresh_tokens SET (fillfactor = 60);
