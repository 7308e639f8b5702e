package audit_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
)

// recorder is a follower that keeps what it is told.
type recorder struct {
	mu     sync.Mutex
	all    []audit.Record
	resets int
}

func follow(l *audit.Log) *recorder {
	r := new(recorder)
	l.Follow("recorder", func(e audit.Record) { r.mu.Lock(); r.all = append(r.all, e); r.mu.Unlock() },
		func() { r.mu.Lock(); r.resets++; r.mu.Unlock() })
	return r
}

func (r *recorder) targets() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.all {
		all = append(all, e.Target)
	}
	return all
}

func change(e *audittest.Env, realm string, events ...audit.Event) error {
	return e.DB.Update(context.Background(), realm, func(tx *db.Tx) error {
		for _, ev := range events {
			audit.Append(tx, audittest.By, ev)
		}
		return nil
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func TestAChangeIsAppliedBeforeItIsAcknowledged(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		r := follow(e.Log)
		e.Start(t)
		for i := range 20 {
			id := fmt.Sprint("c", i)
			if err := change(e, dbtest.Realm, audit.Event{Action: "client.update", Target: id, Invalidates: true, Deaths: []audit.Bit{{List: "l", Index: int64(i)}}}); err != nil {
				t.Fatal(err)
			}
			if got := r.targets(); len(got) != i+1 || got[i] != id {
				t.Fatalf("after the acknowledgement of %s the follower has %v", id, got)
			}
		}
		if got := r.all[3]; got.Realm != dbtest.Realm || got.Actor != audittest.By || !slices.Equal(got.Deaths, []audit.Bit{{List: "l", Index: 3}}) || got.At != e.Clock.Now() {
			t.Errorf("record = %+v", got)
		}
		if got := e.Events(t, dbtest.Neighbour); len(got) > 0 {
			t.Errorf("the neighbour noticed %v", got)
		}
	})
}

// AU-01 and P-12: an event is there exactly if its change is.
func TestNoChangeNoEvent(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		refusal := errors.New("no")
		err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			audit.Append(tx, audittest.By, audit.Event{Action: "a.b", Target: "x"})
			return refusal
		})
		if !errors.Is(err, refusal) {
			t.Fatal(err)
		}
		if got := e.Events(t, dbtest.Realm); len(got) > 0 {
			t.Errorf("events of a refused change: %v", got)
		}
	})
}

