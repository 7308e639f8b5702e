package once_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/secret"
)

// env is a store whose epoch tests can raise.
type env struct {
	*dbtest.Env
	*once.Store
	epoch int64
	began time.Time
}

func run(t *testing.T, fn func(t *testing.T, e *env)) {
	dbtest.Run(t, func(t *testing.T, d *dbtest.Env) {
		e := &env{Env: d, epoch: 1}
		e.Store = once.New(d.DB, func() (int64, time.Time) { return e.epoch, e.began })
		fn(t, e)
	})
}

// key is one that is first shown now.
func (e *env) key(p once.Purpose, client, value string, until time.Time) once.Key {
	return once.Key{Purpose: p, Client: client, Value: value, From: e.Clock.Now(), Until: until}
}

func (e *env) mustPut(t *testing.T, realm string, v once.Value) secret.Text {
	t.Helper()
	value := secret.New("cdc_")
	if v.Payload == nil {
		v.Payload = json.RawMessage(`{}`)
	}
	if v.Expires.IsZero() {
		v.Expires = e.Clock.Now().Add(time.Minute)
	}
	err := e.DB.Update(t.Context(), realm, func(tx *db.Tx) error { return e.Put(tx, value, v) })
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func (e *env) mustConsume(t *testing.T, realm string, value secret.Text, u once.Use) (v once.Value, o once.Outcome) {
	t.Helper()
	err := e.DB.UpdateRC(t.Context(), realm, func(tx *db.Tx) (err error) {
		v, o, err = e.Consume(tx, string(value), u)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return v, o
}

var use = once.Use{Purpose: once.Code, Client: "cli_a", Binding: once.Bind("https://a.example/cb", "challenge"), Issues: "gnt_1"}

func code() once.Value {
	return once.Value{Purpose: use.Purpose, Subject: "usr_1", Client: use.Client, Binding: use.Binding, Payload: json.RawMessage(`{"nonce":"n"}`)}
}

func TestAValueIsGoodForOneUse(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		value := e.mustPut(t, dbtest.Realm, code())
		v, o := e.mustConsume(t, dbtest.Realm, value, use)
		if o != once.OK || v.Subject != "usr_1" || string(v.Payload) != `{"nonce":"n"}` {
			t.Fatalf("first use: %v, %+v; want ok and what was put", o, v)
		}
		again := use
		again.Issues = "gnt_2"
		if v, o := e.mustConsume(t, dbtest.Realm, value, again); o != once.Reused || v.Issued != "gnt_1" {
			t.Errorf("second use: %v, issued %q; want reused, and what the first use issued", o, v.Issued)
		}
		e.Clock.Advance(time.Hour)
		if _, o := e.mustConsume(t, dbtest.Realm, value, use); o != once.Reused {
			t.Errorf("use after its time: %v; a second use is still one", o)
		}
	})
}

// Remove `AND consumed_at = 0` from the statement in consume to see this fail.
// It is the guard of P-05: isolation alone does not carry it.
func TestOfManyUsesAtOnceOneSucceeds(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		for round := range 5 {
			value := e.mustPut(t, dbtest.Realm, code())
			var mu sync.Mutex
			got := map[once.Outcome]int{}
			var wg sync.WaitGroup
			for i := range 64 {
				u := use
				u.Issues = fmt.Sprint("gnt_", i)
				wg.Go(func() {
					var o once.Outcome
					err := e.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
						_, o, err = e.Consume(tx, string(value), u)
						return err
					})
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					got[o]++
				})
			}
			wg.Wait()
			if got[once.OK] != 1 || got[once.Reused] != 63 {
				t.Fatalf("round %d: %v; want one ok and 63 reused", round, got)
			}
		}
	})
}

