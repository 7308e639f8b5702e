package residual_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	. "github.com/cardea-id/cardea/internal/access/residual"
)

// A residual is right when a database answers with exactly the rows of which
// Decide says yes once what the row holds is stored. The test makes up policies,
// relations, attributes, mappings and rows, and lets real databases answer.

// How many models are made up, of eight rows each; make long sets more.
const models = "CARDEA_TEST_RESIDUALS"

const schema = `
entity Org in [Org];
entity Num, Key;
entity Color enum ["red", "A"];
entity Team in [Team, Org] { lead?: User, rank: Long };
entity User in [Team, Org] { level?: Long, boss?: User, teams?: Set<Team>, @request mood?: String, @request rank: Long, open?: Bool, at?: { city: String, zip?: Long }, ip?: ipaddr, rate?: decimal } tags String;
entity Folder in [Folder, Shelf] { owner?: User, level?: Long, open?: Bool };
entity Shelf;
entity Doc in [Folder] { level: Long, cap: Long, owner?: User, editor: User, team?: Team, open: Bool, due?: datetime, @request status: String, title: String, tags?: Set<String>, seen?: datetime, ref?: Num, uid?: Key, color?: Color };
type Context = { acr?: String, now?: datetime, n?: Long, names?: Set<String> };
action touch;
action view, edit in [touch] appliesTo { principal: [User, Team], resource: [Doc, Folder, User], context: Context };
action share in [touch] appliesTo { principal: User, resource: Doc, context: Context };
`

var permits = []string{
	`(principal in Role::"viewer", action == Action::"view", resource)`,
	`(principal in Role::"editor", action, resource is Doc) when { resource.level < 3 }`,
	`(principal is User in Role::"owner", action in Action::"touch", resource is Doc)`,
	`(principal, action, resource) when { principal in [Role::"owner", Role::"editor"] && !(resource in Folder::"b") }`,
	`(principal in Team::"a", action == Action::"edit", resource)`,
	`(principal in Org::"b", action, resource in Folder::"b")`,
	`(principal == User::"a", action, resource == Doc::"a:b")`,
	`(principal, action, resource is Doc in Folder::"a")`,
	`(principal is User, action, resource is Doc) when { resource has owner && resource.owner == principal }`,
	`(principal is User, action, resource is Doc) when { resource.editor == principal }`,
	`(principal is User, action, resource is Doc) when { resource has owner && resource.owner in Team::"a" }`,
	`(principal is User, action, resource is Doc) when { resource has owner && resource.owner has boss && resource.owner.boss == principal }`,
	`(principal is User, action, resource is Doc) when { resource has team && principal in resource.team }`,
	`(principal is User, action, resource is Doc) when { resource has team && resource.team has lead && resource.team.lead == principal }`,
	`(principal is User, action, resource is Doc) when { principal has teams && resource has team && principal.teams.contains(resource.team) }`,
	`(principal is User, action, resource is Doc) when { resource has editor && resource has owner && resource.editor != resource.owner }`,
	`(principal is User, action, resource is Doc) when { resource has cap && resource.level <= resource.cap }`,
	`(principal is User, action, resource is Doc) when { context has now && resource has due && resource.due > context.now }`,
	`(principal is User, action, resource is Doc) when { resource has due && resource.due <= datetime("2027-01-15") }`,
	`(principal is User, action, resource is Doc) when { resource has open && resource.open }`,
	`(principal is User, action, resource is Doc) when { resource.open || resource.level > 2 }`,
	`(principal is User, action, resource is Doc) when { resource has title && resource.title like "a*" }`,
	`(principal is User, action, resource is Doc) when { resource has title && resource.title like "*\*_%?[*" }`,
	`(principal is User, action, resource is Doc) when { resource has title && !(resource.title like "*b") }`,
	`(principal is User, action, resource is Doc) when { resource has status && ["new", "A"].contains(resource.status) }`,
	`(principal is User, action, resource is Doc) when { context has names && resource has title && context.names.contains(resource.title) }`,
	`(principal is User, action, resource is Doc) when { ["x", resource.title].contains(resource.status) }`,
	`(principal is User, action, resource is Doc) unless { resource.level > 2 }`,
	`(principal is User, action, resource is Doc) when { principal has level && resource.level < principal.level }`,
	`(principal is User, action, resource is Doc) when { if resource has open && resource.open then resource.level > 1 else principal in Team::"a" }`,
	`(principal is User, action, resource is Doc) when { resource.editor has level && resource.editor.level * 2 > 5 }`,
	`(principal is User, action, resource is User) when { principal == resource }`,
	`(principal is User, action, resource is User) when { principal in Team::"a" && resource in Team::"a" }`,
	`(principal is User, action, resource is User) when { resource has boss && resource.boss == principal }`,
	`(principal is User, action, resource is User) when { resource has mood && principal has mood && resource.mood == principal.mood }`,
	`(principal is User, action, resource is User) when { resource has level && principal has level && principal.level > resource.level }`,
	`(principal, action, resource is Folder) when { resource has open && resource.open }`,
	`(principal, action, resource in Shelf::"a")`,
	`(principal, action, resource is Folder) when { resource has level && resource.level >= 2 }`,
	`(principal is User, action, resource)`,
}

