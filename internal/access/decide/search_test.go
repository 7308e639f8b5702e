package decide_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cardea-id/cardea/internal/access/decide"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
)

const farSchema = `
entity user in [team] { level?: Long, boss?: user };
entity team in [team] { lead?: user };
entity folder in [folder];
entity payment in [folder] { status?: String, owner?: user, team?: team };
action read, refund appliesTo { principal: user, resource: payment, context: { who?: user } };
`

// Policies that look through values that are entities.
const farPolicies = `
@id("frozen") forbid (principal, action == Action::"refund", resource) unless { resource has status && resource.status == "active" };
@id("own") permit (principal, action == Action::"read", resource) when { resource has owner && resource.owner == principal };
@id("boss") permit (principal, action == Action::"read", resource) when { resource has owner && resource.owner has boss && resource.owner.boss == principal };
@id("high") permit (principal, action == Action::"refund", resource) when { resource has owner && resource.owner has boss && resource.owner.boss has level && resource.owner.boss.level > 2 };
@id("lead") permit (principal, action == Action::"refund", resource) when { resource has team && resource.team has lead && resource.team.lead == principal };
@id("ours") permit (principal, action == Action::"read", resource) when { resource has owner && resource.owner in team::"3" };
@id("named") permit (principal, action == Action::"read", resource) when { user::"1" has level && user::"1".level > 2 && principal in team::"2" };
@id("asked") permit (principal, action == Action::"read", resource) when { context has who && context.who has level && context.who.level > 3 };
`

// PD-03: a realm whose facts are not held is searched by SQL, a few candidates at
// a time, and what is found is what would be found if they were. The seed is
// printed.
func TestSearchesBySQLFindWhatMemoryFinds(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		w := open(t, e, 1)
		set, err := policy.Compile(policy.Source{Schema: policy.File{Name: "schema.cedarschema", Text: []byte(farSchema)},
			Policies: []policy.File{{Name: "policies/all.cedar", Text: []byte(farPolicies)}}, Roles: roles})
		if err != nil {
			t.Fatal(err)
		}
		w.set = set
		r := rand.New(rand.NewPCG(seed, 1))
		rounds := 4
		if testing.Short() {
			rounds = 2
		}
		found := 0
		for range rounds {
			for range 25 {
				_, err := w.facts.Write(ctx, audittest.By, dbtest.Realm, relation.Batch{Change: farChange(r)})
				if err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Invalid) {
					t.Fatal(err)
				}
			}
			all := held(t, w)
			for range 6 {
				q := &policy.Question{Subject: entity(name(r, "user")), Action: []string{"read", "refund"}[r.IntN(2)], Resource: entity(name(r, "payment")), At: w.DB.Now()}
				if r.IntN(3) == 0 {
					q.Context = policy.Properties{"who": name(r, "user")[len("user:"):]}
				}
				want, got := policy.Decide(all, q), w.snaps.Decide(ctx, dbtest.Realm, audit.Position{}, q)
				if want.Allowed != got.Allowed || fmt.Sprint(want.Determining) != fmt.Sprint(got.Determining) {
					t.Fatalf("%+v: memory says %+v, SQL %+v", q, want, got)
				}
				found += searches(t, w, all, q, 1+r.IntN(3))
			}
		}
		if found == 0 {
			t.Error("nothing was found anywhere; such facts show little")
		}
	})
}

func name(r *rand.Rand, typ string) string { return fmt.Sprintf("%s:%d", typ, r.IntN(7)) }

func farChange(r *rand.Rand) (c graph.Change) {
	set := func(e, name string, v any) {
		c.Set = append(c.Set, graph.Attribute{Entity: entity(e), Name: name, Value: v})
	}
	of := func(typ string) any { return map[string]any{"type": typ, "id": name(r, typ)[len(typ)+1:]} }
	for range 1 + r.IntN(3) {
		switch r.IntN(10) {
		case 0, 1:
			c.Add = append(c.Add, tuple(name(r, "user")+" member "+name(r, "team")))
		case 2:
			c.Add = append(c.Add, tuple(name(r, "team")+" member "+name(r, "team")))
		case 3:
			c.Add = append(c.Add, tuple(name(r, "payment")+" parent "+name(r, "folder")))
		case 4:
			c.Add = append(c.Add, tuple(name(r, []string{"user", "team"}[r.IntN(2)])+" clerk "+name(r, []string{"folder", "payment"}[r.IntN(2)])))
		case 5:
			set(name(r, "user"), "level", int64(r.IntN(6)))
		case 6:
			set(name(r, "user"), "boss", of("user"))
		case 7:
			set(name(r, "payment"), "owner", of("user"))
		case 8:
			set(name(r, "payment"), "team", of("team"))
			set(name(r, "team"), "lead", of("user"))
		default:
			set(name(r, "payment"), "status", "active")
		}
	}
	return c
}

// held is a snapshot of all facts.
func held(t *testing.T, w *world) *policy.Snapshot {
	t.Helper()
	v, _, err := w.facts.Version(ctx, dbtest.Realm)
	if err != nil {
		t.Fatal(err)
	}
	b := graph.NewBuilder()
	if err := w.facts.Load(ctx, dbtest.Realm, v, b.Add, b.Set); err != nil {
		t.Fatal(err)
	}
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	return policy.NewSnapshot(w.set, g, 0)
}

// searches compares all three searches, and counts what they find.
func searches(t *testing.T, w *world, all *policy.Snapshot, q *policy.Question, size int) (found int) {
	t.Helper()
	resources, err := policy.Resources(all, q, policy.Page{Size: policy.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	subjects, err := policy.Subjects(all, q, policy.Page{Size: policy.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	actions, _, err := policy.Actions(all, q, policy.Page{})
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[decide.Sought][]policy.Entity{decide.Resources: resources.Entities, decide.Subjects: subjects.Entities} {
		var got []policy.Entity
		for p := (policy.Page{Size: size}); ; {
			f, _, snap, _, err := w.snaps.Search(ctx, dbtest.Realm, what, q, p)
			if err != nil || snap == nil || len(f.Entities) > size {
				t.Fatalf("%+v: %+v %v", q, f, err)
			}
			got = append(got, f.Entities...)
			if p.After = f.Next; p.After == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("search %d of %+v: SQL finds %v, memory %v", what, q, got, want)
		}
		found += len(got)
	}
	_, names, _, _, err := w.snaps.Search(ctx, dbtest.Realm, decide.Actions, q, policy.Page{})
	if err != nil || !slices.Equal(names, actions) {
		t.Fatalf("actions of %+v: SQL finds %v %v, memory %v", q, names, err, actions)
	}
	return found + len(names)
}
