package audit

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/id"
)

func loadHead(tx *db.Tx, realm string) (head, error) {
	return db.One(tx, func(r db.Row) (h head, err error) {
		var began db.Time
		err = r.Scan(&h.Epoch, &h.Seq, &h.chain, &began)
		h.began = began.Time
		return h, err
	}, `SELECT epoch, seq, chain, began_at FROM log_heads WHERE realm = $1`, realm)
}

// moveHead is the compare-and-set by which one sequencer wins.
func moveHead(tx *db.Tx, from, to head) (bool, error) {
	n, err := tx.Exec(`UPDATE log_heads SET epoch = $1, seq = $2, chain = $3, began_at = $6 WHERE realm = '' AND epoch = $4 AND seq = $5`,
		to.Epoch, to.Seq, to.chain, from.Epoch, from.Seq, db.At(to.began))
	return n == 1, err
}

// insertEvent draws the event's order key as it inserts. Keys only order what is
// still to be placed, so on SQLite, with its one writer, counting on is enough.
func insertEvent(tx *db.Tx, r *Record, text string) error {
	query := `INSERT INTO event_queue (order_key, realm, id, at, action, actor, target, body)
		VALUES ((SELECT COALESCE(MAX(order_key), 0) + 1 FROM event_queue), $1, $2, $3, $4, $5, $6, $7)`
	if tx.Engine() == db.Postgres {
		query = `INSERT INTO event_queue (order_key, realm, id, at, action, actor, target, body) VALUES (nextval('event_order'), $1, $2, $3, $4, $5, $6, $7)`
	}
	return tx.Later(query, r.Realm, r.ID, db.At(r.At), r.Action, r.Actor.ID, r.Target, text)
}