var forbids = []string{
	`(principal, action == Action::"edit", resource) when { principal in Team::"b" }`,
	`(principal in Role::"banned", action, resource)`,
	`(principal, action, resource is Doc) when { resource has status && resource.status == "archived" } unless { principal in Role::"owner" }`,
	`(principal, action, resource is Doc) when { resource.level > 4 }`,
	`(principal, action, resource is Doc) when { resource.status == "archived" }`,
	`(principal is User, action, resource is Doc) when { principal has level && principal.level < resource.level }`,
	`(principal, action, resource in Folder::"a|b") unless { context has acr && context.acr == "aal2" }`,
	`(principal, action, resource) when { if principal in Team::"a" then resource in Folder::"a" else action == Action::"share" }`,
	`(principal is User, action, resource is Doc) when { resource has owner && resource.owner has level && resource.owner.level > 3 }`,
	`(principal is User, action, resource is Doc) when { resource has title && resource.title like "*a" || resource has open && !resource.open }`,
	`(principal is User, action, resource is Doc) when { resource.cap < 3 && context has n && context.n > 1 }`,
	`(principal, action, resource is Doc) when { resource has owner && !(resource.owner in [Team::"a", Team::"b"]) }`,
	`(principal is User, action, resource is User) when { resource in Org::"a" }`,
}

var ids = []string{"a", "b", "A", "a:b", "a|b", "a'b", "a\"b", "a;--", "b ", "á", "a\u0301", "%", "_", "7", "07", "a\\", "\\", "a\U0001f600", "*", "!", "ß", "ss", "\u200ba"}

type sample struct{ *rand.Rand }

func pick[T any](r sample, from ...T) T { return from[r.IntN(len(from))] }

func (r sample) id() string {
	return ids[r.IntN([]int{1, 2, 2, 3, len(ids)}[r.IntN(5)])]
}

func (r sample) of(types ...string) policy.Entity {
	return policy.Entity{Type: pick(r, types...), ID: r.id()}
}

func (r sample) odds(n int) bool { return r.IntN(100) < n }

func TestEveryPolicyOfTheSampleCompiles(t *testing.T) {
	roles := policy.Roles{File: "roles.yaml", Types: []policy.RoleType{{Type: "Doc"}}}
	for _, name := range []string{"viewer", "editor", "owner", "banned"} {
		roles.Types[0].Roles = append(roles.Types[0].Roles, policy.Role{Name: name})
	}
	for i, text := range append(slices.Clone(permits), forbids...) {
		if _, err := policy.Compile(policy.Source{Schema: policy.File{Name: "schema", Text: []byte(schema)}, Policies: []policy.File{{Name: "p", Text: []byte("@id(\"p\") permit " + text + ";")}}, Roles: roles}); err != nil {
			t.Errorf("%d %s: %v", i, text, err)
		}
	}
}

