package decide_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

const rowsSchema = `
entity user in [team] { level?: Long, kind?: String };
entity team in [team];
entity folder in [folder];
entity payment in [folder] { owner?: user, team?: team };
action read, refund, close appliesTo { principal: user, resource: payment };
`

const rowsPolicies = `
@id("granted") permit (principal, action == Action::"read", resource) when { principal in Role::"viewer" };
@id("ours") permit (principal, action == Action::"refund", resource) when { resource has owner && resource.owner in team::"d_team1" };
@id("high") permit (principal, action == Action::"close", resource) when { resource has owner && resource.owner has level && resource.owner.level > 3 };
@id("robots") forbid (principal, action == Action::"close", resource) when { resource has owner && resource.owner has kind && resource.owner.kind == "robot" };
`

func rows(t *testing.T, w *world) {
	t.Helper()
	set, err := policy.Compile(policy.Source{Schema: policy.File{Name: "schema.cedarschema", Text: []byte(rowsSchema)},
		Policies: []policy.File{{Name: "policies/all.cedar", Text: []byte(rowsPolicies)}}, Roles: roles})
	if err != nil {
		t.Fatal(err)
	}
	w.set = set
}

func (w *world) left(t *testing.T, subject, action string) (string, error) {
	t.Helper()
	left, snap, at, err := w.snaps.Partial(ctx, dbtest.Realm, &policy.Question{Subject: entity(subject), Action: action, Resource: entity("payment:x"), At: w.DB.Now()},
		policy.Rows{Attributes: []string{"owner", "team"}, Parents: []string{"folder"}})
	if err == nil && (snap == nil || at == audit.Position{}) {
		t.Fatal("a residual without facts")
	}
	return values(left.When), err
}

// values are those that a condition names, sorted.
func values(c policy.Condition) string {
	var all []string
	var visit func(c policy.Condition)
	visit = func(c policy.Condition) {
		for _, v := range c.Values {
			all = append(all, fmt.Sprint(v))
		}
		for _, p := range c.Args {
			visit(p)
		}
	}
	visit(c)
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

// What the directory says of people and groups counts like what was written: the
// groups that somebody is in, who is in a group, and what is known of everybody.
func TestResidualsBySQLAskTheDirectory(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		var d directory
		w := asleep(t, e, 1, d.is())
		rows(t, w)
		d.put("d_team1")
		d.put("d_ann", "member team:d_team1")
		d.put("d_bob", "member team:d_team2")
		d.put("d_team2", "member team:d_team1")
		w.write(t, graph.Change{Add: []graph.Tuple{tuple("team:d_team1 clerk folder:shop"), tuple("folder:till parent folder:shop"), tuple("payment:1 parent folder:till"), tuple("user:eve member team:mine"), tuple("team:mine viewer payment:2")},
			Set: []graph.Attribute{{Entity: entity("user:d_ann"), Name: "level", Value: int64(5)}, {Entity: entity("user:eve"), Name: "level", Value: int64(2)}, {Entity: entity("user:zoe"), Name: "level", Value: "high"}}})
		for _, c := range []struct{ subject, action, want string }{
			{"user:d_bob", "read", "1 shop till"}, // a clerk views, by the group of the group
			{"user:eve", "read", "2"},
			{"user:nobody", "read", ""},
			{"user:eve", "refund", "d_ann d_bob"}, // whoever is in the team
		} {
			if got, err := w.left(t, c.subject, c.action); got != c.want || err != nil {
				t.Errorf("%s may %s where %q, want %q (%v)", c.subject, c.action, got, c.want, err)
			}
		}
		// The level of zoe is none, so nothing of hers can be judged, and the forbid denies.
		if got, err := w.left(t, "user:eve", "close"); !strings.Contains(got, "d_ann") || !strings.Contains(got, "zoe") || err != nil {
			t.Errorf("close where %q (%v)", got, err)
		}
	})
}