func TestAValueIsBoundToAllItWasMadeFor(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		value := e.mustPut(t, dbtest.Realm, code())
		for name, spoil := range map[string]func(*once.Use){
			"purpose":              func(u *once.Use) { u.Purpose = "signin" },
			"client":               func(u *once.Use) { u.Client = "cli_b" },
			"redirect URI":         func(u *once.Use) { u.Binding = once.Bind("https://b.example/cb", "challenge") },
			"challenge":            func(u *once.Use) { u.Binding = once.Bind("https://a.example/cb", "other") },
			"parts run together":   func(u *once.Use) { u.Binding = once.Bind("https://a.example/cbchallenge") },
			"parts cut elsewhere":  func(u *once.Use) { u.Binding = once.Bind("https://a.example/c", "bchallenge") },
			"client and challenge": func(u *once.Use) { u.Client, u.Binding = "cli_b", once.Bind("https://a.example/cb", "other") },
		} {
			u := use
			spoil(&u)
			if v, o := e.mustConsume(t, dbtest.Realm, value, u); o != once.Unknown || v.Subject != "" {
				t.Errorf("with another %s: %v, %+v; want unknown and nothing", name, o, v)
			}
		}
		if _, o := e.mustConsume(t, dbtest.Neighbour, value, use); o != once.Unknown {
			t.Errorf("in another realm: %v, want unknown", o)
		}
		if _, o := e.mustConsume(t, dbtest.Realm, value, use); o != once.OK {
			t.Errorf("after all those attempts: %v, want ok: a wrong use uses nothing up", o)
		}
	})
}

func TestExpiryIsDecidedAtUse(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		value := e.mustPut(t, dbtest.Realm, code())
		e.Clock.Advance(time.Minute)
		if _, o := e.mustConsume(t, dbtest.Realm, value, use); o != once.Expired {
			t.Errorf("at the very end: %v, want expired", o)
		}
	})
}

// Spine 4, failover: remove `AND epoch = $8` from the statement in consume to
// see this fail.
func TestValuesOfAnOldEpochAreDead(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		value := e.mustPut(t, dbtest.Realm, code())
		e.epoch++
		if _, o := e.mustConsume(t, dbtest.Realm, value, use); o != once.Expired {
			t.Errorf("after a failover: %v, want expired", o)
		}
	})
}

// Spine 4, failover: what was seen may be forgotten, so a key that could have
// been accepted before the epoch began is refused. Compare with k.Until instead
// of k.From in AskBurn to see this fail.
func TestAKeyOfAnOldEpochIsRefused(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		old := e.key("assertion", "cli_a", "jti-1", e.Clock.Now().Add(5*time.Minute))
		if seen, err := e.Seen(t.Context(), dbtest.Realm, old); err != nil || seen {
			t.Fatalf("before the failover: %v, %v; want new", seen, err)
		}
		e.Clock.Advance(time.Second)
		e.epoch, e.began = e.epoch+1, e.Clock.Now()
		err := e.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) error { // the standby had not got it
			_, err := tx.Exec(`DELETE FROM once_seen WHERE realm = $1`, tx.Realm)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			from time.Time
			want bool
		}{
			"the same again":              {old.From, true},
			"acceptable as it began":      {e.began, true},
			"acceptable only after it":    {e.began.Add(time.Millisecond), false},
			"long after it, as seen once": {e.began.Add(time.Minute), false},
		} {
			k := old
			k.Value, k.From = name, c.from
			if c.from.Equal(old.From) {
				k = old
			}
			if seen, err := e.Seen(t.Context(), dbtest.Realm, k); err != nil || seen != c.want {
				t.Errorf("%s: %v, %v; want %v", name, seen, err, c.want)
			}
		}
	})
}

