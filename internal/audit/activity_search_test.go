package audit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
)

// wrote is a log in which flush writes what gathered, and nothing else does.
type wrote struct {
	*dbtest.Env
	*Log
}

func (w wrote) flush(t *testing.T) {
	t.Helper()
	if err := w.FlushActivity(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// tokens notes tokens of two clients in turn, named by numbers, a second and a segment
// each.
func (w wrote) tokens(t *testing.T, realm string, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		client := fmt.Sprint("cli_", i%2)
		w.Activity(realm, Actor{Kind: "client", ID: client, IP: fmt.Sprint("192.0.2.", i%3)}, Activity{Action: "token.issue", Target: fmt.Sprint("gnt_", i%4),
			Data: Details{"jti", fmt.Sprint("jti", i), "client", client}})
		w.Clock.Advance(500 * time.Millisecond)
		w.flush(t)
		w.Clock.Advance(500 * time.Millisecond)
	}
}

func jtis(p ActivityPage) string {
	var all []string
	for _, a := range p.Records {
		all = append(all, strings.TrimPrefix(a.Data.Get("jti"), "jti"))
	}
	return strings.Join(all, " ")
}

// What somebody did in a time is found by what the records say, in the realm only.
func TestActivityIsSearched(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		w := wrote{e, New(e.DB, Options{})}
		began := e.DB.Now()
		at := func(s float64) time.Time { return began.Add(time.Duration(s * float64(time.Second))) }
		w.tokens(t, dbtest.Realm, 0, 8)
		w.tokens(t, dbtest.Neighbour, 8, 9)
		nasty := Actor{Kind: "person", ID: `u"<&>ü`, Session: "ses_1", Client: "console"}
		w.Activity(dbtest.Realm, nasty, Activity{Action: "signin.refuse", Target: "usr_1", Reason: "wrong", Data: Details{"jti", "jtix"}})
		w.Activity(dbtest.Realm, Actor{Kind: "anonymous", IP: "192.0.2.9"}, Activity{Action: "client.refuse", Target: "cli_1", Data: Details{"jti", "jtiy"}})
		w.flush(t)
		for name, c := range map[string]struct {
			f    ActivityFilter
			want string
		}{
			"everything":       {ActivityFilter{}, "y x 7 6 5 4 3 2 1 0"},
			"a client":         {ActivityFilter{Client: "cli_1"}, "y 7 5 3 1"},
			"one that acted":   {ActivityFilter{Client: "console"}, "x"},
			"part of a name":   {ActivityFilter{Client: "cli_"}, ""},
			"an actor":         {ActivityFilter{Actor: "cli_0"}, "6 4 2 0"},
			"an odd actor":     {ActivityFilter{Actor: `u"<&>ü`}, "x"},
			"a grant":          {ActivityFilter{Target: "gnt_3"}, "7 3"},
			"an address":       {ActivityFilter{IP: "192.0.2.1"}, "7 4 1"},
			"a token":          {ActivityFilter{JTI: "jti5"}, "5"},
			"a session":        {ActivityFilter{Session: "ses_1"}, "x"},
			"a kind":           {ActivityFilter{Action: "signin."}, "x"},
			"an odd kind":      {ActivityFilter{Action: `signin"`}, ""},
			"two things":       {ActivityFilter{Client: "cli_1", IP: "192.0.2.1"}, "7 1"},
			"a time":           {ActivityFilter{Since: at(2), Until: at(5)}, "4 3 2"},
			"to the end":       {ActivityFilter{Since: at(6.5)}, "y x 7"},
			"to the beginning": {ActivityFilter{Until: at(1.5)}, "1 0"},
			"before it":        {ActivityFilter{Until: at(-1)}, ""},
			"after it":         {ActivityFilter{Since: at(60)}, ""},
			"no time at all":   {ActivityFilter{Since: at(5), Until: at(2)}, ""},
			"long ago":         {ActivityFilter{Since: time.Unix(-1e11, 0), Until: time.Unix(-1e10, 0)}, ""},
		} {
			t.Run(name, func(t *testing.T) {
				for _, limit := range []int{1, 2, 1000} {
					var got []string
					c.f.After = ""
					for c.f.Limit = limit; ; {
						p, err := w.Activities(t.Context(), dbtest.Realm, c.f)
						if err != nil || len(p.Records) > limit {
							t.Fatalf("%d, %v", len(p.Records), err)
						}
						if s := jtis(p); s != "" {
							got = append(got, s)
						}
						if c.f.After = p.Next; p.Next == "" {
							break
						}
					}
					if got := strings.Join(got, " "); got != c.want {
						t.Errorf("in pages of %d: %q, want %q", limit, got, c.want)
					}
				}
			})
		}
		for _, f := range []ActivityFilter{{After: "x"}, {After: "act_x.1"}, {After: id.New("act", began)}, {After: id.New("act", began) + ".-1"}, {After: id.New("evt", began) + ".1"}, {Limit: -1}, {Limit: 1001}} {
			if _, err := w.Activities(t.Context(), dbtest.Realm, f); !fault.Is(err, fault.Invalid) {
				t.Errorf("%+v: %v", f, err)
			}
		}
	})
}

