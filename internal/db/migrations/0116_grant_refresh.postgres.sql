-- Owner: internal/identity/grant
-- A refresh rewrites the grant on the page that it is on, which needs room there:
-- then no index is written again.
ALTER TABLE grants SET (fillfactor = 60);