// valid is a wild policy that compiles.
func (r sample) valid(t *testing.T) string {
	roles := policy.Roles{File: "roles.yaml", Types: []policy.RoleType{{Type: "Doc"}}}
	for _, name := range []string{"viewer", "editor", "owner", "banned"} {
		roles.Types[0].Roles = append(roles.Types[0].Roles, policy.Role{Name: name})
	}
	var err error
	for range 200 {
		text := r.wild()
		if _, err = policy.Compile(policy.Source{Schema: policy.File{Name: "schema", Text: []byte(schema)}, Policies: []policy.File{{Name: "p", Text: []byte("@id(\"p\") permit " + text + ";")}}, Roles: roles}); err == nil {
			return text
		}
	}
	t.Fatal(err)
	return ""
}

func (r sample) set(t *testing.T) *policy.Set {
	var text strings.Builder
	for i, list := range [][]string{permits, forbids} {
		word := [2]string{"permit", "forbid"}[i]
		for n := range pick(r, [2][]int{{1, 2, 4, 6}, {0, 0, 1, 2}}[i]...) {
			of := pick(r, list...)
			if r.odds(50) {
				of = r.valid(t)
			}
			fmt.Fprintf(&text, "@id(\"%s%d\") %s %s;\n", word, n, word, of)
		}
	}
	roles := policy.Roles{File: "roles.yaml"}
	for _, typ := range []string{"Doc", "Folder"} {
		rt := policy.RoleType{Type: typ}
		names := []string{"viewer", "editor", "owner", "banned"}
		for i, name := range names {
			role := policy.Role{Name: name}
			if i > 0 && r.odds(40) {
				role.Implies = []string{names[r.IntN(i)]}
			}
			if i < 3 && r.odds(40) {
				role.Permissions = []string{pick(r, "view", "edit")}
			}
			rt.Roles = append(rt.Roles, role)
		}
		roles.Types = append(roles.Types, rt)
	}
	set, err := policy.Compile(policy.Source{Schema: policy.File{Name: "schema", Text: []byte(schema)}, Policies: []policy.File{{Name: "all.cedar", Text: []byte(text.String())}}, Roles: roles})
	if err != nil {
		t.Fatalf("%v\n%s", err, text.String())
	}
	return set
}

var now = time.UnixMilli(1_800_000_000_000)

