package relation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cardea-id/cardea/internal/access/graph"
	. "github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
)

var ctx = context.Background()

func entity(text string) graph.Entity {
	typ, id, _ := strings.Cut(text, ":")
	return graph.Entity{Type: typ, ID: id}
}

// tuple reads "user:ann viewer doc:1".
func tuple(text string) graph.Tuple {
	f := strings.Fields(text)
	return graph.Tuple{Subject: entity(f[0]), Relation: f[1], Object: entity(f[2])}
}

func tuples(all ...string) (list []graph.Tuple) {
	for _, t := range all {
		list = append(list, tuple(t))
	}
	return list
}

func add(all ...string) Batch { return Batch{Change: graph.Change{Add: tuples(all...)}} }

func remove(all ...string) Batch { return Batch{Change: graph.Change{Remove: tuples(all...)}} }

func set(e, name string, v any) Batch {
	return Batch{Change: graph.Change{Set: []graph.Attribute{{Entity: entity(e), Name: name, Value: v}}}}
}

type world struct {
	*audittest.Env
	store *Store
}

func run(t *testing.T, fn func(t *testing.T, w *world)) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := &world{e, NewStore(Options{DB: e.DB, Log: e.Log, Words: []string{"status"}, Kinds: []string{"user", "group"},
			Reserved: func(e graph.Entity) bool { return strings.HasPrefix(e.ID, "usr_") || strings.HasPrefix(e.ID, "grp_") }})}
		e.Start(t)
		fn(t, w)
	})
}

func (w *world) write(t *testing.T, b Batch) Written {
	t.Helper()
	done, err := w.store.Write(ctx, audittest.By, dbtest.Realm, b)
	if err != nil {
		t.Fatal(err)
	}
	if done.Revision == (audit.Position{}) {
		t.Fatal("a batch was acknowledged without a revision")
	}
	return done
}

func (w *world) refused(t *testing.T, code string, b Batch) {
	t.Helper()
	before := w.all(t)
	if _, err := w.store.Write(ctx, audittest.By, dbtest.Realm, b); fault.Code(err) != code {
		t.Errorf("got %v, want %s", err, code)
	}
	if after := w.all(t); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("a batch that was refused with %s left something", code)
	}
}

func (w *world) all(t *testing.T) (list []string) {
	t.Helper()
	rows, _, _, err := w.store.List(ctx, dbtest.Realm, Filter{}, "", 500)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		list = append(list, fmt.Sprintf("%s:%s %s %s:%s", r.Subject.Type, r.Subject.ID, r.Relation, r.Object.Type, r.Object.ID))
	}
	attributes, _, _, err := w.store.Attributes(ctx, dbtest.Realm, Filter{}, "", 500)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range attributes {
		list = append(list, fmt.Sprintf("%s:%s %s=%s", a.Entity.Type, a.Entity.ID, a.Name, a.Value))
	}
	return list
}

// A batch is one event, which carries all of it: whoever follows the log needs no
// rows.
func TestABatchIsOneEventWithItsContent(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		odd := graph.Tuple{Subject: graph.Entity{Type: "user", ID: "a:b#c@d,e\x00\"'"}, Relation: "viewer", Object: graph.Entity{Type: "doc", ID: "\u202e"}, Expires: 1_900_000_000_000}
		b := Batch{Change: graph.Change{Add: []graph.Tuple{odd, tuple("user:ann member team:x")},
			Set: []graph.Attribute{{Entity: entity("payment:1"), Name: "amount", Value: json.Number("9007199254740993")}}}}
		done := w.write(t, b)
		w.write(t, Batch{Change: graph.Change{Remove: tuples("user:ann member team:x"), Unset: []graph.Attribute{{Entity: entity("payment:1"), Name: "amount"}}, Drop: []graph.Entity{entity("doc:2")}}})
		if _, err := w.store.Write(ctx, audittest.By, dbtest.Neighbour, add("user:else viewer doc:else")); err != nil {
			t.Fatal(err)
		}
		records, _, err := w.Log.Query(ctx, dbtest.Realm, audit.Filter{Action: Changed})
		if err != nil || len(records) != 2 {
			t.Fatalf("%d events, %v", len(records), err)
		}
		v, c, err := ChangeOf(records[1].Event)
		if err != nil || v != 1 || len(c.Add) != 2 || c.Add[0] != odd || len(c.Set) != 1 || c.Set[0].Value != json.Number("9007199254740993") {
			t.Errorf("version %d, %+v, %v", v, c, err)
		}
		if records[1].Position != done.Revision {
			t.Errorf("acknowledged at %s, is at %s", done.Revision, records[1].Position)
		}
		v, c, err = ChangeOf(records[0].Event)
		if err != nil || v != 2 || len(c.Remove) != 1 || len(c.Unset) != 1 || len(c.Drop) != 1 {
			t.Errorf("version %d, %+v, %v", v, c, err)
		}
		rows, _, _, err := w.store.List(ctx, dbtest.Realm, Filter{}, "", 10)
		if err != nil || len(rows) != 1 || rows[0].Tuple != odd {
			t.Errorf("%+v %v", rows, err)
		}
	})
}

