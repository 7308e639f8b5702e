package journal_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
)

func open(e *audittest.Env) *journal.Journal {
	return journal.New(e.DB, "node-1", slog.New(slog.DiscardHandler))
}

func user(id string) policy.Entity { return policy.Entity{Type: "user", ID: id} }
func doc(id string) policy.Entity  { return policy.Entity{Type: "document", ID: id} }

// decided is a decision that holds something of everything.
func decided(at time.Time, n int) *journal.Entry {
	step := func(s policy.Entity, relation string, o policy.Entity) policy.Step {
		return policy.Step{Subject: s, Relation: relation, Object: o, Expires: int64(n)}
	}
	team := policy.Entity{Type: "group", ID: "team\x00:#@,"}
	return &journal.Entry{ID: id.New(journal.Prefix, at), At: at, Kind: journal.Evaluation, Revision: fmt.Sprintf("1.%d", n),
		Question: policy.Question{Subject: user(fmt.Sprintf("user-%d", n)), Action: "read", Resource: doc("plan"), At: at,
			SubjectProperties:  policy.Properties{"role": "admin"},
			ActionProperties:   policy.Properties{"soft": true},
			ResourceProperties: policy.Properties{"size": json.Number("12.5e3"), "tags": []any{"a", nil, false, json.Number("7")}},
			Context:            policy.Properties{"ip": "192.0.2.1", "device": map[string]any{"serial": "S-1", "trusted": true}, "none": nil, "long": strings.Repeat("x", 5000)}},
		Answer: policy.Answer{Allowed: n%2 == 0, Determining: []string{"readers"}, PolicyHash: "hash", Revision: int64(n), StepUp: &policy.StepUp{ACR: "aal2", MaxAge: time.Minute},
			Reasons: []policy.Reason{{Policy: "readers", Text: "readers read"}, {Error: "what went wrong"}},
			Path:    []policy.Step{step(user(fmt.Sprintf("user-%d", n)), "member", team), step(team, "reader", doc("plan"))}},
		Client: "pep", Principal: "svc_1", CallerToken: "jti-1", Request: fmt.Sprintf("req-%d", n), Token: "jti-2", Grant: "gnt_1", Session: "ses_1", Application: "web"}
}

func TestDecisionsComeBackAsTheyWere(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		j, ctx := open(e), t.Context()
		var all []*journal.Entry
		for n := range 50 {
			all = append(all, decided(e.Clock.Now(), n))
			j.Note(dbtest.Realm, "", all[n])
			e.Clock.Advance(time.Millisecond)
		}
		if err := j.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		for _, want := range all {
			got, err := j.ByID(ctx, dbtest.Realm, want.ID)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("got  %+v\nwant %+v", got, want)
			}
		}
		for name, decision := range map[string]string{"never made": id.New(journal.Prefix, e.Clock.Now()), "no id": "dec_x", "nothing": ""} {
			if _, err := j.ByID(ctx, dbtest.Realm, decision); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := j.ByID(ctx, dbtest.Neighbour, all[0].ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("the neighbour finds it: %v", err)
		}
		n := 0
		for got, err := range j.Replay(ctx, dbtest.Realm, all[10].At, all[40].At) {
			if err != nil {
				t.Fatal(err)
			}
			if want := all[39-n]; got.ID != want.ID || !got.Asked() {
				t.Fatalf("replay %d: %s, want %s", n, got.ID, want.ID)
			}
			n++
		}
		if n != 30 {
			t.Errorf("%d decisions are replayed", n)
		}
	})
}

// The hash of each segment is in the log, so that none can be changed later.
func TestSegmentsAreSealedByTheLog(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		j := open(e)
		j.Note(dbtest.Realm, "", decided(e.Clock.Now(), 1))
		if err := j.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := j.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		found, _, err := e.Log.Query(t.Context(), dbtest.Realm, audit.Filter{Action: "decision.segment", Limit: 10})
		if err != nil || len(found) != 1 || found[0].Data["sha256"] == "" {
			t.Errorf("%v %v", found, err)
		}
	})
}

