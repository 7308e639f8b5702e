package audit_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
)

// write makes a segment of so many records.
func write(t *testing.T, e *audittest.Env, realm string, records int) {
	t.Helper()
	for i := range records {
		e.Log.Activity(realm, audit.Actor{Kind: "client", ID: "cli_1"}, audit.Activity{Action: "token.issue", Target: fmt.Sprint("gnt_", i)})
	}
	if err := e.Log.FlushActivity(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.Clock.Advance(time.Second)
}

// idsOf lists a realm's segments, the oldest first.
func idsOf(t *testing.T, e *audittest.Env, realm string) []string {
	t.Helper()
	all, err := view(e, func(tx *db.Tx) ([]string, error) {
		return db.All(tx, db.Scalar[string], `SELECT id FROM activity WHERE realm = $1 ORDER BY id`, realm)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// exec does what somebody with access to the database can do.
func exec(t *testing.T, e *audittest.Env, query string, args ...any) {
	t.Helper()
	if err := e.DB.System(t.Context(), func(tx *db.Tx) error {
		n, err := tx.Exec(query, args...)
		if err == nil && n == 0 {
			t.Error("nothing was changed by", query)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// AU-03: a segment of activity that was changed, removed, added or exchanged is found,
// whoever could write to the database.
func TestVerifyFindsTamperedActivity(t *testing.T) {
	for name, tamper := range map[string]struct {
		want string
		do   func(t *testing.T, e *audittest.Env, ids []string)
	}{
		"a changed byte": {"was changed", func(t *testing.T, e *audittest.Env, ids []string) {
			exec(t, e, `UPDATE activity SET body = replace(body, 'gnt_1', 'gnt_2') WHERE id = $1`, ids[1])
		}},
		"a byte more": {"was changed", func(t *testing.T, e *audittest.Env, ids []string) {
			exec(t, e, `UPDATE activity SET body = body || ' ' WHERE id = $1`, ids[1])
		}},
		"one removed": {"is missing", func(t *testing.T, e *audittest.Env, ids []string) {
			exec(t, e, `DELETE FROM activity WHERE id = $1`, ids[1])
		}},
		"all removed": {"is missing", func(t *testing.T, e *audittest.Env, ids []string) {
			exec(t, e, `DELETE FROM activity WHERE realm = 'test'`)
		}},
		"one given to another realm": {"is missing", func(t *testing.T, e *audittest.Env, ids []string) {
			exec(t, e, `UPDATE activity SET realm = 'elsewhere' WHERE id = $1`, ids[1])
		}},
		"one added": {"was added", func(t *testing.T, e *audittest.Env, ids []string) {
			exec(t, e, `INSERT INTO activity (realm, id, at, node, records, body) SELECT realm, 'act_00000000000000000000000000', at, node, records, body FROM activity WHERE id = $1`, ids[1])
		}},
		"the last one added": {"was added", func(t *testing.T, e *audittest.Env, ids []string) {
			exec(t, e, `INSERT INTO activity (realm, id, at, node, records, body) SELECT realm, 'act_zzzzzzzzzzzzzzzzzzzzzzzzzz', at, node, records, body FROM activity WHERE id = $1`, ids[1])
		}},
		"one added with an event outside of the log": {"was added", func(t *testing.T, e *audittest.Env, ids []string) {
			exec(t, e, `INSERT INTO activity (realm, id, at, node, records, body) SELECT realm, 'act_zzzzzzzzzzzzzzzzzzzzzzzzzz', at, node, records, body FROM activity WHERE id = $1`, ids[1])
			exec(t, e, `INSERT INTO events (realm, id, at, action, actor, target, body, epoch, position, leaf)
				SELECT realm, 'evt_x', at, action, actor, 'act_zzzzzzzzzzzzzzzzzzzzzzzzzz', body, 9, 9, 99 FROM events WHERE target = $1`, ids[1])
		}},
		"an event outside of the log": {"was added", func(t *testing.T, e *audittest.Env, ids []string) {
			exec(t, e, `INSERT INTO events (realm, id, at, action, actor, target, body, epoch, position, leaf)
				SELECT realm, 'evt_x', at, action, actor, target, body, 9, 9, -1 FROM events WHERE target = $1`, ids[1])
		}},
		"two exchanged": {"was changed", func(t *testing.T, e *audittest.Env, ids []string) {
			exec(t, e, `UPDATE activity SET id = 'act_' WHERE id = $1`, ids[1])
			exec(t, e, `UPDATE activity SET id = $1 WHERE id = $2`, ids[1], ids[2])
			exec(t, e, `UPDATE activity SET id = $1 WHERE id = 'act_'`, ids[2])
		}},
		"one put in the place of another": {"was changed", func(t *testing.T, e *audittest.Env, ids []string) {
			exec(t, e, `UPDATE activity SET body = (SELECT body FROM activity WHERE id = $1) WHERE id = $2`, ids[2], ids[1])
		}},
		"made old enough to be deleted": {"its columns", func(t *testing.T, e *audittest.Env, ids []string) {
			exec(t, e, `UPDATE activity SET at = 1 WHERE id = $1`, ids[1])
		}},
		"made old and deleted": {"is missing", func(t *testing.T, e *audittest.Env, ids []string) {
			exec(t, e, `UPDATE activity SET at = 1, id = 'act_00000000000000000000000000' WHERE id = $1`, ids[1])
			if err := e.Log.Forget(t.Context(), dbtest.Realm); err != nil {
				t.Fatal(err)
			}
			if len(idsOf(t, e, dbtest.Realm)) != 2 {
				t.Error("it is still there")
			}
		}},
		"another number of records": {"its columns", func(t *testing.T, e *audittest.Env, ids []string) {
			exec(t, e, `UPDATE activity SET records = 1 WHERE id = $1`, ids[1])
		}},
		"of another node": {"its columns", func(t *testing.T, e *audittest.Env, ids []string) {
			exec(t, e, `UPDATE activity SET node = 'other' WHERE id = $1`, ids[1])
		}},
		"an event that says that what is young was deleted": {"younger than what is deleted", func(t *testing.T, e *audittest.Env, ids []string) {
			if err := change(e, dbtest.Realm, audit.Event{Action: "activity.forget", TargetType: "activity",
				Data: map[string]any{"before": e.DB.Now().Format(time.RFC3339Nano), "segments": 1}}); err != nil {
				t.Fatal(err)
			}
		}},
		"removed with an event that says it was old": {"is missing", func(t *testing.T, e *audittest.Env, ids []string) {
			exec(t, e, `DELETE FROM activity WHERE id = $1`, ids[1])
			if err := change(e, dbtest.Realm, audit.Event{Action: "activity.forget", TargetType: "activity",
				Data: map[string]any{"before": e.DB.Now().Format(time.RFC3339Nano), "segments": 1}}); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			audittest.Run(t, func(t *testing.T, e *audittest.Env) {
				e.Start(t)
				for _, n := range []int{3, 4, 5} {
					write(t, e, dbtest.Realm, n)
					write(t, e, dbtest.Neighbour, n)
					if err := change(e, dbtest.Realm, audit.Event{Action: "a.b", Target: "thing", Invalidates: true}); err != nil {
						t.Fatal(err)
					}
				}
				if v, err := e.Log.Verify(t.Context(), dbtest.Realm); err != nil || v.Segments != 3 || v.Forgotten != 0 || v.Size != 6 {
					t.Fatalf("untouched: %+v, %v", v, err)
				}
				tamper.do(t, e, idsOf(t, e, dbtest.Realm))
				_, err := e.Log.Verify(t.Context(), dbtest.Realm)
				if err == nil || !strings.Contains(err.Error(), tamper.want) {
					t.Errorf("Verify = %v, want %q", err, tamper.want)
				}
				if v, err := e.Log.Verify(t.Context(), dbtest.Neighbour); err != nil || v.Segments != 3 {
					t.Errorf("the neighbour: %+v, %v", v, err)
				}
			})
		})
	}
}

// What is deleted because of its age is told apart from what is gone.
func TestVerifyKnowsWhatWasForgotten(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		const day = 24 * time.Hour
		e.Start(t)
		verify := func(segments, forgotten int64) {
			t.Helper()
			if v, err := e.Log.Verify(t.Context(), dbtest.Realm); err != nil || v.Segments != segments || v.Forgotten != forgotten {
				t.Errorf("%+v, %v; want %d segments and %d forgotten", v, err, segments, forgotten)
			}
		}
		forget := func() {
			t.Helper()
			if err := e.Log.Forget(t.Context(), dbtest.Realm); err != nil {
				t.Fatal(err)
			}
		}
		write(t, e, dbtest.Realm, 1)
		write(t, e, dbtest.Realm, 2)
		e.Clock.Advance(day)
		write(t, e, dbtest.Realm, 3)
		verify(3, 0)
		forget()
		verify(3, 0)
		if slices.Contains(e.Events(t, dbtest.Realm), "activity.forget") {
			t.Error("an event says that nothing was deleted")
		}
		e.Clock.Advance(89*day + time.Hour) // two are old enough
		verify(3, 0)
		forget()
		verify(1, 2)
		all := idsOf(t, e, dbtest.Realm)
		e.Clock.Advance(day) // the third is, but was not deleted for that
		verify(1, 2)
		exec(t, e, `DELETE FROM activity WHERE id = $1`, all[0])
		if v, err := e.Log.Verify(t.Context(), dbtest.Realm); err == nil || !strings.Contains(err.Error(), all[0]) {
			t.Errorf("gone before it was forgotten: %+v, %v", v, err)
		}
		write(t, e, dbtest.Realm, 1)
		e.Clock.Advance(90 * day)
		forget()
		verify(0, 4)
		found, _, err := e.Log.Query(t.Context(), dbtest.Realm, audit.Filter{Action: "activity.forget"})
		if err != nil || len(found) != 2 || found[1].Data["segments"] != 2.0 {
			t.Errorf("%+v, %v", found, err)
		}
	})
}

// Much is deleted in parts, none of which is long. After each of them the log explains
// what is missing, also when no further one is done.
func TestMuchIsForgottenInParts(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		for range 230 {
			write(t, e, dbtest.Realm, 1)
		}
		e.Clock.Advance(91 * 24 * time.Hour)
		write(t, e, dbtest.Realm, 1)
		write(t, e, dbtest.Neighbour, 1)
		left := func() int { return len(idsOf(t, e, dbtest.Realm)) }
		verify := func() {
			t.Helper()
			if v, err := e.Log.Verify(t.Context(), dbtest.Realm); err != nil || v.Segments != int64(left()) || v.Forgotten != int64(231-left()) {
				t.Errorf("%+v, %v; %d are left", v, err, left())
			}
		}
		// The second part fails.
		if err := e.DB.System(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(`CREATE TABLE pins (realm TEXT, id TEXT, FOREIGN KEY (realm, id) REFERENCES activity (realm, id))`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		exec(t, e, `INSERT INTO pins (realm, id) VALUES ($1, $2)`, dbtest.Realm, idsOf(t, e, dbtest.Realm)[150])
		if err := e.Log.Forget(t.Context(), dbtest.Realm); err == nil || left() != 131 {
			t.Errorf("%v, with %d left", err, left())
		}
		verify()
		exec(t, e, `DELETE FROM pins`)
		if err := e.Log.Forget(t.Context(), dbtest.Realm); err != nil || left() != 1 {
			t.Errorf("%v, with %d left", err, left())
		}
		verify()
		found, _, err := e.Log.Query(t.Context(), dbtest.Realm, audit.Filter{Action: "activity.forget"})
		if err != nil || len(found) != 3 || found[0].Data["segments"] != 30.0 || found[1].Data["segments"] != 100.0 || found[2].Data["segments"] != 100.0 {
			t.Errorf("%+v, %v", found, err)
		}
	})
}

// Logs from before deletions were written down hold no event of any.
func TestVerifyKnowsDeletionsOfBefore(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		write(t, e, dbtest.Realm, 1)
		e.Clock.Advance(91 * 24 * time.Hour)
		write(t, e, dbtest.Realm, 1)
		exec(t, e, `DELETE FROM activity WHERE id = $1`, idsOf(t, e, dbtest.Realm)[0])
		if v, err := e.Log.Verify(t.Context(), dbtest.Realm); err != nil || v.Segments != 1 || v.Forgotten != 1 {
			t.Errorf("%+v, %v", v, err)
		}
		exec(t, e, `DELETE FROM activity WHERE realm = $1`, dbtest.Realm)
		if v, err := e.Log.Verify(t.Context(), dbtest.Realm); err == nil {
			t.Errorf("%+v", v)
		}
	})
}

// A long log is verified in steps, each of which goes on where the one before ended,
// and says as much at the end as one that reads all at once.
func TestVerifyGoesInSteps(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, d *dbtest.Env) {
		var slow atomic.Bool
		var later atomic.Int64
		e := &audittest.Env{Env: d, Log: audit.New(d.DB, audit.Options{Elapsed: func() time.Duration {
			if slow.Load() { // a tile takes longer than a step
				return db.Boottime() + time.Duration(later.Add(1))*11*time.Second
			}
			return db.Boottime()
		}})}
		e.Log.SetSigner(signer())
		e.Start(t)
		long := func() {
			var events []audit.Event
			for i := range 250 {
				events = append(events, audit.Event{Action: "a.b", Target: fmt.Sprint(i)})
			}
			if err := change(e, dbtest.Realm, events...); err != nil {
				t.Fatal(err)
			}
			write(t, e, dbtest.Realm, 2)
			if _, err := e.Log.Settled(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Log.Checkpoint(t.Context(), dbtest.Realm); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 {
			long()
		}
		want, err := e.Log.Verify(t.Context(), dbtest.Realm)
		if err != nil || want.Size != 1004 || want.Segments != 4 || want.Checkpoints != 4 {
			t.Fatalf("%+v, %v", want, err)
		}
		slow.Store(true)
		var steps []int64
		var half string
		for next := ""; ; {
			v, after, err := e.Log.VerifyStep(t.Context(), dbtest.Realm, next)
			if err != nil {
				t.Fatal(err)
			}
			if len(steps) == 0 {
				half = after
			}
			if steps, next = append(steps, v.Size), after; next == "" {
				if v != want {
					t.Errorf("got %+v, want %+v", v, want)
				}
				break
			}
			if v.Of != 1004 {
				t.Errorf("%d events of %d", v.Size, v.Of)
			}
		}
		if fmt.Sprint(steps) != "[256 512 768 1004 1004 1004 1004]" {
			t.Errorf("steps = %v", steps)
		}
		// What is appended between steps is read by the later ones.
		slow.Store(false)
		long()
		if v, next, err := e.Log.VerifyStep(t.Context(), dbtest.Realm, half); err != nil || next != "" || v.Size != 1255 || v.Segments != 5 || v.Checkpoints != 5 {
			t.Errorf("%+v, %q, %v", v, next, err)
		}
		for _, forged := range []string{"x", "e30x", base64.RawURLEncoding.EncodeToString([]byte(`{"size":-1}`)), base64.RawURLEncoding.EncodeToString([]byte(`{"rounds":-1000000000000}`)),
			base64.RawURLEncoding.EncodeToString([]byte(`{"rounds":3}`)), base64.RawURLEncoding.EncodeToString([]byte(`{"size":3,"frontier":[]}`))} {
			if _, _, err := e.Log.VerifyStep(t.Context(), dbtest.Realm, forged); !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v", forged, err)
			}
		}
		exec(t, e, `DELETE FROM events WHERE realm = $1 AND leaf >= 250`, dbtest.Realm)
		exec(t, e, `DELETE FROM log_checkpoints WHERE realm = $1`, dbtest.Realm)
		exec(t, e, `DELETE FROM log_heads WHERE realm = $1`, dbtest.Realm)
		if v, _, err := e.Log.VerifyStep(t.Context(), dbtest.Realm, half); err == nil || !strings.Contains(err.Error(), "cut off") {
			t.Errorf("cut off meanwhile: %+v, %v", v, err)
		}
	})
}

// However long segments are, what one view reads of them is bounded.
func TestLongSegmentsAreVerifiedInParts(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, d *dbtest.Env) {
		var later atomic.Int64 // every look at the clock ends a step, so that each is one view
		e := &audittest.Env{Env: d, Log: audit.New(d.DB, audit.Options{Elapsed: func() time.Duration { return db.Boottime() + time.Duration(later.Add(1))*11*time.Second }})}
		e.Start(t)
		for i, length := range []int{1, 1, 1, 1, 1, 5, 1, 1} { // one is longer than any view is to read
			e.Log.Activity(dbtest.Realm, audittest.By, audit.Activity{Action: "token.issue", Target: strings.Repeat(fmt.Sprint(i), length<<20)})
			if err := e.Log.FlushActivity(t.Context()); err != nil {
				t.Fatal(err)
			}
			e.Clock.Advance(time.Second)
		}
		verify := func() (sizes []int64, v audit.Verified, err error) {
			for next, more := "", true; more && err == nil; more = next != "" {
				v, next, err = e.Log.VerifyStep(t.Context(), dbtest.Realm, next)
				sizes = append(sizes, v.Size)
			}
			return sizes, v, err
		}
		sizes, v, err := verify()
		if err != nil || v.Segments != 8 || v.Size != 8 || fmt.Sprint(sizes) != "[3 5 6 8 8 8 8]" {
			t.Errorf("%+v, %v, after %v events each", v, err, sizes)
		}
		exec(t, e, `UPDATE activity SET body = body || ' ' WHERE id = $1`, idsOf(t, e, dbtest.Realm)[6])
		if _, v, err = verify(); err == nil || !strings.Contains(err.Error(), "was changed") || v.Size != 6 {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

// A checkpoint is held against the events at the size that was signed, not at the one
// that its row says.
func TestVerifyReadsWhatWasSigned(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Log.SetSigner(signer())
		e.Start(t)
		for i := range 3 {
			if err := change(e, dbtest.Realm, audit.Event{Action: "a.b", Target: fmt.Sprint(i), Invalidates: true}); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Log.Checkpoint(t.Context(), dbtest.Realm); err != nil {
				t.Fatal(err)
			}
		}
		exec(t, e, `UPDATE log_checkpoints SET note = (SELECT note FROM log_checkpoints WHERE realm = $1 AND size = 3) WHERE realm = $1 AND size = 2`, dbtest.Realm)
		if v, err := e.Log.Verify(t.Context(), dbtest.Realm); err == nil || !strings.Contains(err.Error(), "was changed") {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

// What could not be written for long is written in segments of a bounded time each,
// by which it is found.
func TestSegmentsSpanABoundedTime(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		began := e.DB.Now()
		for range 5 { // the log's own writer waits for no time that is moved
			e.Log.Activity(dbtest.Realm, audittest.By, audit.Activity{Action: "token.issue"})
			e.Clock.Advance(4 * time.Second)
		}
		if err := e.Log.FlushActivity(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, s := range idsOf(t, e, dbtest.Realm) {
			at, ok := id.Time("act", s)
			if late := at.Sub(began); !ok || late%(4*time.Second) != 0 || late > 16*time.Second {
				t.Errorf("a segment has the id of %s later", late)
			}
		}
		if v, err := e.Log.Verify(t.Context(), dbtest.Realm); err != nil || v.Segments < 2 {
			t.Errorf("%+v, %v", v, err)
		}
	})
}