// A batch that is sent again under its key is not written again.
func TestABatchIsWrittenOnceUnderItsKey(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		b := add("user:ann viewer doc:1")
		b.Key = "order-1"
		first := w.write(t, b)
		w.write(t, remove("user:ann viewer doc:1"))
		again := w.write(t, b)
		if !again.Repeated || first.Repeated || again.Revision.Before(first.Revision) {
			t.Errorf("first %+v, again %+v", first, again)
		}
		if got := w.all(t); len(got) != 0 {
			t.Errorf("the repetition was written: %v", got)
		}
		other := add("user:bob viewer doc:1")
		other.Key = "order-1"
		w.refused(t, "idempotency_key_reused", other)
		stranger := audit.Actor{Kind: "service", ID: "svc_other"}
		if done, err := w.store.Write(ctx, stranger, dbtest.Realm, other); err != nil || done.Repeated {
			t.Errorf("a key is its sender's: %+v %v", done, err)
		}
		for range 3 { // many at once are one
			var wg sync.WaitGroup
			b := set("payment:1", "tries", json.Number("1"))
			b.Key = "together"
			for range 8 {
				wg.Go(func() {
					if _, err := w.store.Write(ctx, audittest.By, dbtest.Realm, b); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		if n := count(w.Events(t, dbtest.Realm), Changed); n != 4 {
			t.Errorf("%d batches were written, want 4", n)
		}
	})
}

func count(list []string, what string) (n int) {
	for _, x := range list {
		if x == what {
			n++
		}
	}
	return n
}

// What must hold first does, or nothing is written.
func TestBatchesInsistOnWhatTheyWereBasedOn(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ann := tuple("user:ann viewer doc:1")
		require := func(r Requirement) Batch {
			b := add("user:bob viewer doc:1")
			b.Require = []Requirement{r}
			return b
		}
		status := func(v any) *graph.Attribute {
			return &graph.Attribute{Entity: entity("payment:1"), Name: "status", Value: v}
		}
		w.refused(t, "fact_not_as_required", require(Requirement{Tuple: &ann}))
		w.refused(t, "fact_not_as_required", require(Requirement{Attribute: status(nil)}))
		at := w.write(t, set("payment:1", "status", "active")).Revision
		w.refused(t, "fact_not_as_required", require(Requirement{Attribute: status("canceled")}))
		w.refused(t, "fact_not_as_required", require(Requirement{Attribute: status(nil), Absent: true}))
		w.write(t, require(Requirement{Attribute: status("active"), Unchanged: at}))
		w.write(t, require(Requirement{Tuple: &ann, Absent: true}))

		later := w.write(t, set("payment:1", "status", "canceled")).Revision
		w.refused(t, "fact_changed", require(Requirement{Attribute: status(nil), Unchanged: at}))
		w.write(t, require(Requirement{Attribute: status(nil), Unchanged: later}))
		b := remove("user:bob viewer doc:1")
		b.Unchanged = later
		w.refused(t, "fact_changed", b) // something was written since
		_, _, now, err := w.store.List(ctx, dbtest.Realm, Filter{}, "", 1)
		if err != nil {
			t.Fatal(err)
		}
		if b.Unchanged = now; w.DB.Engine() == db.Postgres {
			if b.Unchanged, err = w.Log.Settled(ctx); err != nil {
				t.Fatal(err)
			}
		}
		w.write(t, b)

		gone := ann
		gone.Expires = w.DB.Now().UnixMilli() + 1000
		w.write(t, Batch{Change: graph.Change{Add: []graph.Tuple{gone}}})
		w.write(t, require(Requirement{Tuple: &ann}))
		w.Clock.Advance(1_000_000_000)
		w.refused(t, "fact_not_as_required", require(Requirement{Tuple: &ann}))
	})
}

