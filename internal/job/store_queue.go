package job

import (
	"fmt"
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

const jobColumns = `realm, id, kind, target, subject, state, due_at, attempts, attempts_left, holder, last_error, created_at, ended_at`

func scanJob(r db.Row) (*Job, error) {
	j, dest := reading()
	return j.done(r.Scan(dest...))
}

func scanClaimed(r db.Row) (*Job, error) {
	j, dest := reading()
	return j.done(r.Scan(append(dest, &j.job.sealed)...))
}

// jobRow is a job while it is read.
type jobRow struct {
	job                 Job
	due, created, ended db.Time
}

func reading() (*jobRow, []any) {
	r := new(jobRow)
	j := &r.job
	return r, []any{&j.Realm, &j.ID, &j.Kind, &j.Target, &j.Subject, &j.State, &r.due, &j.Attempts, &j.Left, &j.Holder, &j.LastError, &r.created, &r.ended}
}

func (r *jobRow) done(err error) (*Job, error) {
	r.job.Due, r.job.Created, r.job.Ended = r.due.Time, r.created.Time, r.ended.Time
	return &r.job, err
}

// insert reports whether there was no job with the key.
func insert(tx *db.Tx, j *Job, key string) (bool, error) {
	n, err := tx.Exec(`INSERT INTO jobs (realm, id, kind, once_key, target, subject, payload, state, due_at, attempts, attempts_left, holder, last_error, created_at, ended_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting', $8, 0, $9, '', '', $10, 0) ON CONFLICT (realm, kind, once_key) DO NOTHING`,
		tx.Realm, j.ID, j.Kind, key, j.Target, j.Subject, j.sealed, db.At(j.Due), j.Left, db.At(j.Created))
	return n == 1, err
}

// dueLanes lists lanes in which a job is due: up to perRealm of each realm, the
// realms taking turns, and up to most of all.
func dueLanes(tx *db.Tx, perRealm, most int) ([]lane, error) {
	return db.All(tx, func(r db.Row) (l lane, err error) { return l, r.Scan(&l.realm, &l.target) },
		`WITH due AS MATERIALIZED (SELECT realm, target, due_at FROM jobs WHERE state = 'waiting' AND due_at <= $1)
		SELECT realm, target FROM (
			SELECT realm, target, min(due_at) AS due, row_number() OVER (PARTITION BY realm ORDER BY min(due_at), target) AS turn
			FROM due GROUP BY realm, target) AS lanes
		WHERE turn <= $2 ORDER BY turn, due, realm LIMIT $3`, db.At(tx.Now), perRealm, most)
}

// claimDue takes jobs of a lane that are due. Of nodes that find the same, one
// has it: the others look at the condition again when they get the row.
func claimDue(tx *db.Tx, target, node string, until time.Time, most int) ([]*Job, error) {
	return db.All(tx, scanClaimed, `UPDATE jobs SET holder = $1, due_at = $2, attempts = attempts + 1, attempts_left = attempts_left - 1
		WHERE state = 'waiting' AND due_at <= $4 AND (realm, id) IN
			(SELECT realm, id FROM jobs WHERE realm = $3 AND target = $5 AND state = 'waiting' AND due_at <= $4 ORDER BY due_at, id LIMIT $6)
		RETURNING `+jobColumns+`, payload`, node, db.At(until), tx.Realm, db.At(tx.Now), target, most)
}

// The statements below end an attempt, if it is still this node's. Attempts are
// counted up for ever, so no two have the same number.
const mine = ` WHERE realm = $1 AND id = $2 AND holder = $3 AND attempts = $4 AND state = 'waiting'`

// settle ends a job and forgets what was in it.
func settle(tx *db.Tx, j *Job, s State) (bool, error) {
	n, err := tx.Exec(`UPDATE jobs SET state = $5, ended_at = $6, holder = '', last_error = '', payload = $7`+mine,
		j.Realm, j.ID, j.Holder, j.Attempts, string(s), db.At(tx.Now), []byte{})
	return n == 1, err
}

// bury ends a job that an operator may revive.
func bury(tx *db.Tx, j *Job, said string) (bool, error) {
	n, err := tx.Exec(`UPDATE jobs SET state = 'dead', ended_at = $5, holder = '', last_error = $6`+mine,
		j.Realm, j.ID, j.Holder, j.Attempts, db.At(tx.Now), said)
	return n == 1, err
}

func postpone(tx *db.Tx, j *Job, due time.Time, said string) (bool, error) {
	n, err := tx.Exec(`UPDATE jobs SET due_at = $5, holder = '', last_error = $6`+mine, j.Realm, j.ID, j.Holder, j.Attempts, db.At(due), said)
	return n == 1, err
}

// handBack ends an attempt that was none.
func handBack(tx *db.Tx, j *Job, due time.Time) (bool, error) {
	n, err := tx.Exec(`UPDATE jobs SET due_at = $5, holder = '', attempts_left = attempts_left + 1`+mine, j.Realm, j.ID, j.Holder, j.Attempts, db.At(due))
	return n == 1, err
}

// revive has a job done again now.
func revive(tx *db.Tx, id string, left int) (*Job, error) {
	return db.One(tx, scanJob, `UPDATE jobs SET state = 'waiting', due_at = $3, holder = '', ended_at = 0, attempts_left = $4
		WHERE realm = $1 AND id = $2 RETURNING `+jobColumns, tx.Realm, id, db.At(tx.Now), left)
}

func discard(tx *db.Tx, id string) (*Job, error) {
	return db.One(tx, scanJob, `UPDATE jobs SET state = 'discarded', ended_at = $3, holder = '', payload = $4
		WHERE realm = $1 AND id = $2 RETURNING `+jobColumns, tx.Realm, id, db.At(tx.Now), []byte{})
}

func byID(tx *db.Tx, id string) (*Job, error) {
	j, err := db.One(tx, scanJob, `SELECT `+jobColumns+` FROM jobs WHERE realm = $1 AND id = $2`, tx.Realm, id)
	if db.Missing(err) {
		return nil, unknown(id)
	}
	return j, err
}

// list reads jobs from the newest to the oldest.
func list(tx *db.Tx, f Filter, before string, limit int) ([]*Job, error) {
	query, args := `SELECT `+jobColumns+` FROM jobs WHERE realm = $1`, []any{tx.Realm, limit}
	if before != "" {
		args = append(args, before)
		query += ` AND id < $3`
	}
	if f.State != "" && f.State != Done {
		query += ` AND state <> 'done'` // as the index has it
	}
	for _, c := range []struct{ column, value string }{{"state", string(f.State)}, {"kind", f.Kind}, {"target", f.Target}, {"subject", f.Subject}} {
		if c.value != "" {
			args = append(args, c.value)
			query += fmt.Sprintf(` AND %s = $%d`, c.column, len(args))
		}
	}
	return db.All(tx, scanJob, query+` ORDER BY id DESC LIMIT $2`, args...)
}

func depth(tx *db.Tx) (waiting, dead int, err error) {
	const count = `SELECT count(*) FROM jobs WHERE realm <> '' AND state = `
	if waiting, err = db.One(tx, db.Scalar[int], count+`'waiting'`); err != nil {
		return 0, 0, err
	}
	dead, err = db.One(tx, db.Scalar[int], count+`'dead'`)
	return waiting, dead, err
}

// sweep deletes up to limit jobs that ended before an instant, or were given up
// before another.
func sweep(tx *db.Tx, done, dead time.Time, limit int) (int64, error) {
	return tx.Exec(`DELETE FROM jobs WHERE realm = $1 AND id IN (SELECT id FROM jobs WHERE realm = $1 AND state <> 'waiting'
		AND ended_at < $2 AND (state <> 'dead' OR ended_at < $3) ORDER BY ended_at LIMIT $4)`, tx.Realm, db.At(done), db.At(dead), limit)
}
