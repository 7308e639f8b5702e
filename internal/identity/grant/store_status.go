package grant

import (
	"encoding/json"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/statuslist"
)

// The states of a status list.
const (
	listOpen    = "open"    // gives out indexes
	listClosed  = "closed"  // all given out; tokens with them may live
	listRetired = "retired" // the last token with one of them has expired
)

// listRow is a status list as stored.
type listRow struct {
	id     string
	epoch  int64
	size   int64
	step   int64 // how many indexes a node takes at a time
	next   int64 // first counter not yet taken
	state  string
	closed time.Time
}

const listColumns = `id, epoch, size, step, next, state, closed_at`

func scanList(r db.Row) (l listRow, err error) {
	var closed db.Time
	err = r.Scan(&l.id, &l.epoch, &l.size, &l.step, &l.next, &l.state, &closed)
	l.closed = closed.Time
	return l, err
}

// takeBlock moves the counter of the open list by one step and returns the row
// as it is afterwards. This statement alone decides who owns an index.
func takeBlock(tx *db.Tx, p Purpose, epoch int64) (listRow, error) {
	return db.One(tx, scanList, `UPDATE status_lists SET next = next + step
		WHERE realm = $1 AND purpose = $2 AND state = 'open' AND epoch = $3 AND next < size RETURNING `+listColumns,
		tx.Realm, string(p), epoch)
}

// closeList closes the open list if it is exhausted or of an earlier epoch, and
// returns its row.
func closeList(tx *db.Tx, p Purpose, epoch int64) (listRow, error) {
	return db.One(tx, scanList, `UPDATE status_lists SET state = 'closed', closed_at = $4
		WHERE realm = $1 AND purpose = $2 AND state = 'open' AND (epoch < $3 OR next >= size) RETURNING `+listColumns,
		tx.Realm, string(p), epoch, db.At(tx.Now))
}

func countLists(tx *db.Tx, p Purpose) (int64, error) {
	return db.One(tx, db.Scalar[int64], `SELECT COUNT(*) FROM status_lists WHERE realm = $1 AND purpose = $2`, tx.Realm, string(p))
}

// insertList reports whether the list was opened: there is one open list of a purpose.
func insertList(tx *db.Tx, p Purpose, l listRow) (bool, error) {
	n, err := tx.Exec(`INSERT INTO status_lists (realm, id, purpose, epoch, size, step, next, state, opened_at, closed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', $8, 0) ON CONFLICT DO NOTHING`,
		tx.Realm, l.id, string(p), l.epoch, l.size, l.step, l.next, db.At(tx.Now))
	return n == 1, err
}

// lists are those of a realm that are not retired.
func lists(tx *db.Tx) ([]listRow, error) {
	return db.All(tx, scanList, `SELECT `+listColumns+` FROM status_lists WHERE realm = $1 AND state <> 'retired' ORDER BY id`, tx.Realm)
}

// retireLists retires the lists that closed before the given time.
func retireLists(tx *db.Tx, before time.Time) ([]string, error) {
	return db.All(tx, db.Scalar[string], `UPDATE status_lists SET state = 'retired'
		WHERE realm = $1 AND state = 'closed' AND closed_at < $2 RETURNING id`, tx.Realm, db.At(before))
}

func deletePages(tx *db.Tx, list string) error {
	_, err := tx.Exec(`DELETE FROM status_pages WHERE realm = $1 AND list = $2`, tx.Realm, list)
	return err
}

type pageRow struct {
	list string
	page int
	bits []byte
}

func pages(tx *db.Tx) ([]pageRow, error) {
	return db.All(tx, func(r db.Row) (p pageRow, err error) {
		var n int64
		err = r.Scan(&p.list, &n, &p.bits)
		p.page = int(n)
		return p, err
	}, `SELECT list, page, bits FROM status_pages WHERE realm = $1`, tx.Realm)
}

func savePage(tx *db.Tx, p pageRow) error {
	_, err := tx.Exec(`INSERT INTO status_pages (realm, list, page, bits) VALUES ($1, $2, $3, $4)
		ON CONFLICT (realm, list, page) DO UPDATE SET bits = excluded.bits`, tx.Realm, p.list, int64(p.page), p.bits)
	return err
}

