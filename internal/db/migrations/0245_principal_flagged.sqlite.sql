-- Owner: internal/identity/principal
CREATE TRIGGER risk_holds_flag AFTER INSERT ON risk_holds BEGIN UPDATE principals SET flagged = TRUE WHERE realm = NEW.realm AND id = NEW.subject; END;

CREATE TRIGGER risk_holds_flag_again AFTER UPDATE OF until_at ON risk_holds BEGIN UPDATE principals SET flagged = TRUE WHERE realm = NEW.realm AND id = NEW.subject; END;

CREATE TRIGGER departures_flag AFTER INSERT ON departures BEGIN UPDATE principals SET flagged = TRUE WHERE realm = NEW.realm AND id = NEW.principal; END;