func TestListsAreFilteredAndPaged(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		j, ctx := open(e), t.Context()
		start := e.Clock.Now()
		for n := range 60 {
			j.Note(dbtest.Realm, "", decided(e.Clock.Now(), n))
			e.Clock.Advance(time.Second)
			if n%7 == 0 {
				if err := j.Flush(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := j.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		yes, no := true, false
		for _, c := range []struct {
			name string
			f    journal.Filter
			want int
		}{
			{"all", journal.Filter{}, 60},
			{"permitted", journal.Filter{Allowed: &yes}, 30},
			{"denied", journal.Filter{Allowed: &no}, 30},
			{"a subject", journal.Filter{Subject: user("user-7")}, 1},
			{"a type of subject", journal.Filter{Subject: policy.Entity{Type: "user"}}, 60},
			{"another type", journal.Filter{Subject: policy.Entity{Type: "group"}}, 0},
			{"a resource", journal.Filter{Resource: doc("plan")}, 60},
			{"an action", journal.Filter{Action: "write"}, 0},
			{"a request", journal.Filter{Request: "req-3"}, 1},
			{"a client", journal.Filter{Client: "pep", Session: "ses_1", Grant: "gnt_1", Policy: "readers"}, 60},
			{"a policy", journal.Filter{Policy: "writers"}, 0},
			{"a time", journal.Filter{Since: start.Add(10 * time.Second), Until: start.Add(20 * time.Second)}, 10},
		} {
			seen, after := []string{}, ""
			for {
				page, next, err := j.List(ctx, dbtest.Realm, c.f, after, 9)
				if err != nil {
					t.Fatal(err)
				}
				for _, one := range page {
					if len(seen) > 0 && one.ID >= seen[len(seen)-1] {
						t.Fatalf("%s: %s comes after %s", c.name, one.ID, seen[len(seen)-1])
					}
					seen = append(seen, one.ID)
				}
				if next == "" {
					break
				}
				after = next
			}
			if len(seen) != c.want {
				t.Errorf("%s: %d, want %d", c.name, len(seen), c.want)
			}
		}
		if _, _, err := j.List(ctx, dbtest.Realm, journal.Filter{}, "dcs_x.1", 9); !fault.Is(err, fault.Invalid) {
			t.Errorf("an invented place: %v", err)
		}
		if none, _, err := j.List(ctx, dbtest.Neighbour, journal.Filter{}, "", 9); err != nil || len(none) != 0 {
			t.Errorf("the neighbour sees %v %v", none, err)
		}
	})
}

func TestMaskedValuesAreNotWritten(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		j := open(e)
		d := decided(e.Clock.Now(), 2)
		j.Note(dbtest.Realm, "context.ip context.device.serial subject.role", d)
		got, err := j.ByID(t.Context(), dbtest.Realm, d.ID)
		if err != nil {
			t.Fatal(err)
		}
		device, _ := got.Question.Context["device"].(map[string]any)
		if got.Question.Context["ip"] != journal.Hidden || device["serial"] != journal.Hidden || got.Question.SubjectProperties["role"] != journal.Hidden || device["trusted"] != true {
			t.Errorf("%+v", got.Question)
		}
		if !got.Masked || got.Asked() {
			t.Error("a masked decision passes for one that can be made again")
		}
	})
}