// Spine 1: positions have no gaps, each event has one, and every follower sees
// the same order. Remove "AND seq = $5" from moveHead to see it fail on PostgreSQL.
func TestPositionsAreDenseAndTheSameEverywhere(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		nodes := []*audittest.Env{e}
		if e.DB.Engine() == db.Postgres {
			nodes = append(nodes, e.Node(t), e.Node(t))
		}
		var seen []*recorder
		for _, n := range nodes {
			seen = append(seen, follow(n.Log))
			n.Start(t)
		}
		const each = 60
		var wg sync.WaitGroup
		for w := range 6 {
			wg.Go(func() {
				n := nodes[w%len(nodes)]
				for i := range each {
					realm := []string{dbtest.Realm, dbtest.Neighbour}[i%2]
					if err := change(n, realm, audit.Event{Action: "a.b", Target: fmt.Sprint(w, "-", i), Invalidates: i%20 == 0}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		for i, r := range seen {
			eventually(t, fmt.Sprintf("node %d applies everything", i), func() bool { return len(r.targets()) == 6*each })
		}
		for i, rec := range seen[0].all {
			if want := int64(i + 1); rec.Position.Seq != want {
				t.Fatalf("record %d stands at %s", i, rec.Position)
			}
		}
		for i := range seen[1:] {
			if !slices.Equal(seen[0].targets(), seen[i+1].targets()) {
				t.Errorf("nodes 0 and %d saw different orders", i+1)
			}
		}
		for _, realm := range []string{dbtest.Realm, dbtest.Neighbour} {
			v, err := e.Log.Verify(t.Context(), realm)
			if err != nil || v.Size != 6*each/2 {
				t.Errorf("Verify(%s) = %+v, %v", realm, v, err)
			}
		}
	})
}

// Spine 1: an event that depends on another one stands after it. Draw the order
// key before fn runs, instead of in Flush, to see it fail on PostgreSQL.
func TestEffectsFollowCauses(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		r := follow(e.Log)
		e.Start(t)
		for i := range 30 {
			began, goOn := make(chan struct{}), make(chan struct{})
			var wg sync.WaitGroup
			if e.DB.Engine() == db.Postgres { // on SQLite no two writers overlap
				wg.Go(func() {
					once := sync.OnceFunc(func() { close(began) })
					err := e.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
						audit.Append(tx, audittest.By, audit.Event{Action: "a.effect", Target: fmt.Sprint("effect", i)})
						once()
						<-goOn // reads what the cause has written
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				})
				<-began
			}
			if err := change(e, dbtest.Realm, audit.Event{Action: "a.cause", Target: fmt.Sprint("cause", i)}); err != nil {
				t.Fatal(err)
			}
			close(goOn)
			wg.Wait()
		}
		if err := change(e, dbtest.Realm, audit.Event{Action: "a.end", Target: "end", Invalidates: true}); err != nil {
			t.Fatal(err)
		}
		got := r.targets()
		for i := range 30 {
			cause, effect := slices.Index(got, fmt.Sprint("cause", i)), slices.Index(got, fmt.Sprint("effect", i))
			if effect >= 0 && effect < cause {
				t.Errorf("effect %d stands before its cause", i)
			}
		}
	})
}

// Spine 3: an acknowledged change has been applied on every node. Remove the
// call of confirm in Committed to see it fail.
func TestAnAcknowledgedChangeHoldsOnEveryNode(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		other := e.Node(t)
		r := follow(other.Log)
		e.Start(t)
		other.Start(t)
		for i := range 50 {
			id := fmt.Sprint("g", i)
			if err := change(e, dbtest.Realm, audit.Event{Action: "grant.revoke", Target: id, Invalidates: true}); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(r.targets(), id) {
				t.Fatalf("%s is acknowledged on one node and unknown to the other", id)
			}
		}
	})
}

// Spine 3: a barrier waits for a change that another node has committed but not
// had confirmed. Remove the barrier's branch in Committed to see it fail.
func TestABarrierCoversWhatOthersCommitted(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		r := follow(e.Log)
		e.Start(t)
		for i := range 20 {
			id := fmt.Sprint("g", i)
			if err := change(e, dbtest.Realm, audit.Event{Action: "grant.revoke", Target: id}); err != nil {
				t.Fatal(err)
			}
			if err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error { audit.Barrier(tx); return nil }); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(r.targets(), id) {
				t.Fatalf("the barrier did not wait for %s", id)
			}
		}
	})
}

// Spine 3: a node that cannot reach the database stops saying yes within a
// second, and a writer that waited for it goes on after 1.5 s at most, once.
// Let Live return nil always, or drop the lease's bound in renewLease, to see it fail.
func TestASilentNodeCostsTimeAndNotTruth(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		other := e.Node(t)
		seen := follow(other.Log)
		e.Start(t)
		other.Start(t)
		if err := other.Log.Live(); err != nil {
			t.Fatal(err)
		}
		other.DB.Close() // as if its network were cut: no more renewals, no goodbye
		began := time.Now()
		if err := change(e, dbtest.Realm, audit.Event{Action: "grant.revoke", Target: "g", Invalidates: true}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 2500*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if !slices.Contains(seen.targets(), "g") && other.Log.Live() == nil {
			t.Error("the silent node still says yes after the acknowledgement")
		}
		if err := other.Log.Live(); !fault.Is(err, fault.Unavailable) {
			t.Errorf("Live = %v, want unavailable", err)
		}
		began = time.Now()
		if err := change(e, dbtest.Realm, audit.Event{Action: "grant.revoke", Target: "h", Invalidates: true}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the second writer waited %v for a node that was given up", took)
		}
	})
}