// How large the realm is does not count, only what the answer takes; one that would
// take too much is an error that says of what.
func TestResidualsBySQLAreBoundedByTheirAnswer(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := open(t, e, 1)
		rows(t, w)
		c := graph.Change{Add: []graph.Tuple{tuple("user:ann clerk payment:1"), tuple("user:bob clerk folder:all")}}
		for i := range 50 {
			c.Add = append(c.Add, tuple(fmt.Sprintf("payment:p%d parent folder:all", i)))
			c.Set = append(c.Set, graph.Attribute{Entity: entity(fmt.Sprintf("user:u%d", i)), Name: "level", Value: int64(i)})
		}
		for i := range 30 {
			c.Set = append(c.Set, graph.Attribute{Entity: entity(fmt.Sprintf("user:v%d", i)), Name: "level", Value: int64(1)})
		}
		w.write(t, c)
		w.snaps.Bound(40, 200)
		if got, err := w.left(t, "user:ann", "read"); got != "1" || err != nil {
			t.Errorf("ann may read %q: %v", got, err)
		}
		if got, err := w.left(t, "user:bob", "read"); !errors.Is(err, policy.ErrInexpressible) || !strings.Contains(err.Error(), `what user "bob" has a role on`) {
			t.Errorf("bob may read %q: %v", got, err)
		}
		w.snaps.Bound(200, 60)
		if got, err := w.left(t, "user:bob", "read"); len(strings.Fields(got)) != 51 || err != nil {
			t.Errorf("bob may read %q: %v", got, err)
		}
		if got, err := w.left(t, "user:bob", "close"); !errors.Is(err, policy.ErrInexpressible) || !strings.Contains(err.Error(), "of every user") {
			t.Errorf("bob may close %q: %v", got, err)
		}
	})
}

// grown writes somebody's payment into two folders that came to be in thousands of
// others each, so that it is inside more than a question looks at.
func (w *world) grown(t *testing.T) {
	t.Helper()
	w.write(t, graph.Change{Add: []graph.Tuple{tuple("payment:both parent folder:a"), tuple("payment:both parent folder:b"), tuple("payment:one parent folder:c"), tuple("folder:c parent folder:a1"), tuple("user:ann viewer folder:a1")}})
	number := "CAST($2 || i AS BLOB)"
	if w.DB.Engine() == db.Postgres {
		number = "convert_to($2 || i, 'UTF8')"
	}
	for _, id := range []string{"a", "b"} {
		err := w.DB.Update(ctx, dbtest.Realm, func(tx *db.Tx) error {
			_, err := tx.Exec(`INSERT INTO access_relations (realm, subject_type, subject_id, relation, object_type, object_id, expires_at, version, source)
				WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5100)
				SELECT $1, 'folder', $3, 'parent', 'folder', `+number+`, 0, 1, '' FROM n`, tx.Realm, id, []byte(id))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A realm in which something came to be inside too much is held as before; what it
// is about is denied, and shown by no filter.
func TestWhatIsInsideTooMuchIsDeniedAlone(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := open(t, e, 0)
		rows(t, w)
		w.grown(t)
		snap, _, err := w.snaps.At(ctx, dbtest.Realm, audit.Position{})
		if err != nil {
			t.Fatal(err)
		}
		q := &policy.Question{Subject: entity("user:ann"), Action: "read", Resource: entity("payment:x"), At: w.DB.Now()}
		left, err := policy.Partial(snap, q, policy.Rows{})
		if err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]bool{"one": true, "both": false} {
			q.Resource = entity("payment:" + id)
			if a := w.snaps.Decide(ctx, dbtest.Realm, audit.Position{}, q); a.Allowed != want {
				t.Errorf("payment %s: %+v", id, a)
			}
		}
		if shown, _ := split(left.When); shown != "one" {
			t.Errorf("shown are %q", shown)
		}
	})
}

// split are the ids that a condition lets in, and those that it does not.
func split(c policy.Condition) (in, out string) {
	var let, not []string
	var visit func(c policy.Condition)
	visit = func(c policy.Condition) {
		for _, v := range c.Values {
			if c.Op == policy.OpNotIn {
				not = append(not, fmt.Sprint(v))
			} else {
				let = append(let, fmt.Sprint(v))
			}
		}
		for _, p := range c.Args {
			visit(p)
		}
	}
	visit(c)
	let = slices.DeleteFunc(let, func(id string) bool { return slices.Contains(not, id) })
	return strings.Join(let, " "), strings.Join(not, " ")
}

// The same where facts are read by SQL: rows that a condition names by their ids are
// asked about alone, and all of their type where any could meet it.
func TestWhatIsInsideTooMuchIsNotShownBySQL(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := open(t, e, 1)
		rows(t, w)
		w.grown(t)
		w.write(t, graph.Change{Add: []graph.Tuple{tuple("user:eve viewer folder:a1"), tuple("payment:none parent folder:z")}, Set: []graph.Attribute{{Entity: entity("user:eve"), Name: "level", Value: int64(5)}}})
		ask := func(action string, rows policy.Rows) (policy.Condition, error) {
			left, _, _, err := w.snaps.Partial(ctx, dbtest.Realm, &policy.Question{Subject: entity("user:eve"), Action: action, Resource: entity("payment:x"), At: w.DB.Now()}, rows)
			return left.When, err
		}
		for id, want := range map[string]bool{"one": true, "both": false} {
			if a := w.may("user:eve", "read", "payment:"+id, audit.Position{}); a.Allowed != want {
				t.Errorf("payment %s: %+v", id, a)
			}
		}
		when, err := ask("read", policy.Rows{})
		if shown, _ := split(when); shown != "one" || err != nil {
			t.Errorf("read where %q (%v)", shown, err)
		}
		when, err = ask("close", policy.Rows{Attributes: []string{"owner"}})
		if shown, not := split(when); !strings.Contains(shown, "eve") || not != "both" || err != nil {
			t.Errorf("close where %q and not %q (%v)", shown, not, err)
		}
		if when, err = ask("read", policy.Rows{Parents: []string{"folder"}}); !errors.Is(err, policy.ErrInexpressible) || !strings.Contains(err.Error(), `is inside so many others`) {
			t.Errorf("with folders in rows: %+v %v", when, err)
		}
		w.snaps.Bound(40_000, 5000)
		if when, err = ask("close", policy.Rows{Attributes: []string{"owner"}}); !errors.Is(err, policy.ErrInexpressible) || !strings.Contains(err.Error(), "whether every payment is inside more") {
			t.Errorf("where it would take too much: %+v %v", when, err)
		}
	})
}

