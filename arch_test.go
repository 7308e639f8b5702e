// The rules of the house as tests, on nothing but the syntax tree: which
// package may see which, and where HTTP, SQL, the clock and state may be.
// Do not change this data to make a build pass; change it when the design
// changes, and say so in docs/decisions.
package cardea_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// layers is the architecture, from the ground up. A package may import only
// packages on lines above its own, and only from sides that its own side sees.
// A new package starts here: give it a line.
var layers = []struct{ side, packages string }{
	{"pure", "internal/fault internal/id internal/secret internal/chain"},
	{"pure", "internal/jose internal/statuslist"},
	{"pure", "internal/access/graph"},
	{"pure", "internal/access/policy"},
	{"pure", "internal/access/residual"},
	{"pure", "internal/access/builtin"},
	{"pure", "internal/access/folder"},
	{"pure", "internal/access/replica"},
	{"public", "api verify"},
	{"public", "client edge"},
	{"ground", "internal/i18n internal/cache internal/geo"},
	{"ground", "internal/web/fill"},
	{"ground", "internal/db internal/web internal/mail"},
	{"ground", "internal/config internal/feed"},
	{"ground", "internal/db/dbtest internal/web/look internal/i18n/i18ntest"},
	{"ground", "internal/web/look/looktest"},
	{"core", "internal/audit"},
	{"core", "internal/audit/audittest"},
	{"core", "internal/realm"},
	{"core", "internal/job"},
	{"access", "internal/access/git"},
	{"access", "internal/access/git/gittest"},
	{"access", "internal/access/version"},
	{"access", "internal/access/journal"},
	{"access", "internal/access/authzen internal/access/edge"},
	{"identity", "internal/identity/principal internal/identity/keyring internal/identity/once internal/identity/detail"},
	{"identity", "internal/identity/principal internal/identity/keyring internal/identity/once internal/identity/approval"},
	{"identity", "internal/identity/device"},
	{"identity", "internal/identity/letter"},
	{"identity", "internal/identity/credential/passkeytest"},
	{"identity", "internal/identity/credential"},
	{"identity", "internal/identity/session internal/identity/client internal/identity/trust internal/identity/notice"},
	{"identity", "internal/identity/grant internal/identity/action"},
	{"identity", "internal/identity/token internal/identity/registration internal/identity/risk internal/identity/risk/simulate"},
	{"identity", "internal/identity/logout internal/identity/life internal/identity/terms"},
	{"identity", "internal/identity/signin internal/identity/signal internal/identity/postbox"},
	{"identity", "internal/identity/oauth internal/identity/account"}, // send browsers to signin and take them back
	{"access", "internal/access/relation"},
	{"access", "internal/access/decide"},
	{"access", "internal/access/agent"},
	{"access", "internal/access/opa"},
	{"access", "internal/access/guard"},
	{"access", "internal/access/opal"},
	{"access", "internal/access/local"},
	{"admin", "internal/admin/operator"},
	{"admin", "internal/admin/api"},
	{"admin", "internal/admin/console"}, // asks api what an operator may do
	{"demo", "internal/demo examples/mcp-server"},
	{"app", "internal/app"},
	{"app", "internal/app/apptest"},
	{"app", "e2e/live"},
	{"app", "bench bench/limit bench/seed"},
	{"app", "cmd/cardea"},
}

// sees says which sides a side may import besides itself. identity and access
// never meet: who someone is and what they may do are joined only in app.
var sees = map[string]string{
	"pure":     "",
	"public":   "",
	"ground":   "pure",
	"core":     "pure ground",
	"identity": "pure ground core",
	"access":   "pure ground core",
	"admin":    "pure public ground core identity access",
	"demo":     "public",
	"app":      "pure public ground core identity access admin demo",
}

