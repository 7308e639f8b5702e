package version

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
)

func ask(id string, at time.Time, subject, action, resource string, allowed bool) Recorded {
	return Recorded{ID: id, Allowed: allowed, Question: policy.Question{At: at, Subject: policy.Entity{Type: "user", ID: subject}, Action: action, Resource: policy.Entity{Type: "document", ID: resource}}}
}

// withHistory sets facts in which ada owns, ben views and cleo has nothing, and
// decisions of the last days.
func (w *world) withHistory(t *testing.T) {
	t.Helper()
	doc := graph.Entity{Type: "document", ID: "plan"}
	var err error
	w.facts, err = graph.Empty().Apply(graph.Change{Add: []graph.Tuple{
		{Subject: graph.Entity{Type: "user", ID: "ada"}, Relation: "owner", Object: doc}, {Subject: graph.Entity{Type: "user", ID: "ben"}, Relation: "viewer", Object: doc}}})
	if err != nil {
		t.Fatal(err)
	}
	now := w.Clock.Now()
	w.past = []Recorded{
		ask("dec_5", now.Add(-time.Hour), "ada", "share", "plan", true),
		ask("dec_4", now.Add(-2*time.Hour), "ben", "edit", "plan", false),
		ask("dec_3", now.Add(-3*time.Hour), "ben", "edit", "plan", false),
		ask("dec_2", now.Add(-4*time.Hour), "ben", "read", "plan", false), // he got the role since
		ask("dec_1", now.Add(-5*time.Hour), "cleo", "read", "plan", false),
		ask("dec_0", now.Add(-10*24*time.Hour), "ada", "delete", "plan", true),
	}
}

// viewersEdit is the folder documents, but viewers edit and owners do not share.
func viewersEdit(t *testing.T) folder.Files {
	files := example(t, "documents", "viewer: {permissions: [read]}", "viewer: {permissions: [read, edit]}", "[share, delete]", "[delete]")
	return without(files, "tests/sharing.yaml", "tests/conditions.yaml")
}

func without(files folder.Files, paths ...string) (kept folder.Files) {
	for _, f := range files {
		if f.Path != paths[0] && f.Path != paths[len(paths)-1] {
			kept = append(kept, f)
		}
	}
	return kept
}

func TestAPlanNamesWhoGainsAndWhoLoses(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.withHistory(t)
		w.mustApply(t, example(t, "documents"))
		p, err := w.Plan(ctx, dbtest.Realm, viewersEdit(t), 0)
		if err != nil || !p.OK() {
			t.Fatal(p, err)
		}
		r := p.Replay
		if r.Decisions != 5 || r.Drifted != 1 || r.Partial || len(r.Gains) != 1 || len(r.Losses) != 1 || len(r.StepUps) != 0 {
			t.Fatalf("%+v", r)
		}
		g, l := r.Gains[0], r.Losses[0]
		if g.Subject.ID != "ben" || g.Action != "edit" || g.Resource.ID != "plan" || g.Times != 2 || g.Decision != "dec_4" || fmt.Sprint(g.Path) != `[user "ben" viewer document "plan"]` {
			t.Errorf("%+v", g)
		}
		if l.Subject.ID != "ada" || l.Action != "share" || fmt.Sprint(l.After) != "[no policy permits this]" || fmt.Sprint(l.Path) != `[user "ada" owner document "plan"]` {
			t.Errorf("%+v", l)
		}
		if p.Base != 1 || len(p.Differences) == 0 {
			t.Errorf("%+v", p)
		}
		if further, err := w.Plan(ctx, dbtest.Realm, viewersEdit(t), 30*24*time.Hour); err != nil || further.Replay.Decisions != 6 || further.Hash != p.Hash {
			t.Errorf("a longer window without another outcome: %+v, %v", further, err)
		}
	})
}

