package risk

import (
	"encoding/json"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/credential"
)

// decoded scans a row of one column with JSON.
func decoded[T any](r db.Row) (*T, error) {
	var text string
	if err := r.Scan(&text); err != nil {
		return nil, err
	}
	v := new(T)
	return v, json.Unmarshal([]byte(text), v)
}

func orNew[T any](v *T, err error) (*T, error) {
	if db.Missing(err) {
		return new(T), nil
	}
	return v, err
}

// askPerson asks for what is remembered of a person, and of their browsers.
func askPerson(tx *db.Tx, principal string) func() (*person, error) {
	answer := db.Ask(tx, decoded[person], `SELECT memory FROM risk_people WHERE realm = $1 AND principal = $2`, tx.Realm, principal)
	habits := credential.AskHabits(tx, principal)
	return func() (*person, error) {
		p, err := orNew(answer.One())
		if err != nil {
			return nil, err
		}
		return withHabits(p, habits)
	}
}

func withHabits(p *person, habits func() ([]string, error)) (*person, error) {
	all, err := habits()
	for _, text := range all {
		if h, ok := parseHabit(text); ok {
			p.fold(h)
		}
	}
	return p, err
}

// gather has the memory of a person hold what that of their browsers does, before
// those are forgotten.
func gather(tx *db.Tx, principal string) error {
	p, err := askPerson(tx, principal)()
	if err != nil || p.blank() {
		return err
	}
	p.bound(tx.Now)
	return writePersonAt(tx, principal, p, time.UnixMilli(p.Last))
}

// How exactly it is noted when a memory was written last. By that column the sweep
// finds what is old, through an index that PostgreSQL needs not touch as long as
// the value stays.
const (
	personExact = 24 * time.Hour
	sourceExact = 10 * time.Minute
)

// lastAt is now, rounded up, so that nothing is swept early.
func lastAt(now time.Time, exact time.Duration) db.Time { return db.At(now.Truncate(exact).Add(exact)) }

// lockPerson makes the row if need be and keeps others from it until the commit.
func lockPerson(tx *db.Tx, principal string) (*person, error) {
	return db.One(tx, decoded[person], `INSERT INTO risk_people (realm, principal, memory, last_at) VALUES ($1, $2, '{}', $3)
		ON CONFLICT (realm, principal) DO UPDATE SET last_at = excluded.last_at RETURNING memory`, tx.Realm, principal, lastAt(tx.Now, personExact))
}

func writePerson(tx *db.Tx, principal string, p *person) error {
	return writePersonAt(tx, principal, p, tx.Now)
}

func writePersonAt(tx *db.Tx, principal string, p *person, at time.Time) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return tx.Later(`INSERT INTO risk_people (realm, principal, memory, last_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (realm, principal) DO UPDATE SET memory = excluded.memory, last_at = excluded.last_at`, tx.Realm, principal, string(text), lastAt(at, personExact))
}

func forgetPerson(tx *db.Tx, principal string) error {
	_, err := tx.Exec(`DELETE FROM risk_people WHERE realm = $1 AND principal = $2`, tx.Realm, principal)
	return err
}

func lockSource(tx *db.Tx, network string) (*source, error) {
	return db.One(tx, decoded[source], `INSERT INTO risk_sources (realm, network, memory, last_at) VALUES ($1, $2, '{}', $3)
		ON CONFLICT (realm, network) DO UPDATE SET last_at = excluded.last_at RETURNING memory`, tx.Realm, network, lastAt(tx.Now, sourceExact))
}

func writeSource(tx *db.Tx, network string, s *source) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE risk_sources SET memory = $3 WHERE realm = $1 AND network = $2`, tx.Realm, network, string(text))
	return err
}

func lockEcho(tx *db.Tx, day string, bucket int) (*echo, error) {
	return db.One(tx, decoded[echo], `INSERT INTO risk_echoes (realm, day, echo, memory, accounts) VALUES ($1, $2, $3, '{}', 0)
		ON CONFLICT (realm, day, echo) DO UPDATE SET day = excluded.day RETURNING memory`, tx.Realm, day, bucket)
}

func writeEcho(tx *db.Tx, day string, bucket int, e *echo) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE risk_echoes SET memory = $4, accounts = $5 WHERE realm = $1 AND day = $2 AND echo = $3`, tx.Realm, day, bucket, string(text), e.accounts())
	return err
}

// triedOn counts the accounts of all echoes of a day.
func triedOn(tx *db.Tx, day string) (int64, error) {
	return db.One(tx, db.Scalar[int64], `SELECT CAST(COALESCE(SUM(accounts), 0) AS BIGINT) FROM risk_echoes WHERE realm = $1 AND day = $2`, tx.Realm, day)
}

// hold is what an action holds against a subject.
type hold struct {
	subject, detector string
	action            Action
	incident          string
	until             time.Time
}

func scanHold(r db.Row) (h hold, err error) {
	var action int64
	var until db.Time
	err = r.Scan(&h.subject, &h.detector, &action, &h.incident, &until)
	h.action, h.until = Action(action), until.Time
	return h, err
}