// exceptions are imports that the table above would refuse, each with its reason.
var exceptions = map[string]string{
	"verify internal/jose":       "resource servers check the same signatures that the server makes",
	"verify internal/statuslist": "resource servers read the same bitmaps that the server writes",

	"edge internal/access/policy":  "edges decide by the same function as the server",
	"edge internal/access/replica": "edges read the stream that the server writes",
	"edge internal/jose":           "edges check the signatures of the stream",
	"edge internal/id":             "edges name decisions as the server does",
	"internal/access/local edge":   "the door of an edge answers from what the edge holds",
}

// speaksHTTP lists the packages that may import net/http: the ground for it,
// the doors, the public libraries, and what wires or drives whole servers.
const speaksHTTP = "internal/web internal/web/look internal/identity/signin internal/identity/account internal/identity/oauth " +
	"internal/identity/signal internal/identity/postbox internal/access/authzen internal/access/edge internal/access/git/gittest internal/access/local internal/access/opa internal/access/opal internal/admin/api internal/admin/console internal/app internal/app/apptest internal/demo examples/mcp-server " +
	"client verify edge e2e/live bench bench/limit bench/seed cmd/cardea"

// readsClock lists the packages that may ask the machine for the time. All
// others take tx.Now, db.Now or a function.
const readsClock = "internal/db internal/db/dbtest internal/app internal/app/apptest internal/demo client verify edge " +
	"e2e/live bench bench/limit bench/seed cmd/cardea"

// crossesRealms lists the packages that may use db.System: access ones look which
// realms have a source that is due.
const crossesRealms = "internal/db internal/db/dbtest internal/audit internal/job internal/realm internal/access/relation internal/access/version"

// modules says which packages may import which foreign module.
var modules = map[string]string{
	"database/sql":                             "internal/db internal/db/dbtest internal/access/residual bench bench/limit", // residual: tests only
	"github.com/jackc/pgx/v5":                  "internal/db internal/db/dbtest internal/access/residual bench bench/limit",
	"modernc.org/sqlite":                       "internal/db internal/db/dbtest internal/access/residual bench bench/limit",
	"github.com/danielgtaylor/huma/v2":         "internal/admin/api",
	"github.com/cedar-policy/cedar-go":         "internal/access/policy",
	"github.com/spf13/cobra":                   "cmd/cardea",
	"github.com/spf13/pflag":                   "cmd/cardea internal/config",
	"go.yaml.in/yaml/v4":                       "internal/config internal/access/folder cmd/cardea",
	"github.com/santhosh-tekuri/jsonschema/v6": "internal/identity/detail",
	"github.com/go-jose/go-jose/v4":            "internal/jose",
	"github.com/oschwald/maxminddb-golang/v2":  "internal/geo",
	"github.com/go-webauthn/webauthn":          "internal/identity/credential",
	"github.com/VictoriaMetrics/metrics":       "internal/app",
	"github.com/wneessen/go-mail":              "internal/mail",
	"golang.org/x/crypto":                      "internal/identity/credential",
	"golang.org/x/mod":                         "internal/audit",
	"golang.org/x/sys":                         "internal/db internal/app cmd/cardea",
	"golang.org/x/term":                        "cmd/cardea",
	"golang.org/x/text":                        "internal/i18n internal/identity/principal internal/identity/credential",
	"golang.org/x/time":                        "internal/web internal/cache",
	"rsc.io/qr":                                "internal/identity/signin",
}

// keepsTestState lists the test kits that share a database server between the
// tests of one process.
const keepsTestState = "internal/db/dbtest"

// foreignDirs hold Go files that are no part of the product.
const foreignDirs = ".git bin node_modules testdata"

var bannedNames = []string{"util", "utils", "common", "helper", "helpers", "types", "models", "errors", "http", "log", "misc", "base"}