func TestUsedSumsUpWhatDecisionsNeeded(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		j, ctx := open(e), t.Context()
		old := e.Clock.Now()
		j.Note(dbtest.Realm, "", decided(old, 2))
		if err := j.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(40 * 24 * time.Hour)
		for n := range 10 {
			j.Note(dbtest.Realm, "", decided(e.Clock.Now(), n%4))
		}
		told := int64(0)
		u, err := j.Used(ctx, dbtest.Realm, e.Clock.Now().Add(-24*time.Hour), func(n int64) { told = n })
		if err != nil {
			t.Fatal(err)
		}
		// Permitted were 0, 2, 0, 2, 0: each needed its member and the team's role.
		if u.Decisions != 10 || told != 10 || len(u.Uses) != 3 || u.Uses[0].Relation != "reader" || u.Uses[0].Times != 5 || u.Uses[0].Action != "read" || u.Uses[0].Type != "document" {
			t.Errorf("%+v, told %d", u, told)
		}
		if n, err := j.Collect(ctx, dbtest.Realm, 30*24*time.Hour); err != nil || n != 1 {
			t.Errorf("collected %d %v", n, err)
		}
		if u, err = j.Used(ctx, dbtest.Realm, old, nil); err != nil || u.Decisions != 10 {
			t.Errorf("after that: %+v %v", u, err)
		}
	})
}

// What comes while nothing can be written is kept as far as there is room, and
// the rest is counted: a decision never waits.
func TestWhatIsNotWrittenIsCounted(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		j := open(e)
		const n = 20_000
		d := decided(e.Clock.Now(), 2)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for i := range n {
			d.Question.Context["long"] = strings.Repeat(fmt.Sprintf("%05d", i), 1000)
			j.Note(dbtest.Realm, "", d)
			if i == 5 {
				if err := j.Flush(gone); err == nil {
					t.Fatal("written although nothing could be")
				}
			}
		}
		if j.Dropped() == 0 {
			t.Fatal("the memory has no end")
		}
		if err := j.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		u, err := j.Used(t.Context(), dbtest.Realm, time.Time{}, nil)
		if err != nil || u.Decisions+u.Dropped != n || u.Dropped != j.Dropped() || j.Written() != u.Decisions {
			t.Errorf("%d written, %d dropped, of %d: %v", u.Decisions, u.Dropped, n, err)
		}
	})
}

// What there is room for is shared by realms: one that decides without end loses its
// own, and not what others decided; also where nothing can be written for a while.
func TestALoudRealmPushesOutNobody(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		j, ctx := open(e), t.Context()
		d := decided(e.Clock.Now(), 2)
		texts, noted := [2]string{strings.Repeat("x", 1<<20), strings.Repeat("y", 1<<20)}, map[string]int{}
		note := func(realm string, n int) {
			for range n {
				d.Question.Context["long"] = texts[noted[realm]%2] // another than in the one before
				noted[realm]++
				j.Note(realm, "", d)
			}
		}
		count := func(realm string, noted int64) int64 {
			t.Helper()
			u, err := j.Used(ctx, realm, time.Time{}, nil)
			if err != nil || u.Decisions+u.Dropped != noted {
				t.Errorf("%s: %d written and %d counted of %d: %v", realm, u.Decisions, u.Dropped, noted, err)
			}
			return u.Decisions
		}
		const loud, quiet = dbtest.Realm, dbtest.Neighbour
		note(loud, 100)
		if !j.Room(quiet) || j.Room(loud) {
			t.Error("whoever can wait is told the wrong thing")
		}
		note(quiet, 20)
		note(loud, 100)
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if err := j.Flush(gone); err == nil {
			t.Fatal("written although nothing could be")
		}
		note(loud, 100)
		note(quiet, 5)
		if err := j.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if got := count(quiet, 25); got != 25 {
			t.Errorf("of 25 decisions of the quiet realm %d are left", got)
		}
		if got := count(loud, 300); got < 35 || got > 44 {
			t.Errorf("the loud realm has %d", got)
		}
		// Two that are loud have half each.
		for range 100 {
			note(loud, 1)
			note(quiet, 1)
		}
		note(loud, 100)
		if err := j.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if got := count(quiet, 125) - 25; got < 29 || got > 33 {
			t.Errorf("the second loud realm has %d", got)
		}
	})
}

