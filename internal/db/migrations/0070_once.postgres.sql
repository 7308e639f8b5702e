-- Owner: internal/identity/once
-- A value is used up on the page it was written to, which needs room there: then
-- no index is written again.
ALTER TABLE once SET (fillfactor = 60);
