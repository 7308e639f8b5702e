package risk

import (
	"encoding/json"

	"github.com/cardea-id/cardea/internal/db"
)

const incidentColumns = `id, principal, network, detector, reason, args, findings, state, opened_at, last_at, closed_at, closed_by, note`

func scanIncident(r db.Row) (*Incident, error) {
	var i Incident
	var args, state string
	var opened, last, closed db.Time
	if err := r.Scan(&i.ID, &i.Principal, &i.Network, &i.Detector, &i.Reason, &args, &i.Findings, &state, &opened, &last, &closed, &i.ClosedBy, &i.Note); err != nil {
		return nil, err
	}
	i.State, i.Opened, i.Last, i.Closed = State(state), opened.Time, last.Time, closed.Time
	return &i, json.Unmarshal([]byte(args), &i.Args)
}

// joinIncident adds a finding to the open incident of a subject, or opens one.
func joinIncident(tx *db.Tx, subject string, i *Incident) (*Incident, error) {
	args, err := json.Marshal(i.Args)
	if err != nil {
		return nil, err
	}
	return db.One(tx, scanIncident, `INSERT INTO incidents (realm, id, subject, principal, network, detector, reason, args, findings, state, opened_at, last_at, closed_at, closed_by, note)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, 'open', $9, $9, 0, '', '')
		ON CONFLICT (realm, subject) WHERE state = 'open' DO UPDATE SET findings = incidents.findings + 1, last_at = excluded.last_at RETURNING `+incidentColumns,
		tx.Realm, i.ID, subject, i.Principal, i.Network, i.Detector, i.Reason, string(args), db.At(tx.Now))
}

func incidentByID(tx *db.Tx, id string) (*Incident, error) {
	i, err := db.One(tx, scanIncident, `SELECT `+incidentColumns+` FROM incidents WHERE realm = $1 AND id = $2`, tx.Realm, id)
	if db.Missing(err) {
		return nil, noIncident(id)
	}
	return i, err
}

// closeIncident reports false for one that is closed already.
func closeIncident(tx *db.Tx, id, by, note string) (bool, error) {
	n, err := tx.Exec(`UPDATE incidents SET state = 'closed', closed_at = $3, closed_by = $4, note = $5 WHERE realm = $1 AND id = $2 AND state = 'open'`,
		tx.Realm, id, db.At(tx.Now), by, note)
	return n > 0, err
}

// listIncidents reads from the newest to the oldest.
func listIncidents(tx *db.Tx, f Filter, before string, limit int) ([]*Incident, error) {
	return db.All(tx, scanIncident, `SELECT `+incidentColumns+` FROM incidents WHERE realm = $1 AND (id < $2 OR $2 = '')
		AND (state = $4 OR $4 = '') AND (principal = $5 OR $5 = '') AND (detector = $6 OR $6 = '') ORDER BY id DESC LIMIT $3`,
		tx.Realm, before, limit, string(f.State), f.Principal, f.Detector)
}
