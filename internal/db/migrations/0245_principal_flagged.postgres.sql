-- Owner: internal/identity/principal
-- Triggers, since nodes of the version before write these tables too, and know of no
-- flag. They write the principal's row whether or not it is flagged: whoever clears
-- the flag holds that row, and looks into the tables once it does.
CREATE FUNCTION flag_subject() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE principals SET flagged = TRUE WHERE realm = NEW.realm AND id = NEW.subject; RETURN NULL; END';

CREATE TRIGGER risk_holds_flag AFTER INSERT OR UPDATE OF until_at ON risk_holds FOR EACH ROW EXECUTE FUNCTION flag_subject();

CREATE FUNCTION flag_leaver() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE principals SET flagged = TRUE WHERE realm = NEW.realm AND id = NEW.principal; RETURN NULL; END';

CREATE TRIGGER departures_flag AFTER INSERT OR UPDATE ON departures FOR EACH ROW EXECUTE FUNCTION flag_leaver();
