package cardea_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const modulePath = "github.com/cardea-id/cardea"

// A source is one parsed Go file of the module.
type source struct {
	path   string // "internal/db/tx.go"
	pkg    string // "internal/db"
	fset   *token.FileSet
	file   *ast.File
	consts map[string]string // the package's string constants
}

// parsed reads every Go file once for all tests of this package.
var parsed = sync.OnceValues(func() ([]source, error) {
	var all []source
	fset := token.NewFileSet()
	consts := map[string]map[string]string{}
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && path != "." && (has(foreignDirs, e.Name()) || otherModule(path)) {
			return filepath.SkipDir
		}
		if e.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		if consts[pkg] == nil {
			consts[pkg] = map[string]string{}
		}
		f := source{filepath.ToSlash(path), pkg, fset, file, consts[pkg]}
		f.readConsts()
		all = append(all, f)
		return nil
	})
	return all, err
})

// otherModule reports whether a folder is a Go module of its own, which nothing
// here may import.
func otherModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// readConsts notes the file's package-level string constants.
func (f source) readConsts() {
	for _, d := range f.file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			spec := s.(*ast.ValueSpec)
			for i, name := range spec.Names {
				if i < len(spec.Values) {
					if text, ok := f.joined(spec.Values[i]); ok {
						f.consts[name.Name] = text
					}
				}
			}
		}
	}
}

func files(t *testing.T, keep func(source) bool) []source {
	t.Helper()
	all, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(slices.Clone(all), func(f source) bool { return !keep(f) })
}

// sources are the files that are compiled into the product.
func sources(t *testing.T) []source {
	return files(t, func(f source) bool { return !strings.HasSuffix(f.path, "_test.go") })
}

// tests are the files that only tests see.
func tests(t *testing.T) []source {
	return files(t, func(f source) bool { return strings.HasSuffix(f.path, "_test.go") })
}

func (f source) at(n ast.Node) token.Position { return f.fset.Position(n.Pos()) }

func (f source) imports() []string {
	var list []string
	for _, im := range f.file.Imports {
		path, _ := strconv.Unquote(im.Path.Value)
		list = append(list, path)
	}
	return list
}

// selectors finds uses of name from the package imported as pkg.
func (f source) selectors(pkg, name string) []ast.Node {
	var found []ast.Node
	ast.Inspect(f.file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == name {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg && x.Obj == nil {
				found = append(found, n)
			}
		}
		return true
	})
	return found
}

type literal struct {
	node ast.Node
	text string
}

// strings lists the string constants of a file, with those joined by + as one.
func (f source) strings() []literal {
	var list []literal
	ast.Inspect(f.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if text, ok := f.joined(n); ok {
				list = append(list, literal{n, text})
				return false
			}
		case *ast.BasicLit:
			if text, ok := f.joined(n); ok {
				list = append(list, literal{n, text})
			}
		}
		return true
	})
	return list
}

// joined gives the text of a literal, of a constant of the package, or of a sum
// that begins with one; what only the running program knows is a blank in it.
func (f source) joined(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.Ident:
		text, ok := f.consts[e.Name]
		return text, ok
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.ParenExpr:
		return f.joined(e.X)
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		left, ok := f.joined(e.X)
		right, _ := f.joined(e.Y)
		return left + " " + right, ok
	}
	return "", false
}

// standard reports whether an import path belongs to Go's standard library.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// moduleOf finds the entry of modules that an import path falls under.
func moduleOf(path string) string {
	for m := range modules {
		if path == m || strings.HasPrefix(path, m+"/") {
			return m
		}
	}
	return path
}

func has(list, word string) bool { return slices.Contains(strings.Fields(list), word) }

// testName gives the name of a test or fuzz target.
func testName(d ast.Decl) (string, bool) {
	f, ok := d.(*ast.FuncDecl)
	if !ok || f.Recv != nil {
		return "", false
	}
	return f.Name.Name, strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")
}
