package life

import (
	"encoding/json"
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// countLetter counts one more letter and returns how many that makes within the
// window that began after since.
func countLetter(tx *db.Tx, w what, key []byte, since time.Time) (int64, error) {
	return db.One(tx, db.Scalar[int64], `INSERT INTO letter_limits (realm, what, key, since, n) VALUES ($1, $2, $3, $4, 1)
		ON CONFLICT (realm, what, key) DO UPDATE SET
			n = CASE WHEN letter_limits.since <= $5 THEN 1 ELSE letter_limits.n + 1 END,
			since = CASE WHEN letter_limits.since <= $5 THEN excluded.since ELSE letter_limits.since END
		RETURNING n`, tx.Realm, string(w), key, db.At(tx.Now), db.At(since))
}

func sweepLimits(tx *db.Tx, before time.Time) (int64, error) {
	return tx.Exec(`DELETE FROM letter_limits WHERE realm = $1 AND (what, key) IN (SELECT what, key FROM letter_limits
		WHERE realm = $1 AND since < $2 ORDER BY since LIMIT 1000)`, tx.Realm, db.At(before))
}

const invitationColumns = `id, address, display_name, locale, containers, by_principal, state, principal, serial, created_at, expires_at, ended_at`

func scanInvitation(r db.Row) (*Invitation, error) {
	var i Invitation
	var containers string
	var created, expires, ended db.Time
	err := r.Scan(&i.ID, &i.Address, &i.Name, &i.Locale, &containers, &i.By, &i.State, &i.Person, &i.serial, &created, &expires, &ended)
	if err != nil {
		return nil, err
	}
	i.Created, i.Expires, i.Ended = created.Time, expires.Time, ended.Time
	return &i, json.Unmarshal([]byte(containers), &i.Containers)
}

// insertInvitation reports whether nobody else is invited under the key.
func insertInvitation(tx *db.Tx, i *Invitation, key []byte) (bool, error) {
	containers, err := json.Marshal(i.Containers)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(`INSERT INTO invitations (realm, key, `+invitationColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT DO NOTHING`, tx.Realm, key, i.ID, i.Address, i.Name, i.Locale, string(containers), i.By, string(i.State), i.Person, i.serial,
		db.At(i.Created), db.At(i.Expires), db.At(i.Ended))
	return n == 1, err
}

func invitationByID(tx *db.Tx, id string) (*Invitation, error) {
	i, err := db.One(tx, scanInvitation, `SELECT `+invitationColumns+` FROM invitations WHERE realm = $1 AND id = $2`, tx.Realm, id)
	if db.Missing(err) {
		return nil, unknownInvitation()
	}
	return i, err
}

// openInvitation finds the invitation of an address that has not ended.
func openInvitation(tx *db.Tx, key []byte) (*Invitation, error) {
	i, err := db.One(tx, scanInvitation, `SELECT `+invitationColumns+` FROM invitations WHERE realm = $1 AND key = $2 AND state = 'open'`, tx.Realm, key)
	if db.Missing(err) {
		return nil, nil
	}
	return i, err
}

func renewInvitation(tx *db.Tx, id string, expires time.Time) error {
	_, err := tx.Exec(`UPDATE invitations SET serial = serial + 1, expires_at = $3 WHERE realm = $1 AND id = $2 AND state = 'open'`, tx.Realm, id, db.At(expires))
	return err
}

func endInvitation(tx *db.Tx, id string, s InvitationState, person string) error {
	_, err := tx.Exec(`UPDATE invitations SET state = $3, principal = $4, address = '', display_name = '', key = $5, ended_at = $6
		WHERE realm = $1 AND id = $2 AND state = 'open'`, tx.Realm, id, string(s), person, []byte{}, db.At(tx.Now))
	return err
}

func listInvitations(tx *db.Tx, s InvitationState, after string, limit int) ([]*Invitation, error) {
	const from = `SELECT ` + invitationColumns + ` FROM invitations WHERE realm = $1 AND id > $2`
	const expired, end = `(state = 'open' AND expires_at <= $3)`, ` ORDER BY id LIMIT $4`
	now := db.At(tx.Now)
	switch s {
	case "":
		return db.All(tx, scanInvitation, from+` ORDER BY id LIMIT $3`, tx.Realm, after, limit)
	case InvitationOpen:
		return db.All(tx, scanInvitation, from+` AND state = 'open' AND expires_at > $3`+end, tx.Realm, after, now, limit)
	case InvitationExpired:
		return db.All(tx, scanInvitation, from+` AND (state = 'expired' OR `+expired+`)`+end, tx.Realm, after, now, limit)
	}
	return db.All(tx, scanInvitation, from+` AND state = $3`+end, tx.Realm, after, string(s), limit)
}

func countOpenInvitations(tx *db.Tx) (int64, error) {
	return db.One(tx, db.Scalar[int64], `SELECT count(*) FROM invitations WHERE realm = $1 AND state = 'open'`, tx.Realm)
}

// endExpired ends invitations whose time is over, so that what they say of people
// is forgotten.
func endExpired(tx *db.Tx) (int64, error) {
	return tx.Exec(`UPDATE invitations SET state = 'expired', address = '', display_name = '', key = $3, ended_at = $2
		WHERE realm = $1 AND state = 'open' AND expires_at <= $4`, tx.Realm, db.At(tx.Now), []byte{}, db.At(tx.Now.Add(-expiredShown)))
}

func sweepInvitations(tx *db.Tx) (int64, error) {
	return tx.Exec(`DELETE FROM invitations WHERE realm = $1 AND id IN (SELECT id FROM invitations
		WHERE realm = $1 AND ended_at > 0 AND ended_at < $2 ORDER BY ended_at LIMIT 1000)`, tx.Realm, db.At(tx.Now.Add(-invitationKept)))
}

// departure is somebody who asked that their account be deleted.
type departure struct {
	person string
	due    time.Time
}

func scanDeparture(r db.Row) (d departure, err error) {
	var due db.Time
	err = r.Scan(&d.person, &due)
	d.due = due.Time
	return d, err
}

func departureOf(tx *db.Tx, person string) (due time.Time, err error) {
	return askDeparture(tx, person)()
}

func askDeparture(tx *db.Tx, person string) func() (due time.Time, err error) {
	answer := db.Ask(tx, scanDeparture, `SELECT principal, due_at FROM departures WHERE realm = $1 AND principal = $2`, tx.Realm, person)
	return func() (time.Time, error) {
		d, err := answer.One()
		if db.Missing(err) {
			return time.Time{}, nil
		}
		return d.due, err
	}
}

func insertDeparture(tx *db.Tx, person string, due time.Time) error {
	_, err := tx.Exec(`INSERT INTO departures (realm, principal, asked_at, due_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		tx.Realm, person, db.At(tx.Now), db.At(due))
	return err
}

func deleteDeparture(tx *db.Tx, person string) (int64, error) {
	return tx.Exec(`DELETE FROM departures WHERE realm = $1 AND principal = $2`, tx.Realm, person)
}

func dueDepartures(tx *db.Tx, most int) ([]departure, error) {
	return db.All(tx, scanDeparture, `SELECT principal, due_at FROM departures WHERE realm = $1 AND due_at <= $2 ORDER BY due_at LIMIT $3`,
		tx.Realm, db.At(tx.Now), most)
}