// Circles, depth and width are refused when they are written, and say where.
func TestNothingIsInsideItselfOrTooDeep(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.write(t, add("group:a member group:b", "group:b parent group:c"))
		w.refused(t, "relation_cycle", add("group:c member group:a"))
		w.refused(t, "fact_invalid", add("group:c member group:c"))
		w.refused(t, "relation_cycle", add("x:1 parent x:2", "x:2 parent x:3", "x:3 parent x:1"))
		w.write(t, Batch{Change: graph.Change{Remove: tuples("group:a member group:b"), Add: tuples("group:c member group:a")}})

		var chain []string
		for i := range graph.MaxDepth {
			chain = append(chain, fmt.Sprintf("folder:%d parent folder:%d", i, i+1))
		}
		w.write(t, add(chain...))
		w.refused(t, "relation_depth", add("doc:deep parent folder:0"))
		w.refused(t, "relation_depth", add(fmt.Sprintf("folder:%d parent folder:top", graph.MaxDepth)))
		w.write(t, add("doc:1 parent folder:1"))
		w.write(t, remove("folder:0 parent folder:1", "doc:1 parent folder:1"))
		w.write(t, add(fmt.Sprintf("folder:%d parent folder:top", graph.MaxDepth))) // 31 levels below it now
	})
}

// Nobody gets into a group of the directory by a detour of facts: not as something
// inside it, not by way of an application's own things, in whichever order.
func TestNobodyIsWrittenIntoTheDirectorysGroups(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.refused(t, "fact_invalid", add("user:usr_1 parent group:grp_1"))
		w.refused(t, "relation_reserved", add("user:stranger parent group:grp_1"))
		w.refused(t, "relation_reserved", add("group:own parent group:grp_1"))
		w.write(t, add("user:usr_1 member team:1", "team:1 member team:2", "team:2 parent dept:1"))
		w.refused(t, "relation_reserved", add("dept:1 parent group:grp_1"))
		w.refused(t, "relation_reserved", add("team:2 parent group:grp_1"))
		w.write(t, add("doc:1 parent folder:1", "folder:1 parent group:grp_1", "doc:2 parent folder:1")) // things may be
		w.refused(t, "relation_reserved", add("team:1 parent doc:2"))
		w.refused(t, "relation_reserved", add("user:usr_2 member doc:1"))
		w.refused(t, "relation_reserved", add("user:usr_2 member box:1", "box:1 parent doc:1"))
		w.write(t, add("group:grp_2 member team:1", "user:usr_2 viewer group:grp_1"))
	})
}

// Two writers that would close a circle between them do not both succeed.
func TestNoCircleClosesBetweenTwoWriters(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for i := range 5 {
			var wg sync.WaitGroup
			errs := make([]error, 2)
			for k, b := range []Batch{add(fmt.Sprintf("g:a%d member g:b%d", i, i)), add(fmt.Sprintf("g:b%d member g:a%d", i, i))} {
				wg.Go(func() { _, errs[k] = w.store.Write(ctx, audittest.By, dbtest.Realm, b) })
			}
			wg.Wait()
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Fatalf("round %d: %v, %v; want one refused", i, errs[0], errs[1])
			}
		}
	})
}