func TestLayers(t *testing.T) {
	rank, side := map[string]int{}, map[string]string{}
	for i, l := range layers {
		for p := range strings.FieldsSeq(l.packages) {
			rank[p], side[p] = i, l.side
		}
	}
	for _, f := range sources(t) {
		if _, ok := rank[f.pkg]; !ok {
			t.Errorf("%s: give package %s a place in layers", f.path, f.pkg)
			continue
		}
		for _, imp := range f.imports() {
			dep, ours := strings.CutPrefix(imp, modulePath+"/")
			if _, excepted := exceptions[f.pkg+" "+dep]; !ours || excepted {
				continue
			}
			if side[dep] != side[f.pkg] && !has(sees[side[f.pkg]], side[dep]) {
				t.Errorf("%s (%s) may not see %s (%s)", f.path, side[f.pkg], dep, side[dep])
			} else if rank[dep] >= rank[f.pkg] {
				t.Errorf("%s imports upward or sideways: %s", f.path, dep)
			}
		}
	}
}

// The simulator makes what detectors are measured on, so it must not know them.
func TestTheSimulatorKnowsNoDetector(t *testing.T) {
	for _, f := range sources(t) {
		for _, imp := range f.imports() {
			if f.pkg == "internal/identity/risk/simulate" && strings.HasPrefix(imp, modulePath+"/") {
				t.Errorf("%s imports %s", f.path, imp)
			}
		}
	}
}

func TestForeignImports(t *testing.T) {
	for _, f := range sources(t) {
		for _, imp := range f.imports() {
			switch {
			case imp == "net/http" && !has(speaksHTTP, f.pkg):
				t.Errorf("%s speaks HTTP; only doors may", f.path)
			case strings.HasPrefix(imp, modulePath+"/") || standard(imp) && modules[imp] == "":
			case !has(modules[moduleOf(imp)], f.pkg):
				t.Errorf("%s may not import %s; the place for it is %q", f.path, imp, modules[moduleOf(imp)])
			}
		}
	}
}

func TestPackageNames(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range sources(t) {
		name := f.file.Name.Name
		if slices.Contains(bannedNames, name) {
			t.Errorf("%s: package %s says nothing; name it after what it owns", f.path, name)
		}
		if want := filepath.Base(f.pkg); name != want && name != "main" {
			t.Errorf("%s: package %s lies in folder %s", f.path, name, want)
		}
		documented[f.pkg] = documented[f.pkg] || f.file.Doc != nil
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment; begin with the sentence that says what it owns", pkg)
		}
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, f := range sources(t) {
		if f.file.Name.Name == "main" {
			continue
		}
		for _, d := range f.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || exportedReceiver(d)) && !wellKnown(d) {
					t.Errorf("%s: %s has no comment", f.at(d), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil && ts.Comment == nil {
						t.Errorf("%s: type %s has no comment", f.at(ts), ts.Name.Name)
					}
				}
			}
		}
	}
}

func TestClock(t *testing.T) {
	for _, f := range sources(t) {
		if has(readsClock, f.pkg) {
			continue
		}
		for _, call := range []string{"Now", "Since", "Until"} {
			for _, n := range f.selectors("time", call) {
				t.Errorf("%s reads the clock with time.%s; use tx.Now, db.Now or take a function", f.at(n), call)
			}
		}
	}
}

func TestNoSleeping(t *testing.T) {
	for _, f := range append(sources(t), tests(t)...) {
		for _, n := range f.selectors("time", "Sleep") {
			t.Errorf("%s sleeps; move the clock, or wait on a channel or a ticker with a deadline", f.at(n))
		}
	}
}

// Hashes without cost are for tests of other things: what is compiled into the
// product says CheapPasswords in app alone, and sets it nowhere.
func TestPasswordsAreNeverCheapInTheProduct(t *testing.T) {
	uses := 0
	for _, f := range sources(t) {
		ast.Inspect(f.file, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && (id.Name == "CheapPasswords" || id.Name == "Cheap") {
				uses++
				if f.path != "internal/app/app.go" && f.pkg != "internal/app/apptest" && f.path != "internal/identity/credential/password.go" {
					t.Errorf("%s makes passwords cheap", f.at(n))
				}
			}
			return true
		})
	}
	if uses != 6 {
		t.Errorf("cheap passwords are spoken of %d times in place of 6: in one field each of app and credential, read once each, handed over, and set by apptest", uses)
	}
}

