-- Owner: internal/identity/principal
-- Those before the triggers.
UPDATE principals SET flagged = TRUE WHERE (realm, id) IN (SELECT realm, subject FROM risk_holds UNION SELECT realm, principal FROM departures);