// The hash of a plan stands for its outcome: it stays while nothing matters, and
// changes with the facts, the folder, what was asked, or what it is compared with.
func TestApplyRequiresThePlanThatWasSeen(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.withHistory(t)
		w.mustApply(t, example(t, "documents"))
		files := viewersEdit(t)
		plan := func() string {
			t.Helper()
			p, err := w.Plan(ctx, dbtest.Realm, files, 0)
			if err != nil || p.Hash == "" {
				t.Fatal(err)
			}
			return p.Hash
		}
		apply := func(hash string) error {
			_, err := w.Apply(ctx, audittest.By, dbtest.Realm, Change{Files: files, Plan: hash})
			return err
		}
		seen := plan()
		w.past = append(w.past, ask("dec_6", w.Clock.Now().Add(-time.Minute), "ada", "read", "plan", true))
		w.Clock.Advance(time.Minute)
		if plan() != seen {
			t.Error("time and a decision that stays change the plan")
		}
		w.past = append(w.past, ask("dec_7", w.Clock.Now().Add(-time.Second), "ben", "edit", "plan", false))
		if plan() != seen {
			t.Error("asking the same again changes the plan")
		}
		grown, err := w.facts.Apply(graph.Change{Add: []graph.Tuple{{Subject: graph.Entity{Type: "user", ID: "cleo"}, Relation: "viewer", Object: graph.Entity{Type: "document", ID: "plan"}}}})
		if err != nil {
			t.Fatal(err)
		}
		w.facts = grown
		w.past = append(w.past, ask("dec_8", w.Clock.Now().Add(-time.Second), "cleo", "edit", "plan", false))
		if err := apply(seen); fault.Code(err) != "plan_changed" {
			t.Errorf("facts changed whom it is about: %v", err)
		}
		now := plan()
		w.mustApply(t, example(t, "documents", "the document is archived", "it is archived"))
		if err := apply(now); fault.Code(err) != "plan_changed" {
			t.Errorf("another version came between: %v", err)
		}
		if err := apply(plan()); err != nil {
			t.Error(err)
		}
		if v, _ := w.Current(ctx, dbtest.Realm); v.Number != 3 || v.Plan == "" {
			t.Errorf("%+v", v)
		}
	})
}

func TestAPlanOfWhatDoesNotHoldSaysWhy(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		p, err := w.Plan(ctx, dbtest.Realm, example(t, "documents", `"secret"`, "secret"), 0)
		if err != nil || p.OK() || len(p.Problems) == 0 || p.Hash != "" {
			t.Errorf("%+v, %v", p, err)
		}
		if p, err = w.Plan(ctx, dbtest.Realm, example(t, "documents", "[share, delete]", "[share]"), 0); err != nil || p.OK() || len(p.Report.Failures) == 0 {
			t.Errorf("%+v, %v", p, err)
		}
		if _, err = w.Plan(ctx, dbtest.Realm, example(t, "documents"), 400*24*time.Hour); fault.Code(err) != "days_invalid" {
			t.Error(err)
		}
	})
}

// BenchmarkReplay asks decisions of the example documents again, with the
// policies of now and with changed ones.
func BenchmarkReplay(b *testing.B) {
	old, problems := folder.Read(example(b, "documents"))
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	changed, problems := folder.Read(example(b, "documents", "viewer: {permissions: [read]}", "viewer: {permissions: [read, comment]}"))
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	var c graph.Change
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	for i := range 10_000 {
		doc, team := graph.Entity{Type: "document", ID: fmt.Sprint("d", i)}, graph.Entity{Type: "group", ID: fmt.Sprint("g", i%1000)}
		in, above := graph.Entity{Type: "folder", ID: fmt.Sprint("f", i%2000)}, graph.Entity{Type: "workspace", ID: fmt.Sprint("w", i%100)}
		c.Add = append(c.Add, graph.Tuple{Subject: graph.Entity{Type: "user", ID: fmt.Sprint("u", i)}, Relation: graph.Member, Object: team},
			graph.Tuple{Subject: doc, Relation: graph.Parent, Object: in})
		if i < 2000 {
			c.Add = append(c.Add, graph.Tuple{Subject: in, Relation: graph.Parent, Object: above})
		}
		if i < 1000 {
			c.Add = append(c.Add, graph.Tuple{Subject: team, Relation: graph.Member, Object: graph.Entity{Type: "group", ID: fmt.Sprint("department", i%100)}},
				graph.Tuple{Subject: graph.Entity{Type: "group", ID: fmt.Sprint("department", i%100)}, Relation: []string{"viewer", "editor"}[i%2], Object: graph.Entity{Type: "folder", ID: fmt.Sprint("f", i)}})
		}
		if i%3 == 0 {
			c.Set = append(c.Set, graph.Attribute{Entity: doc, Name: "classification", Value: "secret"})
		}
	}
	g, err := graph.Empty().Apply(c)
	if err != nil {
		b.Fatal(err)
	}
	past := make([]Recorded, 20_000)
	for i := range past {
		past[i] = ask("", at, fmt.Sprint("u", i*7919%10_000), []string{"read", "comment", "edit", "share"}[i%4], fmt.Sprint("d", i*104_729%10_000), false)
		past[i].Question.Context = policy.Properties{"acr": "aal2"}
	}
	facts := func(s *policy.Set) *policy.Snapshot { return policy.NewSnapshot(s, g, 1) }
	var out Replay
	n := 0
	for b.Loop() {
		r := startReplay(old, changed, facts)
		for _, d := range past {
			r.add(d)
		}
		out = Replay{}
		r.finish(&out)
		n += out.Decisions
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds()/float64(workers()), "replayed/s/core")
	b.ReportMetric(float64(2*n)/b.Elapsed().Seconds()/float64(workers()), "decisions/s/core")
	b.ReportMetric(float64(len(out.Gains)), "gains")
}

