package grant

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/client"
)

// leaf is a refresh token as the model knows it.
type leaf struct {
	text     string
	consumed time.Time
	idle     time.Time
	next     *leaf
}

// P-06 as a model: whatever a client and a thief do with all the tokens of a
// family they ever saw, with whatever pauses, the answers are those of a
// register with one living leaf.
func TestARefreshFamilyIsARegister(t *testing.T) {
	e := dbtest.Open(t, db.SQLite)
	w := build(t, audittest.New(t, e))
	w.Start(t)
	w.mustRealms(t)
	who := w.mustPerson(t, dbtest.Realm)
	c := w.mustClient(t, dbtest.Realm, func(s *client.Settings) { s.RefreshIdleTTL = 3600 })
	other := w.mustClient(t, dbtest.Realm)
	rapid.Check(t, func(rt *rapid.T) {
		p := who
		p.session = w.mustSession(t, p)
		t := rt
		g, text, err := w.create(w.ctx(), dbtest.Realm, grantFor(p, c, offline))
		if err != nil {
			t.Fatal(err)
		}
		first := &leaf{text: string(text), idle: w.Clock.Now().Add(time.Hour)}
		seen, dead := []*leaf{first}, false
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			w.Clock.Advance(rapid.SampledFrom([]time.Duration{0, time.Second, Grace, Grace + time.Millisecond, 50 * time.Minute, time.Hour}).Draw(t, "pause"))
			now := w.Clock.Now()
			one := rapid.SampledFrom(seen).Draw(t, "token")
			by1, mine := c, rapid.IntRange(0, 9).Draw(t, "client") > 0
			if !mine {
				by1 = other
			}
			var want Outcome
			switch {
			case one.consumed.IsZero() && !mine:
				want = Unknown
			case one.consumed.IsZero() && !now.Before(one.idle):
				want = Expired
			case one.consumed.IsZero() && dead:
				want = Unknown
			case one.consumed.IsZero():
				want = OK
			case mine && !dead && now.Sub(one.consumed) <= Grace && one.next.consumed.IsZero() && now.Before(one.next.idle):
				want = Repeated
			default:
				want = Reused
			}
			r, err := w.Refresh(w.ctx(), by, by1, one.text, "")
			if err != nil {
				t.Fatal(err)
			}
			if r.Outcome != want || (r.Token != "") != (want == OK || want == Repeated) {
				t.Fatalf("%v, want %v", r.Outcome, want)
			}
			switch want {
			case OK:
				one.consumed, one.next = now, &leaf{text: string(r.Token), idle: now.Add(time.Hour)}
				seen = append(seen, one.next)
			case Repeated:
				if string(r.Token) != one.next.text {
					t.Fatal("another successor than before")
				}
			case Reused:
				dead = true
			}
			if is, err := w.Status.Dead(w.ctx(), dbtest.Realm, g.Status); err != nil || is != dead {
				t.Fatalf("dead = %v, %v; want %v", is, err, dead)
			}
		}
	})
}