func (r sample) graph() *graph.Graph {
	g := graph.Empty()
	try := func(c graph.Change) {
		if next, err := g.Apply(c); err == nil { // cycles are refused
			g = next
		}
	}
	for range r.IntN(25) {
		ends := pick(r, 0, 0, 0, now.UnixMilli(), now.UnixMilli()+1)
		var tuple graph.Tuple
		switch r.IntN(5) {
		case 0, 1:
			tuple = graph.Tuple{Subject: r.of("User", "User", "Team"), Relation: graph.Member, Object: r.of("Team", "Org"), Expires: ends}
		case 2:
			tuple = graph.Tuple{Subject: r.of("Doc", "Folder"), Relation: graph.Parent, Object: r.of("Folder"), Expires: ends}
			if tuple.Subject.Type == "Folder" && r.odds(30) {
				tuple.Object = r.of("Shelf")
			}
		default:
			tuple = graph.Tuple{Subject: r.of("User", "User", "Team", "Org"), Relation: pick(r, "viewer", "editor", "owner", "banned"), Object: r.of("Doc", "Folder"), Expires: ends}
		}
		try(graph.Change{Add: []graph.Tuple{tuple}})
	}
	for range r.IntN(12) {
		e := r.of("User", "User", "Doc", "Folder", "Team")
		name, value := "level", any(int64(r.IntN(6)))
		switch {
		case e.Type == "Team":
			name, value = pick(r, "lead", "lead", "rank"), r.id()
			if name == "rank" {
				value = int64(r.IntN(6))
			}
		case e.Type == "User":
			switch r.IntN(10) {
			case 4:
				name, value = "rank", int64(r.IntN(6))
			case 5:
				name, value = "at", map[string]any{"city": "a", "zip": int64(r.IntN(6))}
			case 6:
				name, value = "ip", pick(r, "10.1.2.3", "11.0.0.1")
			case 7:
				name, value = "rate", pick(r, "1.4999", "1.5")
			case 8:
				name, value = "t", pick(r, "a", "A", "new")
			case 9:
				name, value = "open", r.odds(50)
			case 0:
				name, value = "boss", r.id()
			case 1:
				name, value = "mood", pick(r, "good", "bad")
			case 2:
				name, value = "teams", []any{r.id(), r.id()}
			}
		case e.Type == "Doc":
			switch r.IntN(5) {
			case 4:
				name, value = "tags", pick(r, []any{}, []any{"a"}, []any{"a", "A", "new"})
			case 0:
				name, value = "owner", r.id()
			case 1:
				name, value = "status", pick(r, "archived", "new")
			case 2:
				name, value = "open", r.odds(50)
			}
		}
		if r.odds(8) && (e.Type == "Doc" || e.Type == "Folder") { // from before the schema was changed
			value = true
			if name == "open" {
				value = "x"
			}
		}
		try(graph.Change{Set: []graph.Attribute{{Entity: e, Name: name, Value: value}}})
	}
	return g
}

// row is what a table holds; nil is NULL.
type row map[string]any

var kinds = map[string]string{"owner": "text", "editor": "text", "team": "text", "boss": "text", "level": "integer", "cap": "integer", "open": "boolean",
	"due": "integer", "status": "text", "title": "text", "mood": "text", "folder": "text", "shelf": "text", "org": "text",
	"seen": "integer", "ref": "integer", "uid": "uuid", "color": "text", "rank": "integer"}

var attributes = map[string][]string{"Doc": {"owner", "editor", "team", "level", "cap", "open", "due", "status", "title", "seen", "ref", "uid", "color"}, "Folder": {"owner", "level", "open"},
	"User": {"level", "boss", "mood", "open", "rank"}}

// typed are the columns that hold something in another way than the usual one.
var typed = map[string]Type{"seen": Seconds, "ref": Integer, "uid": UUID}

func (r sample) row(id string) row {
	out := row{"id": id}
	for name, kind := range kinds {
		switch {
		case r.odds(25):
			out[name] = nil
		case name == "due":
			out[name] = pick(r, now.UnixMilli(), now.UnixMilli()+1, now.UnixMilli()-1, 1_799_971_200_000, 5)
		case name == "seen":
			out[name] = pick(r, now.Unix(), now.Unix()+1, now.Unix()-1, 1_799_971_200, 0, -1)
		case name == "ref":
			out[name] = pick(r, int64(7), -1, 0, 1<<53+1, 1<<53, math.MaxInt64)
		case name == "uid":
			out[name] = pick(r, keys[0], keys[2])
		case name == "color":
			out[name] = pick(r, "red", "A", "a", "RED")
		case kind == "integer":
			out[name] = pick(r, int64(r.IntN(6)), int64(r.IntN(6)), int64(r.IntN(6)), math.MaxInt64, 1<<53, 1<<53+1, math.MinInt64, -1)
		case kind == "boolean":
			out[name] = r.odds(50)
		case name == "status":
			out[name] = pick(r, "archived", "new", "a", "x", "Archived")
		case name == "title":
			out[name] = pick(r, "a", "ab", "Ab", "b", "ba", "a*_%?[b", "x", "", "a\nb", "a?", "!a", "a\\", "[a]b", "ä", "á", "a\u0301", "b ", "good", "a\U0001f600b")
		case name == "mood":
			out[name] = pick(r, "good", "bad")
		default:
			out[name] = r.id()
		}
	}
	return out
}