// A page token names a record: what is written meanwhile moves nothing.
func TestPagesOfActivityJoinUp(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		w := wrote{e, New(e.DB, Options{})}
		for i := range 10 { // one segment
			w.Activity(dbtest.Realm, System, Activity{Action: "a.b", Data: Details{"jti", fmt.Sprint(i)}})
		}
		w.flush(t)
		e.Clock.Advance(time.Second)
		var got []string
		for f := (ActivityFilter{Limit: 3}); ; {
			p, err := w.Activities(t.Context(), dbtest.Realm, f)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, jtis(p))
			if f.After = p.Next; p.Next == "" {
				break
			}
			w.tokens(t, dbtest.Realm, 20, 22)
		}
		if want := "9 8 7|6 5 4|3 2 1|0"; strings.Join(got, "|") != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// What was written long after it happened is found by when it happened: it is not looked
// for in everything that was written since.
func TestWhatIsWrittenLateIsFound(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		w := wrote{e, New(e.DB, Options{})}
		began := e.DB.Now()
		for i := range 40 {
			w.Activity(dbtest.Realm, System, Activity{Action: "a.b", Data: Details{"jti", fmt.Sprint(i)}})
			e.Clock.Advance(time.Second)
		}
		e.Clock.Advance(time.Hour)
		w.flush(t)
		p, err := w.Activities(t.Context(), dbtest.Realm, ActivityFilter{Since: began.Add(20 * time.Second), Until: began.Add(24 * time.Second)})
		if got := jtis(p); err != nil || got != "23 22 21 20" {
			t.Errorf("got %q, %v", got, err)
		}
		if err := e.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			all, err := db.All(tx, db.Scalar[string], `SELECT id FROM activity WHERE realm = $1`, dbtest.Realm)
			if err != nil || len(all) != 4 {
				t.Errorf("%d segments, %v", len(all), err)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}

// A search reads so many segments at most, of its time only, and says up to when it
// looked.
func TestASearchOfActivityIsBounded(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		w := wrote{e, New(e.DB, Options{})}
		began := e.DB.Now()
		const all = 2*searchedAtMost + 100
		if err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			for i := range all {
				at := began.Add(time.Duration(i) * time.Minute)
				text := appendSegment(nil, []Activity{{At: at, Action: "token.issue", Actor: Actor{Kind: "client", ID: fmt.Sprint("cli_", i/searchedAtMost)}, Data: Details{"jti", fmt.Sprint(i)}}})
				if err := insertSegment(tx, id.New("act", at), "node", 1, string(text)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		f := ActivityFilter{Client: "cli_0", Limit: 2}
		p, err := w.Activities(t.Context(), dbtest.Realm, f)
		if reached := began.Add((searchedAtMost + 100) * time.Minute); err != nil || len(p.Records) != 0 || p.Next == "" || !p.Reached.Equal(reached) {
			t.Errorf("%q up to %v, want %v, %v", jtis(p), p.Reached, reached, err)
		}
		f.After = p.Next
		if p, err = w.Activities(t.Context(), dbtest.Realm, f); err != nil || jtis(p) != "999 998" || p.Next == "" {
			t.Errorf("%q, %v", jtis(p), err)
		}
		f = ActivityFilter{Client: "cli_0", Since: began.Add(-time.Hour), Until: began.Add(90 * time.Second)}
		if p, err = w.Activities(t.Context(), dbtest.Realm, f); err != nil || jtis(p) != "1 0" || p.Next != "" {
			t.Errorf("what ended long ago: %q, %+v, %v", jtis(p), p, err)
		}
		f = ActivityFilter{Client: "cli_9", Since: began.Add((all - 500) * time.Minute)}
		if p, err = w.Activities(t.Context(), dbtest.Realm, f); err != nil || len(p.Records) != 0 || p.Next != "" {
			t.Errorf("what is not there: %+v, %v", p, err)
		}
	})
}

// Large segments are held a few at a time, and all of them are searched.
func TestASearchHoldsBoundedText(t *testing.T) {
	d := dbtest.Open(t, db.SQLite)
	w := wrote{d, New(d.DB, Options{})}
	began := d.DB.Now()
	const large = searchedBytes/3 + 1
	for i := range 7 {
		at := began.Add(time.Duration(i) * time.Minute)
		text := appendSegment(nil, []Activity{{At: at, Action: "a.b", Target: strings.Repeat("x", large), Data: Details{"jti", fmt.Sprint(i)}}})
		if err := d.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			return insertSegment(tx, id.New("act", at), "node", 1, string(text))
		}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for f := (ActivityFilter{}); ; {
		p, err := w.Activities(t.Context(), dbtest.Realm, f)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, jtis(p))
		if f.After = p.Next; p.Next == "" {
			break
		}
	}
	if fmt.Sprint(got) != "[6 5 4 3 2 1 0]" && fmt.Sprint(got) != "[6 5 4 3 2 1 0 ]" || len(got) < 3 {
		t.Errorf("got %q", got)
	}
}

// Whoever makes a segment unreadable hides no other, and not that there was one.
func TestUnreadableActivityIsNamed(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		w := wrote{e, New(e.DB, Options{})}
		w.tokens(t, dbtest.Realm, 0, 3)
		var broken string
		if err := e.DB.System(t.Context(), func(tx *db.Tx) (err error) {
			if broken, err = db.One(tx, db.Scalar[string], `UPDATE activity SET body = '[' || body WHERE body LIKE '%jti1%' RETURNING id`); err != nil {
				return err
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		p, err := w.Activities(t.Context(), dbtest.Realm, ActivityFilter{})
		if err != nil || jtis(p) != "2 0" || len(p.Unreadable) != 1 || p.Unreadable[0] != broken {
			t.Errorf("%+v, %v", p, err)
		}
	})
}