// fill writes relations past everything that bounds them: of each of n subjects to
// each of m objects, whose ids end in their number if there is more than one.
func (w *world) fill(t *testing.T, subject string, n int, relation, object string, m int, expires int64) {
	t.Helper()
	id := func(e graph.Entity, of, place string, count int) string {
		text := fmt.Sprintf("%s || %s.i", place, of)
		if count == 1 {
			text = place
		}
		if w.DB.Engine() == db.Postgres {
			return "convert_to(" + text + ", 'UTF8')"
		}
		return "CAST(" + text + " AS BLOB)"
	}
	s, o := entity(subject), entity(object)
	const atOnce = 50
	for first := 1; first <= n; first += atOnce {
		err := w.DB.Update(ctx, dbtest.Realm, func(tx *db.Tx) error {
			_, err := tx.Exec(`INSERT INTO access_relations (realm, subject_type, subject_id, relation, object_type, object_id, expires_at, version, source)
			WITH RECURSIVE a (i) AS (SELECT CAST($10 AS INTEGER) UNION ALL SELECT i + 1 FROM a WHERE i < $2), b (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM b WHERE i < $3)
			SELECT $1, CAST($4 AS TEXT), `+id(s, "a", "CAST($5 AS TEXT)", n)+`, CAST($6 AS TEXT), CAST($7 AS TEXT), `+id(o, "b", "CAST($8 AS TEXT)", m)+`, $9, 1, '' FROM a CROSS JOIN b`,
				tx.Realm, min(n, first+atOnce-1), m, s.Type, s.ID, relation, o.Type, o.ID, expires, first)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// How many roles lie between somebody and a row does not count where the policies
// ask for none of them; where they do, there is no filter that shows what a question
// denies, whether it would ask for them or not.
func TestRolesBetweenBySQLAreThoseThatPoliciesAskFor(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := open(t, e, 1)
		rows(t, w)
		w.write(t, graph.Change{Set: []graph.Attribute{{Entity: entity("user:eve"), Name: "level", Value: int64(5)}, {Entity: entity("payment:p"), Name: "owner", Value: "eve"}}})
		w.fill(t, "user:eve", 1, graph.Member, "team:t", 290, 0)
		w.fill(t, "payment:p", 1, graph.Parent, "folder:f", 290, 0)
		w.fill(t, "team:t", 290, "clerk", "folder:f", 290, 0)
		ask := func(action string) (bool, policy.Condition, error) {
			left, _, _, err := w.snaps.Partial(ctx, dbtest.Realm, &policy.Question{Subject: entity("user:eve"), Action: action, Resource: entity("payment:x"), At: w.DB.Now()}, policy.Rows{Attributes: []string{"owner"}})
			return w.may("user:eve", action, "payment:p", audit.Position{}).Allowed, left.When, err
		}
		if allowed, when, err := ask("close"); !allowed || values(when) != "eve" || err != nil {
			t.Errorf("close, which asks for no role, is allowed: %v, and where %+v (%v)", allowed, when, err)
		}
		if _, when, err := ask("read"); !errors.Is(err, policy.ErrInexpressible) {
			t.Errorf("read where %+v (%v)", when, err)
		}
		// The role is asked for by a policy about others alone.
		var err error
		w.set, err = policy.Compile(policy.Source{Schema: policy.File{Name: "schema.cedarschema", Text: []byte(rowsSchema)}, Roles: roles, Policies: []policy.File{{Name: "policies/all.cedar", Text: []byte(`
			@id("owned") permit (principal, action == Action::"read", resource) when { resource has owner };
			@id("others") permit (principal in team::"others", action == Action::"read", resource) when { principal in Role::"viewer" };`)}}})
		if err != nil {
			t.Fatal(err)
		}
		if allowed, when, err := ask("read"); !allowed && !errors.Is(err, policy.ErrInexpressible) {
			t.Errorf("read is denied, and allowed where %+v (%v)", when, err)
		}
	})
}

// What has ended is not read, so it does not count, however much it was.
func TestWhatHasEndedDoesNotCountBySQL(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := open(t, e, 1)
		rows(t, w)
		w.write(t, graph.Change{Set: []graph.Attribute{{Entity: entity("user:eve"), Name: "level", Value: int64(5)}, {Entity: entity("payment:p"), Name: "owner", Value: "eve"}}})
		w.fill(t, "payment:p", 1, graph.Parent, "folder:f", 10_100, 1)
		if a := w.may("user:eve", "close", "payment:p", audit.Position{}); !a.Allowed {
			t.Errorf("got %+v", a)
		}
		left, _, _, err := w.snaps.Partial(ctx, dbtest.Realm, &policy.Question{Subject: entity("user:eve"), Action: "close", Resource: entity("payment:x"), At: w.DB.Now()}, policy.Rows{Attributes: []string{"owner"}})
		if shown, not := split(left.When); shown != "eve" || not != "" || err != nil {
			t.Errorf("close where %q and not %q (%v)", shown, not, err)
		}
	})
}