func (r sample) mapping(typ string) Mapping {
	m := Mapping{ID: Column{Name: pick(r, "id", "d.id")}, Attributes: map[string]Column{}, Parents: map[string]Column{}}
	for _, name := range attributes[typ] {
		if r.odds(75) {
			m.Attributes[name] = Column{Name: pick(r, name, "d."+name), Type: typed[name]}
		}
	}
	if parent := map[string]string{"Doc": "Folder", "Folder": "Shelf"}[typ]; parent != "" && r.odds(60) {
		m.Parents[parent] = Column{Name: strings.ToLower(parent)}
	}
	if typ == "User" && r.odds(30) {
		m.Parents["Org"] = Column{Name: "org"}
	}
	return m
}

func (r sample) question(typ string) policy.Question {
	q := policy.Question{Subject: r.of("User", "User", "User", "User", "Team"), Resource: policy.Entity{Type: typ}, Action: pick(r, "view", "view", "edit", "share"), At: now, Context: policy.Properties{}}
	if r.odds(50) {
		q.SubjectProperties = policy.Properties{"mood": pick[any](r, "good", "bad", "a", "A", nil), "level": 5, "boss": "a", "rank": pick[any](r, 0, 3, int64(math.MaxInt64), nil)}
		switch r.IntN(20) {
		case 0:
			q.SubjectProperties["mood"] = pick[any](r, 5, []any{"good"})
		case 1:
			q.SubjectProperties["rank"] = pick[any](r, "3", 2.5)
		}
	}
	if r.odds(70) {
		q.Context = policy.Properties{"acr": pick(r, "aal1", "aal2"), "n": pick(r, int64(0), int64(5)), "names": []any{"a", "A", "x"}}
	}
	return q
}

// allowed asks Decide about a row as if what it holds were stored.
func allowed(t *testing.T, s *policy.Snapshot, q policy.Question, m Mapping, in row) bool {
	q.Resource.ID = in["id"].(string)
	var c graph.Change
	for name := range m.Attributes {
		a := graph.Attribute{Entity: q.Resource, Name: name, Value: in[name]}
		if in[name] != nil {
			switch name {
			case "due":
				a.Value = time.UnixMilli(in[name].(int64))
			case "seen":
				a.Value = time.Unix(in[name].(int64), 0)
			case "ref":
				a.Value = strconv.FormatInt(in[name].(int64), 10)
			}
		}
		if c.Unset = append(c.Unset, a); in[name] != nil {
			c.Set = append(c.Set, a)
		}
	}
	for parent := range m.Parents {
		if id := in[strings.ToLower(parent)]; id != nil {
			c.Add = append(c.Add, graph.Tuple{Subject: q.Resource, Relation: graph.Parent, Object: policy.Entity{Type: parent, ID: id.(string)}})
		}
	}
	g, err := s.Graph().Apply(c)
	if err != nil {
		t.Fatal(err)
	}
	return policy.Decide(policy.NewSnapshot(s.Set(), g, 1), &q).Allowed
}

// misfits reports whether the caller says something of a type that it cannot be:
// then no row is shown.
func misfits(q policy.Question) bool {
	if q.Subject.Type != "User" {
		return false
	}
	_, text := q.SubjectProperties["mood"].(string)
	_, number := q.SubjectProperties["rank"].(int)
	_, great := q.SubjectProperties["rank"].(int64)
	return q.SubjectProperties["mood"] != nil && !text || q.SubjectProperties["rank"] != nil && !number && !great
}

// engine is a database with a table of rows.
type engine struct {
	dialect Dialect
	fill    func([]row) error
	query   func(where Where) ([]string, error)
}

func columns() []string { return slices.Sorted(func(yield func(string) bool) { yieldAll(yield) }) }

func yieldAll(yield func(string) bool) {
	for name := range kinds {
		if !yield(name) {
			return
		}
	}
}