// What is left out because both folders have the same policies about it is left
// out rightly: every question that is left out has the same answer by both.
func TestWhatIsNotAskedAgainHasTheSameAnswer(t *testing.T) {
	old, problems := folder.Read(example(t, "documents"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	changed, problems := folder.Read(example(t, "documents", `Action::"edit", Action::"comment", Action::"delete"`, `Action::"edit", Action::"delete"`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if !folder.SameWorld(old, changed) {
		t.Fatal("only a policy differs")
	}
	alike := policy.Alike(old.Set, changed.Set)
	affected, left := 0, 0
	for _, test := range old.Tests {
		g, err := graph.Empty().Apply(test.Facts)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range test.Questions {
			a, b := policy.Decide(policy.NewSnapshot(old.Set, g, 0), &q.Question), policy.Decide(policy.NewSnapshot(changed.Set, g, 0), &q.Question)
			if alike(&q.Question) {
				left++
				if a.Allowed != b.Allowed || fmt.Sprint(a.Determining, a.StepUp) != fmt.Sprint(b.Determining, b.StepUp) {
					t.Errorf("%s has another answer", q)
				}
			} else if a.Allowed != b.Allowed {
				affected++
			}
		}
	}
	if affected != 1 || left < 20 {
		t.Errorf("%d affected, %d left out", affected, left)
	}
	roles, _ := folder.Read(example(t, "documents", "[share, delete]", "[delete]"))
	if folder.SameWorld(old, roles) {
		t.Error("other roles are the same world")
	}
}

// A plan that changes more than anybody reads names as much as it says, the first by
// their names whatever the order was; and its hash tells by which policies an access
// changes.
func TestAPlanNamesNoMoreThanAnybodyReads(t *testing.T) {
	made := func(from, to, step int) (e effects) {
		for i := from; i != to; i += step {
			x := e.of(effectKey{policy.Entity{Type: "user", ID: fmt.Sprintf("%06d", i)}, "read", policy.Entity{Type: "document", ID: "d"}})
			if x != nil {
				x.Times++
				x.ground("a")
			}
		}
		return e
	}
	var names []string
	for _, parts := range [][]effects{{made(0, 3*MaxEffects, 1), made(MaxEffects, 0, -1)}, {made(3*MaxEffects, 0, -1), made(0, MaxEffects, 1)}} {
		var all effects
		for i := range parts {
			all.add(&parts[i])
		}
		all.cut()
		if len(all.known) != MaxEffects || all.last == nil {
			t.Fatalf("%d effects, more %v", len(all.known), all.last)
		}
		first := slices.SortedFunc(maps.Keys(all.known), effectKey.compare)
		names = append(names, first[1].subject.ID+" "+first[MaxEffects-1].subject.ID)
		if all.known[first[1]].Times != 2 {
			t.Errorf("counted %d times", all.known[first[1]].Times)
		}
	}
	if names[0] != "000001 009999" {
		t.Error(names)
	}
	p := Plan{Report: &folder.Report{}, Replay: Replay{Gains: []Effect{{grounds: map[string]bool{"a": true}}}}}
	one := p.digest("x")
	if p.Replay.Gains[0].ground("b"); p.digest("x") == one {
		t.Error("another policy that grants is the same plan")
	}
}