// What is noted while others note and while what gathered is written is written once,
// and nothing of an entry is held when Note returns.
func TestManyNoteAtOnce(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		j, ctx := open(e), t.Context()
		at := e.Clock.Now()
		var all [4][]string
		var wg sync.WaitGroup
		for i := range all {
			wg.Go(func() {
				d := decided(at, i)
				for n := range 500 {
					d.ID = id.New(journal.Prefix, at)
					d.Question.Resource.ID = d.ID
					d.Question.Context["n"] = json.Number(strconv.Itoa(n))
					j.Note(dbtest.Realm, "", d)
					all[i] = append(all[i], d.ID)
					clear(d.Question.Context)
					if n%100 != 0 {
						continue
					}
					if _, err := j.ByID(ctx, dbtest.Realm, d.ID); err != nil {
						t.Errorf("what was noted before is not written: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if err := j.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for got, err := range j.Replay(ctx, dbtest.Realm, at, at.Add(time.Second)) {
			if err != nil {
				t.Fatal(err)
			}
			if got.Question.Resource.ID != got.ID {
				t.Errorf("of %s the resource is %s", got.ID, got.Question.Resource.ID)
			}
			seen[got.ID]++
		}
		for _, some := range all {
			for _, one := range some {
				if seen[one] != 1 {
					t.Errorf("%s is there %d times", one, seen[one])
				}
				delete(seen, one)
			}
		}
		if len(seen) > 0 || j.Written() != 2000 {
			t.Errorf("%d that nobody noted, %d written", len(seen), j.Written())
		}
	})
}

// Who cannot be written down is counted, and those noted with it. Others are not.
func TestABrokenEntryIsCounted(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		j := open(e)
		j.Note(dbtest.Realm, "", decided(e.Clock.Now(), 2))
		func() {
			defer func() {
				if recover() == nil {
					t.Error("nothing was written without a word")
				}
			}()
			j.Note(dbtest.Realm, "", nil)
		}()
		j.Note(dbtest.Realm, "", decided(e.Clock.Now(), 2))
		u, err := j.Used(t.Context(), dbtest.Realm, time.Time{}, nil)
		if err != nil || u.Decisions != 1 || u.Dropped != 2 || j.Dropped() != 2 || len(u.Uses) != 2 {
			t.Errorf("%+v %d: %v", u, j.Dropped(), err)
		}
	})
}

func TestClosingWritesWhatIsLeft(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		j := open(e)
		j.Start()
		d := decided(e.Clock.Now(), 1)
		j.Note(dbtest.Realm, "", d)
		j.Close()
		if _, err := open(e).ByID(t.Context(), dbtest.Realm, d.ID); err != nil {
			t.Error(err)
		}
	})
}

// What a decision costs to note and, on another goroutine, to write: one like most,
// and one that holds something of everything.
func BenchmarkNote(b *testing.B) {
	for _, c := range []struct {
		name   string
		change func(*journal.Entry)
	}{{"usual", func(e *journal.Entry) {
		e.Question.SubjectProperties, e.Question.ActionProperties, e.Question.ResourceProperties = nil, nil, policy.Properties{"status": "active"}
		e.Question.Context = policy.Properties{"ip": "192.0.2.1"}
		e.Answer.StepUp, e.Answer.Reasons, e.Answer.Path = nil, e.Answer.Reasons[:1], e.Answer.Path[1:]
	}}, {"full", func(e *journal.Entry) { delete(e.Question.Context, "long") }}} {
		b.Run(c.name, func(b *testing.B) {
			e := audittest.New(b, dbtest.Open(b, db.SQLite))
			e.Start(b)
			j, at := open(e), e.Clock.Now()
			all := make([]*journal.Entry, 1000)
			for i := range all {
				all[i] = decided(at, i)
				c.change(all[i])
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				j.Note(dbtest.Realm, "", all[i%len(all)])
				if i%10_000 == 9_999 {
					if err := j.Flush(context.Background()); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