func create(types map[string]string) string {
	var b strings.Builder
	b.WriteString("CREATE TEMPORARY TABLE docs (id text PRIMARY KEY")
	for _, name := range columns() {
		fmt.Fprintf(&b, ", %s %s", name, types[kinds[name]])
	}
	return b.String() + ")"
}

func sqlite(t *testing.T) engine {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	// The collation of the application's columns must not widen anything.
	if _, err := db.ExecContext(t.Context(), create(map[string]string{"text": "text COLLATE NOCASE", "integer": "integer", "boolean": "boolean", "uuid": "text"})); err != nil {
		t.Fatal(err)
	}
	return over(t, db, SQLite)
}

// over is an engine over the one connection that has the table of rows.
func over(t *testing.T, db *sql.DB, d Dialect) engine {
	insert, err := db.PrepareContext(t.Context(), "INSERT INTO docs VALUES (?"+strings.Repeat(", ?", len(kinds))+")")
	if err != nil {
		t.Fatal(err)
	}
	return engine{d, func(rows []row) error {
		if _, err := db.ExecContext(t.Context(), "DELETE FROM docs"); err != nil {
			return err
		}
		for _, r := range rows {
			if _, err := insert.ExecContext(t.Context(), r.values()...); err != nil {
				return err
			}
		}
		return nil
	}, func(w Where) ([]string, error) {
		rows, err := db.QueryContext(t.Context(), "SELECT id FROM docs d WHERE "+w.SQL, w.Args...)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		var out []string
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return nil, err
			}
			out = append(out, id)
		}
		return out, rows.Err()
	}}
}

func (r row) values() []any {
	out := []any{r["id"]}
	for _, name := range columns() {
		out = append(out, r[name])
	}
	return out
}

// onPostgres is a connection to the server of the tests.
func onPostgres(t *testing.T) *pgx.Conn {
	url := os.Getenv("CARDEA_TEST_POSTGRES")
	if url == "" {
		t.Skip("CARDEA_TEST_POSTGRES names no server")
	}
	ctx := context.Background()
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(ctx) })
	return db
}

func postgres(t *testing.T) engine {
	ctx, db := context.Background(), onPostgres(t)
	// A collation of the application's own, to which "A" is "a" (PostgreSQL, 23.2.2.4).
	text := "text"
	if _, err := db.Exec(ctx, `CREATE COLLATION pg_temp.alike (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`); err == nil {
		text = "text COLLATE pg_temp.alike"
	} else {
		t.Logf("no collation that takes letters for the same: %v", err)
	}
	if _, err := db.Exec(ctx, create(map[string]string{"text": text, "integer": "bigint", "boolean": "boolean", "uuid": "uuid"})); err != nil {
		t.Fatal(err)
	}
	return engine{PostgreSQL, func(rows []row) error {
		if _, err := db.Exec(ctx, "DELETE FROM docs"); err != nil {
			return err
		}
		b := &pgx.Batch{}
		for _, r := range rows {
			var holes []string
			for i := range len(kinds) + 1 {
				holes = append(holes, "$"+strconv.Itoa(i+1))
			}
			b.Queue("INSERT INTO docs VALUES ("+strings.Join(holes, ", ")+")", r.values()...)
		}
		return db.SendBatch(ctx, b).Close()
	}, func(w Where) ([]string, error) {
		rows, err := db.Query(ctx, "SELECT id FROM docs d WHERE $1::int = 1 AND "+w.SQL, append([]any{1}, w.Args...)...)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowTo[string])
	}}
}

func TestDatabasesShowWhatDecideAllows(t *testing.T) {
	for name, open := range map[string]func(*testing.T) engine{"sqlite": sqlite, "postgres": postgres} {
		t.Run(name, func(t *testing.T) { compare(t, open(t)) })
	}
}

// partial is one way to a residual.
type partial func(*policy.Snapshot, *policy.Question, policy.Rows) (policy.Residual, error)

