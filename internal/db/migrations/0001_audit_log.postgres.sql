-- Owner: internal/audit
-- The order of events: drawn after a transaction's last read and write.
CREATE SEQUENCE event_order CACHE 1;
