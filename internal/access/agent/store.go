package agent

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

func put(tx *db.Tx, r Report) error {
	state, err := json.Marshal(r.Bundles)
	if err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE policy_agents SET kind = $4, version = $5, state = $6, seen_at = $7 WHERE realm = $1 AND client = $2 AND id = $3 AND seen_at <= $7`,
		tx.Realm, r.Client, r.ID, r.Kind, r.Version, string(state), db.At(r.SeenAt))
	if err != nil || n > 0 {
		return err
	}
	known, err := db.One(tx, func(r db.Row) (n int64, err error) { return n, r.Scan(&n) }, `SELECT COUNT(*) FROM policy_agents WHERE realm = $1`, tx.Realm)
	if err != nil || known >= mostAgents {
		return err
	}
	_, err = tx.Exec(`INSERT INTO policy_agents (realm, client, id, kind, version, state, first_seen, seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT DO NOTHING`,
		tx.Realm, r.Client, r.ID, r.Kind, r.Version, string(state), db.At(r.SeenAt))
	return err
}

func scan(r db.Row) (Report, error) {
	var a Report
	var state string
	var first, seen db.Time
	err := r.Scan(&a.Client, &a.ID, &a.Kind, &a.Version, &state, &first, &seen)
	if err == nil {
		err = json.Unmarshal([]byte(state), &a.Bundles)
	}
	a.FirstSeen, a.SeenAt = first.Time, seen.Time
	return a, err
}

// page lists agents behind a client and an id.
func page(tx *db.Tx, client, id string, limit int) ([]Report, error) {
	return db.All(tx, scan, `SELECT client, id, kind, version, state, first_seen, seen_at FROM policy_agents
		WHERE realm = $1 AND (client > $2 OR client = $2 AND id > $3) ORDER BY client, id LIMIT $4`, tx.Realm, client, id, limit)
}

func forget(tx *db.Tx, before time.Time) (int64, error) {
	return tx.Exec(`DELETE FROM policy_agents WHERE realm = $1 AND seen_at < $2`, tx.Realm, db.At(before))
}

// placeOf is what a page ends with. A client's id has no space.
func placeOf(r Report) string { return r.Client + " " + r.ID }

func place(after string) (client, id string, err error) {
	if after == "" {
		return "", "", nil
	}
	client, id, ok := strings.Cut(after, " ")
	if !ok || len(after) > 1024 {
		return "", "", fault.New(fault.Invalid, "page_invalid", "page is not one that was given out").WithField("page", "is not one that was given out")
	}
	return client, id, nil
}