// Spine 4, P-10: the database loses its newest changes. The node notices,
// raises the epoch, tells the deaths again, and its followers start over.
// Remove the call of agrees in renewLease, or of tellAgain in failover, to see it fail.
func TestALaggingFailoverRaisesTheEpoch(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		r := follow(e.Log)
		epochs := make(chan int64, 1)
		e.Log.OnEpoch(func(_ context.Context, epoch int64, recent []audit.Record) {
			if len(recent) != 2 || recent[1].Target != "g" {
				t.Errorf("recent = %v", recent)
			}
			epochs <- epoch
		})
		e.Start(t)
		if err := change(e, dbtest.Realm, audit.Event{Action: "a.kept", Target: "kept", Invalidates: true}); err != nil {
			t.Fatal(err)
		}
		kept := e.Log.Applied()
		if err := change(e, dbtest.Realm, audit.Event{Action: "grant.revoke", Target: "g", Invalidates: true, Deaths: []audit.Bit{{List: "l", Index: 7}}}); err != nil {
			t.Fatal(err)
		}
		// The standby that takes over never saw the second change.
		if err := e.DB.System(t.Context(), func(tx *db.Tx) error {
			if _, err := tx.Exec(`DELETE FROM events WHERE position > $1`, kept.Seq); err != nil {
				return err
			}
			if _, err := tx.Exec(`UPDATE log_heads SET seq = 1 WHERE realm = $1`, dbtest.Realm); err != nil {
				return err
			}
			_, err := tx.Exec(`UPDATE log_heads SET seq = $1 WHERE realm = ''`, kept.Seq)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got := <-epochs; got != kept.Epoch+1 {
			t.Errorf("epoch %d, want %d", got, kept.Epoch+1)
		}
		if n, began := e.Log.Epoch(); n != kept.Epoch+1 || !began.Equal(e.Clock.Now()) {
			t.Errorf("Epoch = %d, %v; want %d, now", n, began, kept.Epoch+1)
		}
		eventually(t, "the death is told again", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return slices.ContainsFunc(r.all, func(x audit.Record) bool {
				return x.Action == "log.reassert" && x.Position.Epoch == kept.Epoch+1 && slices.Equal(x.Deaths, []audit.Bit{{List: "l", Index: 7}})
			})
		})
		if r.resets != 1 {
			t.Errorf("%d resets, want 1", r.resets)
		}
		eventually(t, "the node says yes again", func() bool { return e.Log.Live() == nil })
		// A node that starts later, and further changes, do not forget it.
		began := e.Clock.Now()
		e.Clock.Advance(time.Minute)
		if err := change(e, dbtest.Realm, audit.Event{Action: "a.later", Target: "later", Invalidates: true}); err != nil {
			t.Fatal(err)
		}
		stored, err := view(e, func(tx *db.Tx) (db.Time, error) {
			return db.One(tx, db.Scalar[db.Time], `SELECT began_at FROM log_heads WHERE realm = ''`)
		})
		if err != nil || !stored.Equal(began) {
			t.Errorf("the row says %v, %v; want %v", stored, err, began)
		}
		t.Run("a later node", func(t *testing.T) {
			later := e.Node(t)
			later.Start(t)
			if n, at := later.Log.Epoch(); n != kept.Epoch+1 || !at.Equal(began) {
				t.Errorf("Epoch = %d, %v; want %d, %v", n, at, kept.Epoch+1, began)
			}
		})
	})
}

func view[T any](e *audittest.Env, read func(tx *db.Tx) (T, error)) (v T, err error) {
	err = e.DB.SystemView(context.Background(), func(tx *db.Tx) error {
		v, err = read(tx)
		return err
	})
	return v, err
}

func signer() audit.Signer {
	return audit.Ed25519Signer("id.example", func(realm string) ed25519.PrivateKey {
		seed := sha256.Sum256([]byte(realm))
		return ed25519.NewKeyFromSeed(seed[:])
	})
}

