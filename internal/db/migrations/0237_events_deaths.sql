-- Owner: internal/audit

-- The events that say who is dead, for nodes that start: few among many. Of those
-- that merely speak of such things in other words, some may be in it too.
CREATE INDEX events_deaths ON events (realm, epoch, position)
	WHERE body LIKE '%"deaths":%' OR body LIKE '%"cut":%' OR body LIKE '%"jti":%' OR action LIKE 'status_list.%';