func TestPeekAndAmend(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		value := e.mustPut(t, dbtest.Realm, code())
		ctx := t.Context()
		var seen once.Value
		err := e.DB.Update(ctx, dbtest.Realm, func(tx *db.Tx) (err error) {
			var o once.Outcome
			if seen, o, err = e.Peek(tx, string(value), use); err != nil || o != once.OK {
				t.Errorf("peek: %v, %v", o, err)
			}
			first, err := e.Amend(tx, string(value), use, seen.Version, json.RawMessage(`{"step":2}`))
			if err != nil || !first {
				t.Errorf("amend = %v, %v; want true", first, err)
			}
			second, err := e.Amend(tx, string(value), use, seen.Version, json.RawMessage(`{"step":3}`))
			if err != nil || second {
				t.Errorf("amend of an older version = %v, %v; want false", second, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if v, o := e.mustConsume(t, dbtest.Realm, value, use); o != once.OK || string(v.Payload) != `{"step":2}` {
			t.Errorf("consume = %v, %s; want what was amended", o, v.Payload)
		}
		err = e.DB.Update(ctx, dbtest.Realm, func(tx *db.Tx) error {
			if late, err := e.Amend(tx, string(value), use, seen.Version+1, json.RawMessage(`{}`)); err != nil || late {
				t.Errorf("amend after use = %v, %v; want false", late, err)
			}
			if err := e.Discard(tx, string(value), once.Code); err != nil {
				return err
			}
			_, o, err := e.Peek(tx, string(value), use)
			if o != once.Unknown {
				t.Errorf("after discard: %v, want unknown", o)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestProlong: a value lives as long as it was last given, and a reading that
// is out of date prolongs nothing.
func TestProlong(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		value := e.mustPut(t, dbtest.Realm, code())
		prolong := func(version int64, life time.Duration) (done bool) {
			t.Helper()
			err := e.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
				done, err = e.Prolong(tx, string(value), use, version, json.RawMessage(`{"step":2}`), tx.Now.Add(life))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return done
		}
		if prolong(2, time.Hour) || !prolong(1, time.Hour) || prolong(1, 2*time.Hour) {
			t.Error("exactly the reading of the present version prolongs")
		}
		e.Clock.Advance(59 * time.Minute)
		if v, o := e.mustConsume(t, dbtest.Realm, value, use); o != once.OK || string(v.Payload) != `{"step":2}` {
			t.Errorf("within its new life: %v, %s", o, v.Payload)
		}
		if prolong(2, time.Hour) {
			t.Error("a used value was prolonged")
		}
		value = e.mustPut(t, dbtest.Realm, code())
		e.Clock.Advance(2 * time.Minute)
		if prolong(1, time.Hour) {
			t.Error("an expired value was prolonged")
		}
	})
}

// Remove `ON CONFLICT DO NOTHING`'s row count from note (return true always) to
// see this fail: CL-02, P-07.
func TestAnAssertionIsAcceptedOnce(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		until := e.Clock.Now().Add(5 * time.Minute)
		var mu sync.Mutex
		fresh := 0
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				seen, err := e.Seen(t.Context(), dbtest.Realm, e.key("assertion", "cli_a", "jti-1", until))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if !seen {
					fresh++
				}
			})
		}
		wg.Wait()
		if fresh != 1 {
			t.Errorf("%d of 64 were new, want 1", fresh)
		}
		for name, at := range map[string][3]string{
			"another client":  {dbtest.Realm, "assertion", "cli_b"},
			"another purpose": {dbtest.Realm, "dpop", "cli_a"},
			"another realm":   {dbtest.Neighbour, "assertion", "cli_a"},
		} {
			if seen, err := e.Seen(t.Context(), at[0], e.key(once.Purpose(at[1]), at[2], "jti-1", until)); err != nil || seen {
				t.Errorf("%s: seen = %v, %v; want new", name, seen, err)
			}
		}
		if seen, err := e.Seen(t.Context(), dbtest.Realm, e.key("assertion", "cli_a", "jti-2", e.Clock.Now())); err != nil || !seen {
			t.Errorf("an assertion that has expired: seen = %v, %v; want refused", seen, err)
		}
	})
}

func TestCollectForgetsOnlyWhatNoLongerMatters(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		old := e.mustPut(t, dbtest.Realm, code())
		other := e.mustPut(t, dbtest.Neighbour, code())
		if _, err := e.Seen(t.Context(), dbtest.Realm, e.key("assertion", "cli_a", "jti", e.Clock.Now().Add(time.Minute))); err != nil {
			t.Fatal(err)
		}
		collect := func(want int64) {
			t.Helper()
			if n, err := e.Collect(t.Context(), dbtest.Realm); err != nil || n != want {
				t.Errorf("collected %d, %v; want %d", n, err, want)
			}
		}
		collect(0)
		e.Clock.Advance(2 * time.Minute)
		collect(1) // the assertion; the code is remembered for late second uses
		if _, o := e.mustConsume(t, dbtest.Realm, old, use); o != once.Expired {
			t.Errorf("an expired code: %v, want expired", o)
		}
		e.Clock.Advance(once.Keep)
		collect(1)
		if _, o := e.mustConsume(t, dbtest.Realm, old, use); o != once.Unknown {
			t.Errorf("a forgotten code: %v, want unknown", o)
		}
		if _, o := e.mustConsume(t, dbtest.Neighbour, other, use); o != once.Expired {
			t.Errorf("the neighbour's code: %v; it was not ours to collect", o)
		}
	})
}