func TestWhatIsNoFactIsRefused(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.refused(t, "batch_empty", Batch{})
		many := make([]string, MaxOps+1)
		for i := range many {
			many[i] = fmt.Sprintf("user:%d viewer doc:1", i)
		}
		w.refused(t, "batch_too_large", add(many...))
		for _, bad := range []graph.Tuple{
			{Subject: entity("us er:1"), Relation: "viewer", Object: entity("doc:1")},
			{Subject: entity("user:"), Relation: "viewer", Object: entity("doc:1")},
			{Subject: entity("user:1"), Relation: "", Object: entity("doc:1")},
			{Subject: entity("user:1"), Relation: "a b", Object: entity("doc:1")},
			{Subject: graph.Entity{Type: "user", ID: strings.Repeat("x", 513)}, Relation: "viewer", Object: entity("doc:1")},
			{Subject: graph.Entity{Type: "user", ID: "\xff"}, Relation: "viewer", Object: entity("doc:1")},
			{Subject: entity("user:1"), Relation: "viewer", Object: entity("doc:1"), Expires: -1},
			{Subject: entity("user:1"), Relation: "member", Object: entity("group:grp_1")}, // the directory's to say
		} {
			w.refused(t, "fact_invalid", Batch{Change: graph.Change{Add: []graph.Tuple{bad}}})
		}
		deep := strings.Repeat("[", 9) + strings.Repeat("]", 9)
		for _, bad := range []any{nil, json.RawMessage(deep), strings.Repeat("x", 9000)} {
			w.refused(t, "fact_invalid", set("doc:1", "x", bad))
		}
		w.refused(t, "fact_invalid", set("user:usr_1", "status", "active"))
		w.refused(t, "fact_invalid", Batch{Change: graph.Change{Drop: []graph.Entity{entity("user:usr_1")}}})
		w.write(t, set("user:usr_1", "department", "sales"))
	})
}

func TestFactsAreListedInPages(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.write(t, add("user:ann viewer doc:1", "user:ann editor doc:2", "user:bob viewer doc:1", "user:cat viewer doc:3", "team:x viewer doc:1"))
		for _, c := range []struct {
			f    Filter
			want int
		}{
			{Filter{}, 5}, {Filter{Subject: entity("user:ann")}, 2}, {Filter{Subject: graph.Entity{Type: "user"}}, 4},
			{Filter{Object: entity("doc:1")}, 3}, {Filter{Object: graph.Entity{Type: "doc"}, Relation: "viewer"}, 4},
			{Filter{Subject: entity("user:ann"), Object: entity("doc:2")}, 1}, {Filter{Source: "src_1"}, 0},
		} {
			seen := map[graph.Tuple]bool{}
			for after, pages := "", 0; ; pages++ {
				page, next, _, err := w.store.List(ctx, dbtest.Realm, c.f, after, 2)
				if err != nil || pages > 5 {
					t.Fatalf("%+v: %v", c.f, err)
				}
				for _, r := range page {
					seen[r.Tuple] = true
				}
				if after = next; next == "" {
					break
				}
			}
			if len(seen) != c.want {
				t.Errorf("%+v: %d, want %d", c.f, len(seen), c.want)
			}
		}
		for _, bad := range []string{"x", "W10", "bnVsbA"} {
			if _, _, _, err := w.store.List(ctx, dbtest.Realm, Filter{}, bad, 2); !fault.Is(err, fault.Invalid) {
				t.Errorf("page %q: %v", bad, err)
			}
		}
		if _, _, _, err := w.store.List(ctx, dbtest.Realm, Filter{Subject: graph.Entity{ID: "ann"}}, "", 2); !fault.Is(err, fault.Invalid) {
			t.Errorf("an id without type: %v", err)
		}
		rows, _, _, err := w.store.List(ctx, dbtest.Neighbour, Filter{}, "", 2)
		if err != nil || len(rows) > 0 {
			t.Errorf("the neighbour sees %v, %v", rows, err)
		}
	})
}

// What ends takes what was said about it along, and old keys are forgotten.
func TestWhatEndsIsForgotten(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.write(t, add("user:usr_1 viewer doc:1", "user:bob manager user:usr_1", "user:bob viewer doc:1"))
		w.write(t, set("user:usr_1", "department", "sales"))
		for range 2 {
			err := w.DB.Update(ctx, dbtest.Realm, func(tx *db.Tx) error { return w.store.ForgetTx(tx, audittest.By, entity("user:usr_1")) })
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := w.all(t); len(got) != 1 {
			t.Errorf("left: %v", got)
		}
		if n := count(w.Events(t, dbtest.Realm), Changed); n != 3 {
			t.Errorf("%d events, want 3", n)
		}
		w.Clock.Advance(8 * 24 * 3600 * 1e9)
		if n, err := w.store.Collect(ctx, dbtest.Realm); err != nil || n != 2 {
			t.Errorf("forgot %d batches, %v; want all but the newest", n, err)
		}
	})
}