func compare(t *testing.T, e engine) {
	n := 10_000 / 8
	if text := os.Getenv(models); text != "" {
		n, _ = strconv.Atoi(text)
	} else if testing.Short() {
		n = 100
	}
	compareBy(t, e, n, policy.Partial)
}

func compareBy(t *testing.T, e engine, n int, partial partial) {
	seed := rand.Uint64()
	r := sample{rand.New(rand.NewPCG(seed, 1))}
	first := 1
	if e.dialect == PostgreSQL {
		first = 2
	}
	count := map[string]int{}
	for i := range n {
		s := policy.NewSnapshot(r.set(t), r.graph(), 1)
		typ := pick(r, "Doc", "Doc", "Doc", "Doc", "Folder", "User")
		m, q := r.mapping(typ), r.question(typ)
		var rows []row
		for _, k := range r.Perm(len(ids))[:8] {
			rows = append(rows, r.row(ids[k]))
		}
		res, err := partial(s, &q, m.Rows())
		if errors.Is(err, policy.ErrInexpressible) {
			count["inexpressible: "+err.Error()]++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		w, err := SQL(res.When, m, e.dialect, first)
		if errors.Is(err, ErrMapping) { // times in seconds beside times in milliseconds
			count["inexpressible: "+err.Error()]++
			continue
		}
		if err != nil {
			t.Fatalf("seed %d, model %d: %v", seed, i, err)
		}
		if err := e.fill(rows); err != nil {
			t.Fatal(err)
		}
		got, err := e.query(w)
		if err != nil {
			t.Fatalf("seed %d, model %d: %v in %s", seed, i, err, w.SQL)
		}
		for _, in := range rows {
			want := allowed(t, s, q, m, in) && !misfits(q)
			count[fmt.Sprint("rows allowed: ", want)]++
			if has := slices.Contains(got, in["id"].(string)); has != want {
				t.Fatalf("seed %d, model %d: Decide says %t of %v, the database %t\n%+v\nmapped: %v\n%s %q", seed, i, want, in, has, q, m.Rows(), w.SQL, w.Args)
			}
		}
		if _, constant := res.When.Constant(); !constant {
			count["conditions"]++
		}
	}
	refused := 0
	for name, c := range count {
		if strings.HasPrefix(name, "inexpressible") {
			refused += c
		}
	}
	t.Logf("seed %d: %d models, %d conditions, %d rows allowed, %d not, %d could not be written", seed, n, count["conditions"], count["rows allowed: true"], count["rows allowed: false"], refused)
	if count["conditions"] < n/10 || count["rows allowed: true"] < n/5 || refused > n/3 {
		t.Errorf("too few cases say anything: %v", count)
	}
}

// A column of numbers that is mapped as text holds 7, and not 07.
func TestSQLiteTakesNoNumberForAnother(t *testing.T) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE docs (id INTEGER PRIMARY KEY, owner INTEGER); INSERT INTO docs VALUES (1, 1), (7, 7)"); err != nil {
		t.Fatal(err)
	}
	id := policy.Field{Kind: policy.FieldID, Of: policy.ValueID}
	for _, c := range []struct {
		op     policy.Op
		values []any
		want   int
	}{{policy.OpIn, []any{"07"}, 0}, {policy.OpIn, []any{"7"}, 1}, {policy.OpIn, []any{"1.0", " 7", "7"}, 1}, {policy.OpNotIn, []any{"7"}, 1}, {policy.OpNotIn, []any{"07", "1"}, 1}} {
		w, err := SQL(policy.Condition{Op: c.op, Field: id, Values: c.values}, Mapping{ID: Column{Name: "id"}}, SQLite, 1)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM docs WHERE "+w.SQL, w.Args...).Scan(&n); err != nil || n != c.want {
			t.Errorf("%s %q: %d rows, want %d (%v) %s", c.op, c.values, n, c.want, err, w.SQL)
		}
	}
}
