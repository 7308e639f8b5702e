-- Owner: internal/job
-- Where the next run of a task goes on; empty at the beginning.
ALTER TABLE schedules ADD COLUMN resume_after TEXT NOT NULL DEFAULT '';
