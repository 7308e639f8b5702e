-- Owner: internal/job

-- The jobs of a kind, as they are listed.
CREATE INDEX jobs_kind ON jobs (realm, kind, id);