func TestRealmsAreCrossedOnlyWhereDeclared(t *testing.T) {
	for _, f := range sources(t) {
		if has(crossesRealms, f.pkg) || !slices.Contains(f.imports(), modulePath+"/internal/db") {
			continue
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && (sel.Sel.Name == "System" || sel.Sel.Name == "SystemView") {
				t.Errorf("%s works across realms", f.at(n))
			}
			return true
		})
	}
}

func TestNoInitNoGlobalState(t *testing.T) {
	byPackage := map[string][]source{}
	for _, f := range sources(t) {
		byPackage[f.pkg] = append(byPackage[f.pkg], f)
	}
	for pkg, files := range byPackage {
		if has(keepsTestState, pkg) {
			continue
		}
		vars := map[string]*ast.ValueSpec{}
		for _, f := range files {
			for _, d := range f.file.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil && d.Name.Name == "init" {
						t.Errorf("%s: no init; what starts is started by app", f.at(d))
					}
				case *ast.GenDecl:
					if d.Tok != token.VAR {
						continue
					}
					for _, s := range d.Specs {
						spec := s.(*ast.ValueSpec)
						for _, name := range spec.Names {
							if name.Name == "_" {
								continue
							}
							vars[name.Name] = spec
							if why := mutable(spec); why != "" {
								t.Errorf("%s: package-level %s is %s; give the state an owner", f.at(spec), name.Name, why)
							}
						}
					}
				}
			}
		}
		for _, f := range files {
			for name, n := range f.assigned(vars) {
				t.Errorf("%s changes the package-level variable %s", f.at(n), name)
			}
		}
	}
}

// mutable says in a word why a package-level variable cannot be a constant
// table, or nothing when it can.
func mutable(spec *ast.ValueSpec) string {
	exprs := append([]ast.Expr{}, spec.Values...)
	if spec.Type != nil {
		exprs = append(exprs, spec.Type)
	}
	for _, e := range exprs {
		switch e := e.(type) {
		case *ast.ChanType:
			return "a channel"
		case *ast.CallExpr:
			if fn, ok := e.Fun.(*ast.Ident); ok && (fn.Name == "make" || fn.Name == "new") {
				return "made to be filled"
			}
		case *ast.CompositeLit:
			if _, ok := e.Type.(*ast.MapType); ok && len(e.Elts) == 0 {
				return "an empty map"
			}
		case *ast.SelectorExpr:
			if x, ok := e.X.(*ast.Ident); ok && (x.Name == "sync" && e.Sel.Name != "Pool" || x.Name == "atomic") {
				return x.Name + "." + e.Sel.Name
			}
		}
	}
	return ""
}

// assigned finds statements that change one of vars after its declaration.
func (f source) assigned(vars map[string]*ast.ValueSpec) map[string]ast.Node {
	found := map[string]ast.Node{}
	touch := func(e ast.Expr, n ast.Node) {
		for {
			switch x := e.(type) {
			case *ast.IndexExpr:
				e = x.X
				continue
			case *ast.StarExpr:
				e = x.X
				continue
			case *ast.SelectorExpr:
				e = x.X
				continue
			case *ast.Ident:
				spec, ok := vars[x.Name]
				if ok && (x.Obj == nil || x.Obj.Decl == spec) {
					found[x.Name] = n
				}
			}
			return
		}
	}
	ast.Inspect(f.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, l := range n.Lhs {
					touch(l, n)
				}
			}
		case *ast.IncDecStmt:
			touch(n.X, n)
		case *ast.CallExpr:
			if fn, ok := n.Fun.(*ast.Ident); ok && (fn.Name == "delete" || fn.Name == "clear") && len(n.Args) > 0 {
				touch(n.Args[0], n)
			}
		}
		return true
	})
	return found
}

// SQL

// globalTables have no realm: they belong to the installation. Only the
// packages in crossesRealms own such tables.
const globalTables = "schema_migrations nodes log_head installation event_queue"