// insertPlaced writes an event whose place is known already.
func insertPlaced(tx *db.Tx, r *Record, text string) error {
	return tx.Later(`INSERT INTO events (realm, id, at, action, actor, target, body, epoch, position, leaf) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		r.Realm, r.ID, db.At(r.At), r.Action, r.Actor.ID, r.Target, text, r.Position.Epoch, r.Position.Seq, r.Leaf)
}

// waiting is an event that is still to be placed.
type waiting struct {
	key         int64
	realm, body string
	position    Position
	leaf        int64
}

func anyPending(tx *db.Tx) (bool, error) {
	return db.One(tx, db.Scalar[bool], `SELECT EXISTS (SELECT realm FROM event_queue)`)
}

func pending(tx *db.Tx, limit int) ([]waiting, error) {
	return db.All(tx, func(r db.Row) (w waiting, err error) { return w, r.Scan(&w.key, &w.realm, &w.body) },
		`SELECT order_key, realm, body FROM event_queue ORDER BY order_key LIMIT $1`, limit)
}

// place moves a batch to its positions: in one statement on PostgreSQL, where a
// round trip is dear, in two for each event on SQLite, where it is a call.
func place(tx *db.Tx, events []waiting) error {
	if tx.Engine() == db.Postgres {
		keys, seqs, leaves := make([]int64, len(events)), make([]int64, len(events)), make([]int64, len(events))
		for i, e := range events {
			keys[i], seqs[i], leaves[i] = e.key, e.position.Seq, e.leaf
		}
		return tx.Later(`WITH taken AS (DELETE FROM event_queue WHERE order_key = ANY($2::bigint[]) RETURNING order_key, realm, id, at, action, actor, target, body)
			INSERT INTO events (realm, id, at, action, actor, target, body, epoch, position, leaf)
			SELECT t.realm, t.id, t.at, t.action, t.actor, t.target, t.body, $1, v.position, v.leaf
			FROM taken t JOIN unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS v(order_key, position, leaf) ON v.order_key = t.order_key`,
			events[0].position.Epoch, keys, seqs, leaves)
	}
	for _, e := range events {
		if err := tx.Later(`INSERT INTO events (realm, id, at, action, actor, target, body, epoch, position, leaf)
			SELECT realm, id, at, action, actor, target, body, $1, $2, $3 FROM event_queue WHERE realm = $4 AND order_key = $5`,
			e.position.Epoch, e.position.Seq, e.leaf, e.realm, e.key); err != nil {
			return err
		}
		if err := tx.Later(`DELETE FROM event_queue WHERE realm = $1 AND order_key = $2`, e.realm, e.key); err != nil {
			return err
		}
	}
	return nil
}

// stored is a sequenced event as read back.
type stored struct {
	position Position
	leaf     int64
	body     string
}

func scanStored(r db.Row) (s stored, err error) {
	return s, r.Scan(&s.position.Epoch, &s.position.Seq, &s.leaf, &s.body)
}

func recordsAfter(tx *db.Tx, p Position, limit int) ([]stored, error) {
	return db.All(tx, scanStored, `SELECT epoch, position, leaf, body FROM events -- of every realm
		WHERE epoch = $1 AND position > $2 ORDER BY position LIMIT $3`, p.Epoch, p.Seq, limit)
}

func realmRecordsAfter(tx *db.Tx, realm string, leaf int64, limit int) ([]stored, error) {
	return db.All(tx, scanStored, `SELECT epoch, position, leaf, body FROM events
		WHERE realm = $1 AND leaf > $2 ORDER BY leaf LIMIT $3`, realm, leaf, limit)
}

// deathsAfter reads, of a realm's events after one position and up to another, those
// that say who is dead. The last condition is that of the index, word for word.
func deathsAfter(tx *db.Tx, realm string, after, upTo Position, limit int) ([]stored, error) {
	return db.All(tx, scanStored, `SELECT epoch, position, leaf, body FROM events
		WHERE realm = $1 AND (epoch, position) > ($2, $3) AND (epoch, position) <= ($4, $5)
		AND (body LIKE '%"deaths":%' OR body LIKE '%"cut":%' OR body LIKE '%"jti":%' OR action LIKE 'status_list.%')
		ORDER BY epoch, position LIMIT $6`, realm, after.Epoch, after.Seq, upTo.Epoch, upTo.Seq, limit)
}

// countDeaths counts those after a position, up to most.
func countDeaths(tx *db.Tx, after Position, most int) (int, error) {
	return db.One(tx, db.Scalar[int], `SELECT COUNT(*) FROM (SELECT position FROM events
		WHERE realm = $1 AND (epoch, position) > ($2, $3)
		AND (body LIKE '%"deaths":%' OR body LIKE '%"cut":%' OR body LIKE '%"jti":%' OR action LIKE 'status_list.%')
		ORDER BY epoch, position LIMIT $4) AS deaths`, tx.Realm, after.Epoch, after.Seq, most)
}

// realmsOf lists the realms of the last events of all.
func realmsOf(tx *db.Tx, last int) ([]string, error) {
	return db.All(tx, db.Scalar[string], `SELECT DISTINCT realm FROM (SELECT realm FROM events ORDER BY epoch DESC, position DESC LIMIT $1) AS lately ORDER BY realm`, last)
}

// leafUpTo finds the last leaf of a realm at or before a position, or -1. The leaves
// of a realm are counted without gaps and in the order of positions, so it halves
// what is left to look at; a leaf that is there no more was before everything.
func leafUpTo(tx *db.Tx, realm string, p Position) (int64, error) {
	leaf, err := db.One(tx, db.Scalar[int64], `WITH RECURSIVE search(low, high) AS (
		SELECT CAST(-1 AS BIGINT), seq - 1 FROM log_heads WHERE realm = $1
		UNION ALL
		SELECT CASE WHEN e.leaf IS NULL OR e.epoch < $2 OR e.epoch = $2 AND e.position <= $3 THEN (low + high + 1) / 2 ELSE low END,
			CASE WHEN e.leaf IS NULL OR e.epoch < $2 OR e.epoch = $2 AND e.position <= $3 THEN high ELSE (low + high + 1) / 2 - 1 END
		FROM search LEFT JOIN events e ON e.realm = $1 AND e.leaf = (low + high + 1) / 2 WHERE low < high)
		SELECT low FROM search WHERE low >= high`, realm, p.Epoch, p.Seq)
	if db.Missing(err) {
		return -1, nil // nothing ever happened in it
	}
	return leaf, err
}

func loadTree(tx *db.Tx, realm string) (*tree, error) {
	t, err := db.One(tx, func(r db.Row) (*tree, error) {
		var frontier []byte
		t := &tree{realm: realm}
		err := r.Scan(&t.size, &frontier)
		for ; len(frontier) >= len(tlog.Hash{}); frontier = frontier[len(tlog.Hash{}):] {
			t.frontier = append(t.frontier, tlog.Hash(frontier))
		}
		return t, err
	}, `SELECT seq, frontier FROM log_heads WHERE realm = $1`, realm)
	if db.Missing(err) {
		return &tree{realm: realm}, nil
	}
	return t, err
}

func saveTree(tx *db.Tx, t *tree) error {
	var frontier []byte
	for _, h := range t.frontier {
		frontier = append(frontier, h[:]...)
	}
	return tx.Later(`INSERT INTO log_heads (realm, epoch, seq, chain, frontier) VALUES ($1, 0, $2, $3, $4)
		ON CONFLICT (realm) DO UPDATE SET seq = $2, frontier = $4`, t.realm, t.size, []byte{}, frontier)
}

// leafBodies reads the bodies of leaves [from, to) of a realm.
func leafBodies(tx *db.Tx, realm string, from, to int64) ([]string, error) {
	return db.All(tx, db.Scalar[string], `SELECT body FROM events WHERE realm = $1 AND leaf >= $2 AND leaf < $3 ORDER BY leaf`, realm, from, to)
}

func insertTile(tx *db.Tx, realm string, level, n int64, hashes []byte) error {
	_, err := tx.Exec(`INSERT INTO log_tiles (realm, level, n, hashes) VALUES ($1, $2, $3, $4) ON CONFLICT (realm, level, n) DO NOTHING`, realm, level, n, hashes)
	return err
}

func tile(tx *db.Tx, realm string, level, n int64) ([]byte, error) {
	return db.One(tx, db.Scalar[[]byte], `SELECT hashes FROM log_tiles WHERE realm = $1 AND level = $2 AND n = $3`, realm, level, n)
}

func insertCheckpoint(tx *db.Tx, realm string, c Checkpoint) error {
	_, err := tx.Exec(`INSERT INTO log_checkpoints (realm, size, at, root, note) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (realm, size) DO NOTHING`,
		realm, c.Size, db.At(c.At), c.Root[:], c.Note)
	return err
}

func checkpoints(tx *db.Tx, realm string, after int64, limit int) ([]Checkpoint, error) {
	return db.All(tx, scanCheckpoint, `SELECT size, at, root, note FROM log_checkpoints WHERE realm = $1 AND size > $2 ORDER BY size LIMIT $3`, realm, after, limit)
}

func checkpointAt(tx *db.Tx, realm string, size int64) (Checkpoint, error) {
	return db.One(tx, scanCheckpoint, `SELECT size, at, root, note FROM log_checkpoints WHERE realm = $1 AND size = $2`, realm, size)
}

func scanCheckpoint(r db.Row) (c Checkpoint, err error) {
	var at db.Time
	var root []byte
	if err = r.Scan(&c.Size, &at, &root, &c.Note); err == nil {
		c.At = at.Time
		copy(c.Root[:], root)
	}
	return c, err
}

// row is an event with the columns that repeat parts of its body.
type row struct {
	stored
	id, action, actor, target string
	at                        db.Time
}

func scanRow(r db.Row) (s row, err error) {
	return s, r.Scan(&s.id, &s.at, &s.action, &s.actor, &s.target, &s.body, &s.position.Epoch, &s.position.Seq, &s.leaf)
}

const rowColumns = `id, at, action, actor, target, body, epoch, position, leaf`

func leafRows(tx *db.Tx, realm string, from int64, limit int) ([]row, error) {
	return db.All(tx, scanRow, `SELECT `+rowColumns+` FROM events WHERE realm = $1 AND leaf >= $2 ORDER BY leaf LIMIT $3`, realm, from, limit)
}

// notSegments is what Filter.Deeds asks for.
const notSegments = ` AND action NOT IN ('activity.segment', 'decision.segment')`

// search reads newest first, from before a leaf on.
func search(tx *db.Tx, realm string, f Filter, before int64, limit int) ([]row, error) {
	from, to, also := db.At(f.Since), db.At(untilOf(tx, f)), ""
	if f.Deeds {
		also = notSegments
	}
	switch {
	case f.Target != "":
		return db.All(tx, scanRow, `SELECT `+rowColumns+` FROM events WHERE realm = $1 AND target = $2 AND leaf < $3 AND at >= $4 AND at <= $5
			AND ($6 = '' OR action LIKE $6 || '%') AND ($7 = '' OR actor = $7)`+also+` ORDER BY leaf DESC LIMIT $8`, realm, f.Target, before, from, to, f.Action, f.Actor, limit)
	case f.Actor != "":
		return db.All(tx, scanRow, `SELECT `+rowColumns+` FROM events WHERE realm = $1 AND actor = $2 AND leaf < $3 AND at >= $4 AND at <= $5
			AND ($6 = '' OR action LIKE $6 || '%')`+also+` ORDER BY leaf DESC LIMIT $7`, realm, f.Actor, before, from, to, f.Action, limit)
	}
	return db.All(tx, scanRow, `SELECT `+rowColumns+` FROM events WHERE realm = $1 AND leaf < $2 AND at >= $3 AND at <= $4
		AND ($5 = '' OR action LIKE $5 || '%')`+also+` ORDER BY leaf DESC LIMIT $6`, realm, before, from, to, f.Action, limit)
}

func untilOf(tx *db.Tx, f Filter) time.Time {
	if f.Until.IsZero() {
		return tx.Now.Add(time.Hour)
	}
	return f.Until
}

// mostSegments is how many events one search for deeds looks at: of a realm that
// does little but answer, almost all are segments.
const mostSegments = 10_000

// deeds is search for what is no segment. Where that ended before the page was
// full, more is the leaf to go on from.
func deeds(tx *db.Tx, realm string, f Filter, before int64, limit int) (found []row, more int64, err error) {
	last, err := db.One(tx, db.Scalar[int64], `SELECT COALESCE(MAX(leaf), -1) FROM events WHERE realm = $1 AND leaf < $2`, realm, before)
	if err != nil || last < 0 {
		return nil, 0, err
	}
	first := last - mostSegments + 1
	found, err = db.All(tx, scanRow, `SELECT `+rowColumns+` FROM events WHERE realm = $1 AND leaf >= $2 AND leaf <= $3 AND at >= $4 AND at <= $5`+
		notSegments+` ORDER BY leaf DESC LIMIT $6`, realm, first, last, db.At(f.Since), db.At(untilOf(tx, f)), limit)
	if err != nil || len(found) == limit || first <= 0 {
		return found, 0, err
	}
	// Nodes differ by less than an hour about what time it was.
	older, err := db.One(tx, db.Scalar[bool], `SELECT COUNT(*) > 0 FROM events WHERE realm = $1 AND leaf = $2 AND at >= $3`, realm, first-1, db.At(f.Since.Add(-time.Hour)))
	if older {
		more = first
	}
	return found, more, err
}

func positionOf(tx *db.Tx, target string) (Position, error) {
	return db.One(tx, func(r db.Row) (p Position, err error) { return p, r.Scan(&p.Epoch, &p.Seq) },
		`SELECT epoch, position FROM events WHERE realm = $1 AND target = $2 ORDER BY leaf LIMIT 1`, tx.Realm, target)
}

func insertSegment(tx *db.Tx, id, node string, records int, text string) error {
	_, err := tx.Exec(`INSERT INTO activity (realm, id, at, node, records, body) VALUES ($1, $2, $3, $4, $5, $6)`,
		tx.Realm, id, db.At(tx.Now), node, records, text)
	return err
}

// segments reads those with ids from one until before another, the newest first, and
// of each what keep leaves of it.
func segments(tx *db.Tx, realm, from, before string, limit int, keep func(segment) segment) ([]segment, error) {
	return db.All(tx, func(r db.Row) (s segment, err error) {
		err = r.Scan(&s.id, &s.body)
		return keep(s), err
	}, `SELECT id, body FROM activity WHERE realm = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT $4`, realm, from, before, limit)
}

// named is the condition that a segment is one of some, at most hashedAtOnce: always
// the same statement.
func named(realm string, ids []string) (string, []any) {
	marks, args := make([]string, hashedAtOnce), []any{realm}
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(i+2)
		args = append(args, append(ids, make([]string, hashedAtOnce)...)[i])
	}
	return ` FROM activity WHERE realm = $1 AND id IN (` + strings.Join(marks, ", ") + `)`, args
}

// lengthsOf is how long the texts of segments are, which neither database reads for that.
func lengthsOf(tx *db.Tx, realm string, ids []string) (map[string]int64, error) {
	lengths := map[string]int64{}
	some, args := named(realm, ids)
	_, err := db.All(tx, func(r db.Row) (_ struct{}, err error) {
		var id string
		var n int64
		err = r.Scan(&id, &n)
		lengths[id] = n
		return struct{}{}, err
	}, `SELECT id, octet_length(body)`+some, args...)
	return lengths, err
}

// hashed reads segments for the hashes of their texts, which it holds one at a time.
func hashed(tx *db.Tx, realm string, ids []string) ([]keptSegment, error) {
	some, args := named(realm, ids)
	return db.All(tx, func(r db.Row) (k keptSegment, err error) {
		var at db.Time
		var body string
		err = r.Scan(&k.id, &at, &k.node, &k.records, &body)
		k.at, k.hash = at.Time, hashOf([]byte(body))
		return k, err
	}, `SELECT id, at, node, records, body`+some, args...)
}

// vouch says of a segment whether an event of the log is about it.
type vouch struct {
	id      string
	vouched bool
}

// vouched looks the segments after an id up in a log of a size, and among what still
// has no place in it.
func vouched(tx *db.Tx, realm, after string, size int64, limit int) ([]vouch, error) {
	return db.All(tx, func(r db.Row) (k vouch, err error) { return k, r.Scan(&k.id, &k.vouched) },
		`SELECT id, EXISTS (SELECT 1 FROM events e WHERE e.realm = $1 AND e.target = s.id AND e.action = '`+segmentWritten+`' AND e.leaf >= 0 AND e.leaf < $2 LIMIT 1 OFFSET 0)
			OR EXISTS (SELECT 1 FROM event_queue q WHERE q.realm = $1 AND q.target = s.id AND q.action = '`+segmentWritten+`' LIMIT 1 OFFSET 0)
		FROM (SELECT id FROM activity WHERE realm = $1 AND id > $3 ORDER BY id LIMIT $4) AS s ORDER BY id`, realm, size, after, limit)
}

// outside finds an event whose place is none in a log of a size.
func outside(tx *db.Tx, realm string, size int64) ([]row, error) {
	return db.All(tx, scanRow, `SELECT `+rowColumns+` FROM events WHERE realm = $1 AND leaf = (SELECT MIN(leaf) FROM events WHERE realm = $1 AND leaf < 0)
		UNION ALL SELECT `+rowColumns+` FROM events WHERE realm = $1 AND leaf = (SELECT MIN(leaf) FROM events WHERE realm = $1 AND leaf >= $2)`, realm, size)
}

// segmentsAtOnce and refusalsAtOnce bound what one transaction deletes: a segment may
// be half a megabyte, and SQLite has one writer.
const (
	segmentsAtOnce = 100
	refusalsAtOnce = 1000
)

// deleteSegments forgets the next segments, says how many those were, and whether there
// may be more. That they were there, and their hashes, stays in the log. They are
// looked for by their ids, which hold a time before the one at which they were written.
func deleteSegments(tx *db.Tx, s *sweep) (n int64, more bool, err error) {
	ids, err := db.All(tx, db.Scalar[string], `SELECT id FROM activity WHERE realm = $1 AND id > $2 AND id < $3 AND at < $4 ORDER BY id LIMIT $5`,
		tx.Realm, s.after, id.First("act", s.before), db.At(s.before), segmentsAtOnce)
	if err != nil || len(ids) == 0 {
		return 0, false, err
	}
	after := s.after
	s.after = ids[len(ids)-1]
	n, err = tx.Exec(`DELETE FROM activity WHERE realm = $1 AND id > $2 AND id <= $3 AND at < $4`, tx.Realm, after, s.after, db.At(s.before))
	return n, len(ids) == segmentsAtOnce, err
}

// deleteRefusals forgets refusals that are as old, and says how many at once at most.
func deleteRefusals(tx *db.Tx, before time.Time) (most int64, err error) {
	for _, q := range []struct {
		old  string
		args []any
	}{{`day < $3`, []any{dayOf(before)}}, {`day = $3 AND last_at < $4`, []any{int64(forgotten), db.At(before)}}} {
		n, err := tx.Exec(`DELETE FROM refusals WHERE realm = $1 AND (principal, day, factor, ip, agent) IN
			(SELECT principal, day, factor, ip, agent FROM refusals WHERE realm = $1 AND `+q.old+` ORDER BY day LIMIT $2)`,
			append([]any{tx.Realm, refusalsAtOnce}, q.args...)...)
		if err != nil {
			return 0, err
		}
		most = max(most, n)
	}
	return most, nil
}

// counted is where a refusal is counted.
type counted struct {
	apart bool // it has a row of its own, or may have one
	gone  bool // nowhere: the person is forgotten
}

// placeOf finds the place of a refusal. Two nodes at once may make one row too many
// each.
func placeOf(tx *db.Tx, k refused, day int64) (counted, error) {
	return db.One(tx, func(r db.Row) (p counted, err error) { return p, r.Scan(&p.apart, &p.gone) },
		`SELECT COUNT(CASE WHEN factor <> '' THEN 1 END) < $7 OR COALESCE(MAX(CASE WHEN factor = $4 AND ip = $5 AND agent = $6 AND factor <> '' THEN 1 ELSE 0 END), 0) = 1,
			COALESCE(MAX(day), 0) = $8
		FROM refusals WHERE realm = $1 AND principal = $2 AND day IN ($3, $8)`, tx.Realm, k.principal, day, k.factor, k.ip, k.agent, mostApart, forgotten)
}

func countRefused(tx *db.Tx, k refused, day int64, r Refusal) error {
	_, err := tx.Exec(`INSERT INTO refusals (realm, principal, day, factor, ip, agent, n, first_at, last_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (realm, principal, day, factor, ip, agent) DO UPDATE SET n = refusals.n + excluded.n,
			first_at = CASE WHEN excluded.first_at < refusals.first_at THEN excluded.first_at ELSE refusals.first_at END,
			last_at = CASE WHEN excluded.last_at > refusals.last_at THEN excluded.last_at ELSE refusals.last_at END`,
		tx.Realm, k.principal, day, k.factor, k.ip, k.agent, r.Count, db.At(r.First), db.At(r.Last))
	return err
}

func refusalsOf(tx *db.Tx, principal string, since, until time.Time) ([]Refusal, error) {
	return db.All(tx, func(row db.Row) (r Refusal, err error) {
		var first, last db.Time
		err = row.Scan(&r.Factor, &r.IP, &r.UserAgent, &r.Count, &first, &last)
		r.First, r.Last = first.Time, last.Time
		return r, err
	}, `SELECT factor, ip, agent, n, first_at, last_at FROM refusals WHERE realm = $1 AND principal = $2 AND day >= $3 AND day < $7 AND last_at >= $4 AND last_at < $5
		ORDER BY last_at DESC, factor, ip, agent LIMIT $6`, tx.Realm, principal, dayOf(since), db.At(since), db.At(until), mostRefusals, forgotten)
}

// forgotten is the day of the row that stays of a forgotten person for a while.
const forgotten = 1 << 40

// ForgetTx erases what was tried on the account of a person who is deleted. What the
// nodes still remember of it is not written any more.
func ForgetTx(tx *db.Tx, principal string) error {
	if _, err := tx.Exec(`DELETE FROM refusals WHERE realm = $1 AND principal = $2`, tx.Realm, principal); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO refusals (realm, principal, day, factor, ip, agent, n, first_at, last_at) VALUES ($1, $2, $3, '', '', '', 0, $4, $4)`,
		tx.Realm, principal, forgotten, db.At(tx.Now))
	return err
}

func insertNode(tx *db.Tx, id, name string) error {
	_, err := tx.Exec(`INSERT INTO nodes (realm, id, name, started_at, renewed_at, renewals, epoch, seq, lapsed) VALUES ('', $1, $2, $3, $3, 0, 0, 0, FALSE)
		ON CONFLICT (realm, id) DO UPDATE SET lapsed = FALSE, renewals = nodes.renewals + 1`, id, name, db.At(tx.Now))
	return err
}

func renewNode(tx *db.Tx, id string, at Position) (bool, error) {
	n, err := tx.Exec(`UPDATE nodes SET renewals = renewals + 1, epoch = $2, seq = $3, renewed_at = $4 WHERE realm = '' AND id = $1 AND NOT lapsed`,
		id, at.Epoch, at.Seq, db.At(tx.Now))
	return n == 1, err
}

func lapseNode(tx *db.Tx, id string, renewals int64) error {
	_, err := tx.Exec(`UPDATE nodes SET lapsed = TRUE WHERE realm = '' AND id = $1 AND renewals = $2`, id, renewals)
	return err
}

func deleteNode(tx *db.Tx, id string) error {
	_, err := tx.Exec(`DELETE FROM nodes WHERE realm = '' AND id = $1`, id)
	return err
}

// deleteGone forgets nodes that were given up long ago.
func deleteGone(tx *db.Tx, before time.Time) error {
	_, err := tx.Exec(`DELETE FROM nodes WHERE realm = '' AND lapsed AND renewed_at < $1`, db.At(before))
	return err
}

func otherNodes(tx *db.Tx, self string) ([]node, error) {
	return db.All(tx, func(r db.Row) (n node, err error) { return n, r.Scan(&n.id, &n.renewals, &n.at.Epoch, &n.at.Seq) },
		`SELECT id, renewals, epoch, seq FROM nodes WHERE realm = '' AND id <> $1 AND NOT lapsed`, self)
}