// AU-03: an event that was changed, removed, reordered or cut off is found.
func TestVerifyFindsTampering(t *testing.T) {
	tampers := map[string]string{
		"edit":     `UPDATE events SET body = replace(body, 'thing5"', 'thing6"') WHERE realm = 'test' AND leaf = 5`,
		"column":   `UPDATE events SET target = 'thing6' WHERE realm = 'test' AND leaf = 5`,
		"delete":   `DELETE FROM events WHERE realm = 'test' AND leaf = 5`,
		"truncate": `DELETE FROM events WHERE realm = 'test' AND leaf >= 8`,
		"reorder":  `UPDATE events SET leaf = CASE leaf WHEN 5 THEN 1005 ELSE leaf END WHERE realm = 'test'; UPDATE events SET leaf = 5 WHERE realm = 'test' AND leaf = 6; UPDATE events SET leaf = 6 WHERE realm = 'test' AND leaf = 1005`,
		"rewrite":  `DELETE FROM events WHERE realm = 'test' AND leaf = 9; UPDATE log_heads SET seq = 9 WHERE realm = 'test'`,
	}
	for name, statements := range tampers {
		t.Run(name, func(t *testing.T) {
			audittest.Run(t, func(t *testing.T, e *audittest.Env) {
				e.Log.SetSigner(signer())
				e.Start(t)
				for i := range 10 {
					if err := change(e, dbtest.Realm, audit.Event{Action: "a.b", Target: fmt.Sprint("thing", i), Invalidates: true}); err != nil {
						t.Fatal(err)
					}
				}
				c, err := e.Log.Checkpoint(t.Context(), dbtest.Realm)
				if err != nil || c.Size != 10 {
					t.Fatalf("Checkpoint = %+v, %v", c, err)
				}
				if v, err := e.Log.Verify(t.Context(), dbtest.Realm, c.Note); err != nil || v.Size != 10 || v.Checkpoints != 2 {
					t.Fatalf("untouched: %+v, %v", v, err)
				}
				if err := e.DB.System(t.Context(), func(tx *db.Tx) error {
					for _, s := range strings.Split(statements, "; ") {
						if _, err := tx.Exec(s); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				if _, err := e.Log.Verify(t.Context(), dbtest.Realm); err == nil {
					t.Error("nothing noticed")
				} else {
					t.Log(err)
				}
			})
		})
	}
}

// A long log verifies across tiles, and an event deep inside it cannot change.
func TestTiles(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		for i := range 13 {
			var events []audit.Event
			for k := range 50 {
				events = append(events, audit.Event{Action: "a.b", Target: fmt.Sprint(i*50 + k), Invalidates: true})
			}
			if err := change(e, dbtest.Realm, events...); err != nil {
				t.Fatal(err)
			}
		}
		if v, err := e.Log.Verify(t.Context(), dbtest.Realm); err != nil || v.Size != 650 {
			t.Fatalf("Verify = %+v, %v", v, err)
		}
		var n int
		if err := e.DB.System(t.Context(), func(tx *db.Tx) (err error) {
			if n, err = db.One(tx, db.Scalar[int], `SELECT count(*) FROM log_tiles WHERE realm = $1`, dbtest.Realm); err != nil {
				return err
			}
			_, err = tx.Exec(`UPDATE events SET body = replace(body, '"300"', '"301"'), target = '301' WHERE realm = $1 AND leaf = 300`, dbtest.Realm)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if n != 2 {
			t.Errorf("%d tiles, want 2", n)
		}
		if _, err := e.Log.Verify(t.Context(), dbtest.Realm); err == nil || !strings.Contains(err.Error(), "event 300") {
			t.Errorf("Verify = %v, want event 300 named", err)
		}
	})
}

// Spine 6: floods of anonymous failures are counted, not listed. Remove the look at
// s.seen from Activity to see it fail.
func TestActivityIsWrittenInSegments(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		for range 5 {
			e.Log.Activity(dbtest.Realm, audittest.By, audit.Activity{Action: "token.issue", Target: "gnt_1"})
		}
		for range 1000 {
			e.Log.Activity(dbtest.Realm, audit.Actor{Kind: "anonymous", IP: "192.0.2.1"}, audit.Activity{Action: "signin.refuse", Reason: "unknown"})
		}
		if err := e.Log.FlushActivity(t.Context()); err != nil {
			t.Fatal(err)
		}
		found, err := e.Log.Activities(t.Context(), dbtest.Realm, audit.ActivityFilter{Limit: 1000})
		all := found.Records
		if err != nil {
			t.Fatal(err)
		}
		var issued, refused int
		for _, a := range all {
			switch a.Action {
			case "token.issue":
				issued++
			case "signin.refuse":
				refused += max(1, a.Count)
			}
		}
		if issued != 5 || refused != 1000 || len(all) > 100 {
			t.Errorf("%d records: %d issued, %d refused", len(all), issued, refused)
		}
		if got := e.Events(t, dbtest.Realm); !slices.Contains(got, "activity.segment") {
			t.Errorf("events = %v, want the segment's hash among them", got)
		}
	})
}

// What happens after a segment was written is written too, by itself, and in the realm
// that it happened in. Have segment say that none begins, or FlushActivity leave the last
// one where it is, to see it fail.
func TestActivityBeginsSegmentsOfItsRealm(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		written := func(realm string) (targets []string) {
			t.Helper()
			found, err := e.Log.Activities(t.Context(), realm, audit.ActivityFilter{Limit: 1000})
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range found.Records {
				targets = append(targets, a.Target)
			}
			slices.Sort(targets)
			return targets
		}
		want := map[string][]string{}
		for round := range 3 {
			for i := range 4 {
				realm, target := []string{dbtest.Realm, dbtest.Neighbour}[i/2], fmt.Sprint(round, i)
				want[realm] = append(want[realm], target)
				e.Log.Activity(realm, audittest.By, audit.Activity{Action: "token.issue", Target: target})
				if i == 2 && round == 1 { // the next one is of the same realm
					if err := e.Log.FlushActivity(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			eventually(t, "activity", func() bool {
				return slices.Equal(written(dbtest.Realm), want[dbtest.Realm]) && slices.Equal(written(dbtest.Neighbour), want[dbtest.Neighbour])
			})
		}
	})
}

// AU-02: what is tried in vain on somebody's account is counted for them, by day
// and place; a flood from ever new places takes few rows. Have placeOf say that each
// is apart to see it fail.
func TestRefusalsAreCountedAndBounded(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		ada, eve := id.New("usr", e.DB.Now()), id.New("usr", e.DB.Now())
		try := func(target, ip, agent string) {
			e.Log.Activity(dbtest.Realm, audit.Actor{Kind: "anonymous", IP: ip, UserAgent: agent},
				audit.Activity{Action: "signin.refuse", Target: target, Reason: "password_wrong", Tell: "password"})
		}
		flush := func() {
			t.Helper()
			if err := e.Log.FlushActivity(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		of := func(who string) []audit.Refusal {
			t.Helper()
			all, err := e.Log.Refusals(t.Context(), dbtest.Realm, who, time.Time{}, e.DB.Now().Add(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		first := e.DB.Now()
		try(ada, "192.0.2.1", "Firefox\xff\x00")
		flush()
		e.Clock.Advance(time.Minute)
		for range 100 { // more than are listed
			try(ada, "192.0.2.1", "Firefox")
		}
		try("", "192.0.2.1", "Firefox")
		try("?nobody", "192.0.2.1", "Firefox")
		flush()
		if all := of(ada); len(all) != 1 || all[0].Count != 101 || all[0].Factor != "password" || all[0].IP != "192.0.2.1" || all[0].UserAgent != "Firefox" ||
			all[0].Last.Sub(all[0].First) != time.Minute || !all[0].First.Equal(first.Truncate(time.Millisecond)) {
			t.Errorf("got %+v", all)
		}
		for i := range 50 {
			try(ada, fmt.Sprint("192.0.2.", i), "Firefox")
			try(eve, "192.0.2.9", fmt.Sprint("Safari ", i))
			flush()
		}
		for who, want := range map[string]int64{ada: 151, eve: 50} {
			all, sum, rest := of(who), int64(0), 0
			for _, r := range all {
				if sum += r.Count; r.Factor == "" && r.IP == "" && r.UserAgent == "" {
					rest++
				}
			}
			if len(all) != 6 || sum != want || rest != 1 {
				t.Errorf("%d rows with %d tries: %+v", len(all), sum, all)
			}
		}
		try(eve, "192.0.2.9", "Safari") // not written when she goes
		if err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error { return audit.ForgetTx(tx, eve) }); err != nil {
			t.Fatal(err)
		}
		flush()
		if all := of(eve); len(all) != 0 {
			t.Errorf("not forgotten: %+v", all)
		}
		e.Clock.Advance(48 * time.Hour)
		try(ada, "192.0.2.1", "Firefox")
		flush()
		if all := of(ada); len(all) != 7 || all[0].Count != 1 || all[0].Last.Before(all[1].Last) {
			t.Errorf("on another day: %+v", all)
		}
		e.Clock.Advance(90 * 24 * time.Hour)
		if err := e.Log.Forget(t.Context(), dbtest.Realm); err != nil {
			t.Fatal(err)
		}
		if all := of(ada); len(all) != 1 {
			t.Errorf("after the sweep: %+v", all)
		}
	})
}

func TestQueryPages(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		for i := range 25 {
			e.Clock.Advance(time.Second)
			if err := change(e, dbtest.Realm, audit.Event{Action: []string{"client.update", "user.update"}[i%2], Target: fmt.Sprint("t", i)}); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		f := audit.Filter{Action: "client.", Limit: 5}
		for {
			page, next, err := e.Log.Query(t.Context(), dbtest.Realm, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page {
				got = append(got, r.Target)
			}
			if f.Before = next; next == "" {
				break
			}
		}
		if len(got) != 13 || got[0] != "t24" || got[12] != "t0" {
			t.Errorf("targets = %v", got)
		}
		for _, bad := range []audit.Filter{{Before: "' OR 1=1 --"}, {Limit: -1}, {Limit: 5000}} {
			if _, _, err := e.Log.Query(t.Context(), dbtest.Realm, bad); !fault.Is(err, fault.Invalid) {
				t.Errorf("Query(%+v) = %v, want invalid", bad, err)
			}
		}
	})
}

// Segments can be left out. A search that met too many of them gives the place to
// go on from, and what is older than asked for ends it.
func TestQueryOfDeeds(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		began := e.Clock.Now()
		write := func(action string, n int) {
			t.Helper()
			if err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
				for i := range n {
					audit.Append(tx, audit.System, audit.Event{Action: action, Target: fmt.Sprint(action, i)})
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		write("client.create", 1)
		e.Clock.Advance(3 * time.Hour)
		write("activity.segment", 6_000)
		write("decision.segment", 5_000)
		write("client.update", 2)
		query := func(f audit.Filter) (actions []string, next string) {
			t.Helper()
			all, next, err := e.Log.Query(t.Context(), dbtest.Realm, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range all {
				actions = append(actions, r.Action)
			}
			return actions, next
		}
		got, next := query(audit.Filter{Deeds: true})
		if fmt.Sprint(got) != "[client.update client.update]" || next == "" {
			t.Errorf("got %v, then %q", got, next)
		}
		if got, next := query(audit.Filter{Deeds: true, Before: next}); fmt.Sprint(got) != "[client.create]" || next != "" {
			t.Errorf("then %v, %q", got, next)
		}
		if got, next := query(audit.Filter{Deeds: true, Limit: 1}); len(got) != 1 || next == "" {
			t.Errorf("of one: %v, %q", got, next)
		}
		if got, next := query(audit.Filter{Deeds: true, Before: next, Since: began.Add(5 * time.Hour)}); len(got) != 0 || next != "" {
			t.Errorf("of late: %v, %q", got, next)
		}
		if got, _ := query(audit.Filter{Deeds: true, Target: "activity.segment7"}); len(got) != 0 {
			t.Errorf("of a segment: %v", got)
		}
		if got, _ := query(audit.Filter{Limit: 3}); fmt.Sprint(got) != "[client.update client.update decision.segment]" {
			t.Errorf("of all: %v", got)
		}
	})
}

func TestReplayIsCompleteUpToItsPosition(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		var middle audit.Position
		for i := range 10 {
			if err := change(e, dbtest.Realm, audit.Event{Action: "a.b", Target: fmt.Sprint(i), Invalidates: true}); err != nil {
				t.Fatal(err)
			}
			if err := change(e, dbtest.Neighbour, audit.Event{Action: "a.b", Target: "n", Invalidates: true}); err != nil {
				t.Fatal(err)
			}
			if i == 4 {
				middle = e.Log.Applied()
			}
		}
		var got []string
		upTo, err := e.Log.Replay(t.Context(), dbtest.Realm, middle, func(r audit.Record) error { got = append(got, r.Target); return nil })
		if err != nil || upTo != e.Log.Applied() || strings.Join(got, "") != "56789" {
			t.Errorf("Replay = %v up to %s, %v", got, upTo, err)
		}
	})
}

// A node that starts reads who is dead, and not everything else that happened.
func TestADeathIsFoundAmongManyEvents(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		said := map[string]any{"deaths": "none", "text": `"deaths":{},"cut":{},"jti":{}`}
		all := []audit.Event{
			{Action: "a.b", Target: "0", Deaths: []audit.Bit{{List: "slt_1", Index: 7}}},
			{Action: "a.b", Target: "1", Data: map[string]any{"text": said["text"]}},
			{Action: "a.b", Target: "2", Deaths: []audit.Bit{{List: "slt_1", Index: 8}, {List: "slt_2", Index: 0}}},
			{Action: "a.b", Target: "3", Cut: &audit.Cutoff{Kind: "principal", ID: "usr_1"}},
			{Action: "a.b", Target: "4"},
			{Action: "a.b", Target: "5", JTI: &audit.DeadToken{JTI: "x", Client: "cli_1", Expires: e.Clock.Now()}},
			{Action: "status_list.retire", TargetType: "status_list", Target: "6"},
			{Action: "status_lists.read", Target: "7"},
		}
		var middle audit.Position
		for i, event := range all {
			event.Invalidates = true
			if err := change(e, dbtest.Neighbour, event); err != nil {
				t.Fatal(err)
			}
			if err := change(e, dbtest.Realm, event); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				middle = e.Log.Applied()
			}
		}
		var got []string
		var last audit.Record
		watched, traffic := dbtest.Watch(t.Context())
		upTo, err := e.Log.ReplayDeaths(watched, dbtest.Realm, middle, func(r audit.Record) error {
			got, last = append(got, r.Target), r
			return nil
		})
		if err != nil || upTo != e.Log.Applied() || strings.Join(got, "") != "2356" || upTo.Before(last.Position) || last.Position.Before(middle) {
			t.Errorf("ReplayDeaths = %v up to %s, %v", got, upTo, err)
		}
		for most, want := range map[int]int{3: 3, 10: 4} {
			err := e.DB.View(watched, dbtest.Realm, func(tx *db.Tx) error {
				n, err := audit.DeathsTx(tx, middle, most)
				if n != want {
					t.Errorf("%d deaths, of at most %d; want %d", n, most, want)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		if plan := traffic.Plan(t, e.DB); e.DB.Engine() == db.SQLite && strings.Count(plan, "events_deaths (realm=? AND (epoch,position)>(?,?)") != 3 {
			t.Errorf("the deaths are looked for by:%s", plan)
		}
	})
}

func TestTheEndOfTheLogSaysWhichRealmsAreInUse(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		for _, name := range []string{dbtest.Neighbour, dbtest.Realm, dbtest.Realm} {
			if err := change(e, name, audit.Event{Action: "a.b", Invalidates: true}); err != nil {
				t.Fatal(err)
			}
		}
		for last, want := range map[int]string{2: dbtest.Realm, 3: dbtest.Neighbour + " " + dbtest.Realm} {
			watched, traffic := dbtest.Watch(t.Context())
			if got, err := e.Log.Lately(watched, last); err != nil || strings.Join(got, " ") != want {
				t.Errorf("of the last %d: %v, %v; want %s", last, got, err, want)
			}
			if plan := traffic.Plan(t, e.DB); e.DB.Engine() == db.SQLite && !strings.Contains(plan, "events USING INDEX events_position") {
				t.Error(plan)
			}
		}
	})
}
