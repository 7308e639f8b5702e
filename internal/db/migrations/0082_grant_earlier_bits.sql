-- Owner: internal/identity/grant
-- earlier holds, as JSON, the status indexes that a grant had before moved_list
-- and moved_idx while tokens with them may live.
ALTER TABLE grants ADD COLUMN earlier TEXT NOT NULL DEFAULT '[]';