func TestTheDatabaseDoesNotTellTheValue(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		value := e.mustPut(t, dbtest.Realm, code())
		var stored []byte
		err := e.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
			stored, err = db.One(tx, db.Scalar[[]byte], `SELECT hash FROM once WHERE realm = $1`, tx.Realm)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if !secret.Equal(stored, secret.Hash(string(value))) {
			t.Errorf("stored %x, want the SHA-256 of the value", stored)
		}
	})
}

// A bound that every further assertion has to count up to would itself be a way
// to wear the server out, so the count is asked for only at the bound.
func TestAClientsAssertionsAreBounded(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		until := e.Clock.Now().Add(time.Minute)
		fill := func(n int) {
			err := e.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
				_, err := tx.Exec(`INSERT INTO once_seen (realm, purpose, client, hash, expires_at)
					WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $5)
					SELECT $1, $2, $3, `+map[db.Engine]string{db.SQLite: `CAST('k' || i AS BLOB)`, db.Postgres: `convert_to('k' || i, 'UTF8')`}[e.DB.Engine()]+`, $4 FROM n`,
					tx.Realm, "assertion", "cli_a", db.At(until), n)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		fill(once.SeenPerClient)
		if _, err := e.Seen(t.Context(), dbtest.Realm, e.key("assertion", "cli_a", "one too many", until)); !fault.Is(err, fault.TooMany) {
			t.Errorf("past the bound: %v, want too many", err)
		}
		if seen, err := e.Seen(t.Context(), dbtest.Realm, e.key("assertion", "cli_b", "mine", until)); err != nil || seen {
			t.Errorf("another client: %v, %v; want new", seen, err)
		}
		e.Clock.Advance(2 * time.Minute)
		if seen, err := e.Seen(t.Context(), dbtest.Realm, e.key("assertion", "cli_a", "later", e.Clock.Now().Add(time.Minute))); err != nil || seen {
			t.Errorf("when the others have expired: %v, %v; want new", seen, err)
		}
	})
}

// Proofs and assertions are on hot paths: what is remembered and what was found
// travel together.
func TestSeenIsOneRoundTrip(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		if e.DB.Engine() != db.Postgres {
			t.Skip("nothing travels to SQLite")
		}
		for i := range 3 {
			ctx, sent := dbtest.Watch(t.Context())
			k := e.key("assertion", "cli_a", fmt.Sprint("jti-", min(i, 1)), e.Clock.Now().Add(time.Minute))
			if seen, err := e.Seen(ctx, dbtest.Realm, k); err != nil || seen != (i == 2) {
				t.Fatalf("try %d: %v, %v", i, seen, err)
			}
			if i > 0 && sent.Trips() != 1 { // the first one counts what there is
				t.Errorf("%d round trips%s", sent.Trips(), sent)
			}
		}
	})
}