// holdsOn reads what holds now against a person and a network.
func holdsOn(tx *db.Tx, principal, network string) func() ([]hold, error) {
	return db.AskAll(tx, scanHold, `SELECT subject, detector, action, incident, until_at FROM risk_holds
		WHERE realm = $1 AND subject IN ($2, $3) AND subject <> '' AND until_at > $4 ORDER BY subject, detector`, tx.Realm, principal, network, db.At(tx.Now))
}

func holds(tx *db.Tx, principal string) (bool, error) {
	return db.One(tx, db.Scalar[bool], `SELECT EXISTS (SELECT 1 FROM risk_holds WHERE realm = $1 AND subject = $2)`, tx.Realm, principal)
}

// askHeld asks in one question for what holds now against a person and a network,
// and for what is remembered of the person, which comes as if it were held against
// nobody.
func askHeld(tx *db.Tx, principal, network string) func() (holds []hold, memory string, err error) {
	answer := db.AskAll(tx, scanHold, `SELECT subject, detector, action, incident, until_at FROM risk_holds
			WHERE realm = $1 AND subject IN ($2, $3) AND subject <> '' AND until_at > $4
		UNION ALL SELECT '', memory, 0, '', 0 FROM risk_people WHERE realm = $1 AND principal = $2 ORDER BY 1, 2`, tx.Realm, principal, network, db.At(tx.Now))
	return func() ([]hold, string, error) {
		holds, err := answer()
		if err != nil || len(holds) == 0 || holds[0].subject != "" {
			return holds, "{}", err
		}
		return holds[1:], holds[0].detector, nil
	}
}

// putHold holds for at least as long and as hard as before.
func putHold(tx *db.Tx, h hold) error {
	_, err := tx.Exec(`INSERT INTO risk_holds (realm, subject, detector, action, incident, since_at, until_at, next_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 0)
		ON CONFLICT (realm, subject, detector) DO UPDATE SET
			action = CASE WHEN risk_holds.until_at > excluded.since_at AND risk_holds.action > excluded.action THEN risk_holds.action ELSE excluded.action END,
			incident = CASE WHEN excluded.incident = '' THEN risk_holds.incident ELSE excluded.incident END,
			until_at = CASE WHEN risk_holds.until_at > excluded.until_at THEN risk_holds.until_at ELSE excluded.until_at END`,
		tx.Realm, h.subject, h.detector, int64(h.action), h.incident, db.At(tx.Now), db.At(h.until))
	return err
}

// takeTurn reports whether a try at a slowed subject may be made now, and if so
// takes it: of any number of tries at once one is let through.
func takeTurn(tx *db.Tx, subject, detector string, every time.Duration) (bool, error) {
	n, err := tx.Exec(`UPDATE risk_holds SET next_at = $4 WHERE realm = $1 AND subject = $2 AND detector = $3 AND next_at <= $5`,
		tx.Realm, subject, detector, db.At(tx.Now.Add(every)), db.At(tx.Now))
	return n > 0, err
}

func releaseSubject(tx *db.Tx, subject string) error {
	return tx.Later(`DELETE FROM risk_holds WHERE realm = $1 AND subject = $2`, tx.Realm, subject)
}

func releaseIncident(tx *db.Tx, incident string) (int64, error) {
	return tx.Exec(`DELETE FROM risk_holds WHERE realm = $1 AND incident = $2 AND incident <> ''`, tx.Realm, incident)
}

// sweep deletes what no detector looks at any more.
func sweep(tx *db.Tx, limit int) (n int64, err error) {
	for _, s := range []struct {
		text   string
		before any
	}{
		{`DELETE FROM risk_sources WHERE realm = $1 AND network IN (SELECT network FROM risk_sources WHERE realm = $1 AND last_at < $2 ORDER BY last_at LIMIT $3)`, db.At(tx.Now.Add(-triesFor))},
		{`DELETE FROM risk_echoes WHERE realm = $1 AND day < $2 AND $3 > 0`, day(tx.Now.Add(-echoFor))},
		{`DELETE FROM risk_holds WHERE realm = $1 AND until_at < $2 AND $3 > 0`, db.At(tx.Now)},
		{`DELETE FROM incidents WHERE realm = $1 AND id IN (SELECT id FROM incidents WHERE realm = $1 AND state = 'closed' AND closed_at < $2 ORDER BY closed_at LIMIT $3)`, db.At(tx.Now.Add(-incidentKept))},
	} {
		some, err := tx.Exec(s.text, tx.Realm, s.before, limit)
		if err != nil {
			return n, err
		}
		n += some
	}
	some, err := sweepPeople(tx, tx.Now.Add(-rememberFor), limit)
	return n + some, err
}

// sweepPeople looks at those whose memory has not been written for long. What their
// browsers did since is written down; of who has not come by any, nothing is kept.
func sweepPeople(tx *db.Tx, before time.Time, limit int) (int64, error) {
	ids, err := db.All(tx, db.Scalar[string], `SELECT principal FROM risk_people WHERE realm = $1 AND last_at < $2 ORDER BY last_at LIMIT $3`, tx.Realm, db.At(before), limit)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		p, err := askPerson(tx, id)()
		if err != nil {
			return 0, err
		}
		if p.Last >= before.UnixMilli() {
			err = gather(tx, id)
		} else if err = forgetPerson(tx, id); err == nil {
			err = credential.ForgetHabitsTx(tx, id)
		}
		if err != nil {
			return 0, err
		}
	}
	return int64(len(ids)), nil
}