// Somebody and a row may each be inside as much as a question looks at.
func TestBothSidesBySQLMayBeWide(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		wide := 9000
		if e.DB.Engine() == db.Postgres { // where a reader has two seconds, on a busy machine too
			wide = 3000
		}
		w := open(t, e, 1)
		rows(t, w)
		w.write(t, graph.Change{Set: []graph.Attribute{{Entity: entity("user:eve"), Name: "level", Value: int64(5)}, {Entity: entity("payment:p"), Name: "owner", Value: "eve"}}})
		w.fill(t, "user:eve", 1, graph.Member, "team:t", wide, 0)
		w.fill(t, "team:t", wide, graph.Member, "team:over", 4, 0)
		w.fill(t, "payment:p", 1, graph.Parent, "folder:f", wide, 0)
		w.fill(t, "folder:f", wide, graph.Parent, "folder:over", 4, 0)
		if a := w.may("user:eve", "close", "payment:p", audit.Position{}); !a.Allowed {
			t.Errorf("got %+v", a)
		}
	})
}

// Where both sides are inside of so much that not each pair of them is looked up, it is
// the same roles that count.
func TestRolesBetweenManyBySQL(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := open(t, e, 1)
		rows(t, w)
		for _, user := range []string{"user:eve", "user:zoe"} {
			w.fill(t, user, 1, graph.Member, "team:t", 120, 0)
		}
		for _, payment := range []string{"payment:p", "payment:q"} {
			w.fill(t, payment, 1, graph.Parent, "folder:f", 100, 0)
		}
		w.fill(t, "team:t120", 1, "clerk", "folder:f100", 1, 1) // has ended
		w.write(t, graph.Change{Add: []graph.Tuple{tuple("user:eve member team:own"), tuple("team:own clerk folder:f7"), tuple("team:t1 clerk folder:elsewhere"), tuple("team:t2 owner folder:f2")}})
		for subject, want := range map[string]bool{"user:eve": true, "user:zoe": false} {
			for _, payment := range []string{"p", "q"} {
				if a := w.may(subject, "read", "payment:"+payment, audit.Position{}); a.Allowed != want {
					t.Errorf("%s reads payment %s: %+v", subject, payment, a)
				}
			}
			left, _, _, err := w.snaps.Partial(ctx, dbtest.Realm, &policy.Question{Subject: entity(subject), Action: "read", Resource: entity("payment:x"), At: w.DB.Now()}, policy.Rows{})
			if shown := strings.Fields(values(left.When)); slices.Contains(shown, "p") != want || slices.Contains(shown, "q") != want || err != nil {
				t.Errorf("%s reads where %q (%v)", subject, shown, err)
			}
		}
	})
}