// checkpoint is the position up to which the stored pages and cut-offs tell
// the whole truth.
type checkpoint struct {
	position audit.Position
	cutoffs  []cutoff
}

// cutoff is a cut-off with the time from which no token can fall under it,
// whatever the realm's settings: MaxTokenLife after it was made.
type cutoff struct {
	statuslist.Cutoff
	Until time.Time `json:"until"`
	Alone bool      `json:"alone,omitempty"` // what the principal owns is not meant
}

// ends returns from when no token can fall under the cut-off; r may be nil. What a
// stolen key signed claims any times, so a key's cut-off stays as long as any.
func (c cutoff) ends(r *realm.Realm) time.Time {
	if r == nil || c.Kind == statuslist.CutKey {
		return c.Until
	}
	return lastToken(r, c.Until.Add(-MaxTokenLife))
}

// key is what a cut-off is found by. A realm has one issuer, by whatever name.
func (c cutoff) key() cut {
	switch {
	case c.Kind == statuslist.CutIssuer:
		return cut{c.Kind, ""}
	case c.Kind == statuslist.CutPrincipal && c.Alone:
		return cut{cutAlone, c.ID}
	}
	return cut{c.Kind, c.ID}
}

func loadCheckpoint(tx *db.Tx) (checkpoint, error) {
	return db.One(tx, func(r db.Row) (c checkpoint, err error) {
		var text string
		if err = r.Scan(&c.position.Epoch, &c.position.Seq, &text); err != nil {
			return c, err
		}
		return c, json.Unmarshal([]byte(text), &c.cutoffs)
	}, `SELECT epoch, seq, cutoffs FROM status_checkpoints WHERE realm = $1`, tx.Realm)
}

// startCheckpoint notes, when a realm's first list opens, that before it there
// was nothing to know.
func startCheckpoint(tx *db.Tx, p audit.Position) error {
	_, err := tx.Exec(`INSERT INTO status_checkpoints (realm, epoch, seq, cutoffs) VALUES ($1, $2, $3, '[]') ON CONFLICT DO NOTHING`,
		tx.Realm, p.Epoch, p.Seq)
	return err
}

// advanceCheckpoint reports whether p is news. If not, another node has written
// at least as much, and the pages must be left alone.
func advanceCheckpoint(tx *db.Tx, c checkpoint) (bool, error) {
	text, err := json.Marshal(c.cutoffs)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(`UPDATE status_checkpoints SET epoch = $2, seq = $3, cutoffs = $4
		WHERE realm = $1 AND (epoch < $2 OR epoch = $2 AND seq < $3)`, tx.Realm, c.position.Epoch, c.position.Seq, string(text))
	return n == 1, err
}

// insertDeadToken reports whether the token was not dead before.
func insertDeadToken(tx *db.Tx, jti, client string, expires time.Time) (bool, error) {
	n, err := tx.Exec(`INSERT INTO dead_tokens (realm, jti, client, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		tx.Realm, jti, client, db.At(expires))
	return n == 1, err
}

func countDeadTokens(tx *db.Tx, client string) (int64, error) {
	return db.One(tx, db.Scalar[int64], `SELECT COUNT(*) FROM dead_tokens WHERE realm = $1 AND client = $2 AND expires_at > $3`,
		tx.Realm, client, db.At(tx.Now))
}

func deadTokens(tx *db.Tx) ([]statuslist.DeadToken, error) {
	return db.All(tx, func(r db.Row) (d statuslist.DeadToken, err error) {
		var expires db.Time
		err = r.Scan(&d.JTI, &expires)
		d.Exp = expires.Unix()
		return d, err
	}, `SELECT jti, expires_at FROM dead_tokens WHERE realm = $1 AND expires_at > $2`, tx.Realm, db.At(tx.Now))
}

func sweepDeadTokens(tx *db.Tx, most int) (int64, error) {
	return tx.Exec(`DELETE FROM dead_tokens WHERE realm = $1 AND jti IN
		(SELECT jti FROM dead_tokens WHERE realm = $1 AND expires_at < $2 ORDER BY expires_at LIMIT $3)`, tx.Realm, db.At(tx.Now), most)
}