var (
	statement = regexp.MustCompile(`(?s)^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\s`)
	tableUse  = regexp.MustCompile(`(?i)\b(?:FROM|INTO|UPDATE|JOIN)\s+([a-z_]+)\b`)
	created   = regexp.MustCompile(`(?i)CREATE TABLE (?:IF NOT EXISTS )?([a-z_]+)`)
	realmWord = regexp.MustCompile(`\brealm\b`)
)

func TestSQL(t *testing.T) {
	owner := owners(t)
	for _, f := range sources(t) {
		if f.pkg == "internal/db" || f.pkg == "internal/db/dbtest" || strings.HasPrefix(f.pkg, "bench") {
			continue
		}
		for _, lit := range f.strings() {
			if !statement.MatchString(lit.text) {
				continue
			}
			if !strings.HasPrefix(filepath.Base(f.path), "store") {
				t.Errorf("%s holds SQL; it belongs into a store*.go", f.at(lit.node))
			}
			global := true
			for _, m := range tableUse.FindAllStringSubmatch(lit.text, -1) {
				table := strings.ToLower(m[1])
				if o, ok := owner[table]; ok && o != f.pkg {
					t.Errorf("%s touches table %s, which belongs to %s", f.at(lit.node), table, o)
				}
				global = global && (has(globalTables, table) || owner[table] == "")
			}
			if !global && !realmWord.MatchString(lit.text) {
				t.Errorf("%s forgets the realm: %.60s…", f.at(lit.node), strings.TrimSpace(lit.text))
			}
		}
	}
}

func TestDoorsHoldNoSQL(t *testing.T) {
	for _, f := range sources(t) {
		if strings.HasPrefix(filepath.Base(f.path), "store") && has(speaksHTTP, f.pkg) {
			t.Errorf("%s: a door keeps no rows; a core does", f.path)
		}
	}
}

// owners reads from the migrations which package owns each table, and holds
// every table to a primary key that begins with the realm.
func owners(t *testing.T) map[string]string {
	t.Helper()
	owner := map[string]string{}
	names, err := filepath.Glob("internal/db/migrations/*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("no migrations found: %v", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		pkg, ok := strings.CutPrefix(strings.TrimSpace(first), "-- Owner: ")
		if !ok {
			t.Errorf("%s does not say in its first line which package owns its tables", name)
			continue
		}
		for stmt := range strings.SplitSeq(string(text), ";\n") {
			m := created.FindStringSubmatch(stmt)
			if m == nil {
				continue
			}
			table := strings.ToLower(m[1])
			if o, twice := owner[table]; twice && o != pkg {
				t.Errorf("%s: table %s has two owners, %s and %s", name, table, o, pkg)
			}
			owner[table] = pkg
			if !primaryKeyBeginsWithRealm(stmt) && !has(globalTables, table) {
				t.Errorf("%s: the primary key of %s does not begin with realm", name, table)
			}
			if has(globalTables, table) && !has(crossesRealms, pkg) {
				t.Errorf("%s: %s may not own a table without realm", name, pkg)
			}
		}
	}
	return owner
}

var keyClause = regexp.MustCompile(`(?i)PRIMARY KEY\s*\(\s*realm\b|\brealm\s+TEXT[^,]*\bPRIMARY KEY`)

func primaryKeyBeginsWithRealm(create string) bool { return keyClause.MatchString(create) }

func exportedReceiver(d *ast.FuncDecl) bool {
	name := strings.TrimLeft(typeName(d.Recv.List[0].Type), "*")
	return ast.IsExported(name)
}

// wellKnown reports whether d satisfies an interface that everybody knows.
func wellKnown(d *ast.FuncDecl) bool {
	return d.Recv != nil && slices.Contains([]string{
		"Error", "String", "Unwrap", "Is", "ServeHTTP", "MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText",
		"MarshalYAML", "UnmarshalYAML", "LogValue", "Scan", "Value", "Len", "Less", "Swap", "Close", "Write", "Read", "GoString", "Format",
	}, d.Name.Name)
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.IndexListExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return fmt.Sprint(e)
}
