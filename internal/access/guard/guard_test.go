package guard_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/builtin"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/guard"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
)

var ctx = context.Background()

const (
	closed   = `@id("closed") @reason("nobody suspends") forbid (principal, action == Cardea::Action::"suspend-user", resource);`
	trainees = `@id("trainees") forbid (principal in group::"trainees", action == Cardea::Action::"suspend-user", resource);`
)

// world is a guard over policies and facts that tests set; in the neighbour's realm
// there are none.
type world struct {
	*audittest.Env
	guard  *guard.Guard
	set    *policy.Set
	broken error
	facts  *graph.Graph // nil: they are not known
	failed error        // of reading the facts
	reads  int          // of policies
}

func open(t *testing.T, e *audittest.Env) *world {
	t.Helper()
	w := &world{Env: e, facts: graph.Empty()}
	var err error
	w.guard, err = guard.New(guard.Options{DB: e.DB, Log: e.Log,
		Policies: func(tx *db.Tx) (*policy.Set, error, error) {
			if tx.Realm != dbtest.Realm {
				return nil, nil, nil
			}
			w.reads++
			return w.set, w.broken, nil
		},
		Applied: func(r audit.Record) bool { return r.Action == "policy.apply" },
		Snapshot: func(context.Context, string, audit.Position, *policy.Question) (*policy.Snapshot, audit.Position, error) {
			if w.facts == nil || w.failed != nil {
				return nil, audit.Position{}, w.failed
			}
			return policy.NewSnapshot(w.set, w.facts, 1), audit.Position{}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	e.Start(t)
	return w
}

// apply gives the realm other policies, as an event of the log; "" takes them away.
func (w *world) apply(t *testing.T, text string, broken error) {
	t.Helper()
	w.set, w.broken = nil, broken
	if text != "" {
		set, err := builtin.Compile([]policy.File{{Name: "cardea/own.cedar", Text: []byte(text)}})
		if err != nil {
			t.Fatal(err)
		}
		w.set = set
	}
	err := w.DB.Update(ctx, dbtest.Realm, func(tx *db.Tx) error {
		audit.Append(tx, audittest.By, audit.Event{Action: "policy.apply", TargetType: "policy", Target: "1", Invalidates: true})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// asks is somebody of a role who suspends a person.
func (w *world) asks(realm, role string) (policy.Answer, error) {
	return w.guard.Judge(ctx, realm, audit.Position{}, &policy.Question{Subject: policy.Entity{Type: "user", ID: "usr_ann"}, Action: "suspend-user", At: w.DB.Now(),
		Resource: policy.Entity{Type: "user", ID: "usr_bob"}, Context: policy.Properties{"role": role, "realm": realm, "client": "cardea-cli"}})
}

// may is what comes of asks, in a word.
func (w *world) may(realm, role string) string {
	a, err := w.asks(realm, role)
	switch {
	case err != nil && a.Allowed:
		return "an error that permits"
	case err != nil:
		return fault.Code(err)
	case a.Allowed:
		return "yes"
	}
	return "no"
}

func (w *world) check(t *testing.T, what, realm, role, want string) {
	t.Helper()
	if got := w.may(realm, role); got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// A realm that adds nothing is judged by what is built in, without facts; what is
// added counts from its event on, in its realm only, and is read once.
func TestWhatARealmAddsCountsFromItsEventOn(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := open(t, e)
		w.facts = nil
		w.check(t, "helpdesk", dbtest.Realm, "helpdesk", "yes")
		w.check(t, "viewer", dbtest.Realm, "viewer", "no")
		w.check(t, "no role", dbtest.Realm, "king", "no")
		if adds, err := w.guard.Adds(ctx, dbtest.Realm); adds || err != nil {
			t.Errorf("adds %v %v", adds, err)
		}

		w.facts = graph.Empty()
		w.apply(t, closed, nil)
		before := w.reads
		w.check(t, "forbidden", dbtest.Realm, "owner", "no")
		w.check(t, "forbidden again", dbtest.Realm, "helpdesk", "no")
		w.check(t, "next door", dbtest.Neighbour, "helpdesk", "yes")
		if w.reads != before+1 {
			t.Errorf("the policies were read %d times", w.reads-before)
		}
		a, err := w.asks(dbtest.Realm, "owner")
		if err != nil || len(a.Reasons) == 0 || a.Reasons[0].Policy != "closed" || a.Reasons[0].Text != "nobody suspends" {
			t.Errorf("%+v %v", a, err)
		}
		if adds, err := w.guard.Adds(ctx, dbtest.Realm); !adds || err != nil {
			t.Errorf("adds %v %v", adds, err)
		}

		w.apply(t, "", nil)
		w.check(t, "taken away", dbtest.Realm, "helpdesk", "yes")
	})
}

// Policies that speak of groups are asked on the realm's facts; without them nobody
// may do anything.
func TestWithoutFactsNothingIsPermitted(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := open(t, e)
		w.apply(t, trainees, nil)
		w.check(t, "no trainee", dbtest.Realm, "owner", "yes")
		g, err := graph.Empty().Apply(graph.Change{Add: []graph.Tuple{{Subject: policy.Entity{Type: "user", ID: "usr_ann"}, Relation: graph.Member, Object: policy.Entity{Type: "group", ID: "trainees"}}}})
		if err != nil {
			t.Fatal(err)
		}
		w.facts = g
		w.check(t, "a trainee", dbtest.Realm, "owner", "no")
		w.facts = nil
		w.check(t, "unknown", dbtest.Realm, "owner", "facts_unknown")
		w.failed = fault.New(fault.Unavailable, "down", "the database is down")
		w.check(t, "failed", dbtest.Realm, "owner", "down")
		head := e.Log.Applied()
		far := audit.Position{Epoch: head.Epoch, Seq: head.Seq + 1000}
		if _, err := w.guard.Judge(ctx, dbtest.Realm, far, &policy.Question{}); fault.Code(err) != "revision_unreached" {
			t.Errorf("facts that this node has not seen: %v", err)
		}
	})
}

// After an upgrade added policies may not compile any more: then nobody may do
// anything, next door is as before, and the glass lets the table count.
func TestAddedPoliciesThatDoNotCompileAnyMore(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := open(t, e)
		w.apply(t, "", errors.New("version 3 of the policies does not compile any more"))
		w.check(t, "owner", dbtest.Realm, "owner", "policies_broken")
		w.check(t, "next door", dbtest.Neighbour, "helpdesk", "yes")
		_, err := w.asks(dbtest.Realm, "owner")
		if err == nil || !strings.Contains(err.Error(), "version 3") || !strings.Contains(err.Error(), "cardea break-glass --realm "+dbtest.Realm) || !fault.Is(err, fault.Unavailable) {
			t.Errorf("it does not say what to do: %v", err)
		}
		if adds, err := w.guard.Adds(ctx, dbtest.Realm); !adds || err != nil {
			t.Errorf("adds %v %v", adds, err)
		}
		if _, glass, broken, err := w.guard.Policies(ctx, dbtest.Realm); broken == nil || err != nil || glass.Open(w.DB.Now()) {
			t.Errorf("%+v %v %v", glass, broken, err)
		}
		if _, err := w.guard.Break(ctx, dbtest.Realm, time.Hour, "upgraded"); err != nil {
			t.Fatal(err)
		}
		w.check(t, "with broken glass", dbtest.Realm, "owner", "yes")
		w.check(t, "a viewer, with broken glass", dbtest.Realm, "viewer", "no")
		if a, err := w.asks(dbtest.Realm, "owner"); err != nil || !strings.Contains(a.Reasons[len(a.Reasons)-1].Text, "the glass is broken until") {
			t.Errorf("%+v %v", a, err)
		}
		if adds, err := w.guard.Adds(ctx, dbtest.Realm); adds || err != nil {
			t.Errorf("with broken glass something is added: %v %v", adds, err)
		}
		w.Clock.Advance(time.Hour)
		w.check(t, "after its time", dbtest.Realm, "owner", "policies_broken")
		w.apply(t, closed, nil)
		w.check(t, "corrected", dbtest.Realm, "owner", "no")
	})
}

// The glass is broken for a bounded time with a reason, in one realm, by an event;
// what is broken again ends when it was said last.
func TestTheGlassIsBrokenForAWhile(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := open(t, e)
		w.apply(t, closed, nil)
		for what, c := range map[string]struct {
			span   time.Duration
			reason string
			code   string
		}{
			"no time":           {0, "why", "span_invalid"},
			"the past":          {-time.Hour, "why", "span_invalid"},
			"too long":          {guard.MaxBroken + 1, "why", "span_invalid"},
			"no reason":         {time.Hour, " \u00a0", "reason_invalid"},
			"too much":          {time.Hour, strings.Repeat("x", 501), "reason_invalid"},
			"a line of its own": {time.Hour, "why\nnot", "reason_invalid"},
			"not a text":        {time.Hour, "why\xff", "reason_invalid"},
		} {
			if _, err := w.guard.Break(ctx, dbtest.Realm, c.span, c.reason); fault.Code(err) != c.code {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := w.guard.Mend(ctx, dbtest.Realm); err != nil {
			t.Errorf("what is whole cannot be mended: %v", err)
		}
		w.check(t, "not broken yet", dbtest.Realm, "owner", "no")

		g, err := w.guard.Break(ctx, dbtest.Realm, guard.MaxBroken, "locked out")
		if err != nil || g.Reason != "locked out" || !g.Since.Equal(w.DB.Now()) || !g.Until.Equal(g.Since.Add(guard.MaxBroken)) {
			t.Fatalf("%+v %v", g, err)
		}
		w.check(t, "broken", dbtest.Realm, "owner", "yes")
		if set, glass, _, err := w.guard.Policies(ctx, dbtest.Realm); err != nil || glass != g || len(set.Rules()) >= len(w.set.Rules()) {
			t.Errorf("%+v %v", glass, err)
		}
		if _, glass, _, err := w.guard.Policies(ctx, dbtest.Neighbour); err != nil || glass != (guard.Glass{}) {
			t.Errorf("next door: %+v %v", glass, err)
		}
		if _, err := w.guard.Break(ctx, dbtest.Realm, time.Minute, "a minute is enough"); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Minute)
		w.check(t, "after its time", dbtest.Realm, "owner", "no")

		if _, err := w.guard.Break(ctx, dbtest.Realm, time.Hour, "again"); err != nil {
			t.Fatal(err)
		}
		w.check(t, "broken again", dbtest.Realm, "owner", "yes")
		for range 2 {
			if err := w.guard.Mend(ctx, dbtest.Realm); err != nil {
				t.Fatal(err)
			}
		}
		w.check(t, "mended", dbtest.Realm, "owner", "no")
		if got, want := strings.Join(w.Events(t, dbtest.Realm), " "), "policy.apply glass.break glass.break glass.break glass.mend"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// What one node breaks is broken on every other when the command returns.
func TestTheGlassIsBrokenOnEveryNode(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		first, second := open(t, e), open(t, e.Node(t))
		for _, w := range []*world{first, second} {
			w.apply(t, closed, nil)
			w.check(t, "closed", dbtest.Realm, "owner", "no")
		}
		if _, err := first.guard.Break(ctx, dbtest.Realm, time.Hour, "locked out"); err != nil {
			t.Fatal(err)
		}
		second.check(t, "on the other node", dbtest.Realm, "owner", "yes")
		if err := second.guard.Mend(ctx, dbtest.Realm); err != nil {
			t.Fatal(err)
		}
		first.check(t, "mended on the other node", dbtest.Realm, "owner", "no")
	})
}
