package config

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/reference/configuration.md")

// The reference page is the comments of the Config struct. After changing one:
// go test ./internal/config -update
func TestReferencePageIsCurrent(t *testing.T) {
	name := filepath.Join("..", "..", "docs", "reference", "configuration.md")
	want := reference(t)
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what config.go says; run: go test ./internal/config -update", name)
	}
}

func reference(t *testing.T) []byte {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		ts, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		st, ok := ts.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, f := range st.Fields.List {
			for _, name := range f.Names {
				comments[ts.Name.Name+"."+name.Name] = strings.TrimSpace(f.Doc.Text())
			}
		}
		return true
	})

	var b bytes.Buffer
	b.WriteString(`# Configuration

Cardea runs with none of these set. Each is read, later ones winning, from its
default, from ` + "`cardea.yaml`" + ` (or the file named by ` + "`--config`" + ` or ` + "`CARDEA_CONFIG`" + `), from
its ` + "`CARDEA_*`" + ` variable and from its flag. Unknown keys are refused. A secret can be
given as a value or, better, as the name of a file that only the service can
read; it has no flag of its own, since other users of a machine see command
lines. ` + "`cardea config print`" + ` shows what is in effect and where it came from.

What a realm wants of its people and clients is no configuration of a node: see [settings of a realm](realm-settings.md).

This page is generated from internal/config/config.go.
`)
	for _, f := range Fields() {
		owner := reflect.TypeFor[Config]()
		for _, i := range f.path[:len(f.path)-1] {
			owner = owner.Field(i).Type
		}
		sf := owner.Field(f.path[len(f.path)-1])
		doc := comments[owner.Name()+"."+sf.Name]
		if doc == "" || f.Help == "" {
			t.Errorf("setting %s needs a comment and a help line", f.Key)
		}
		fmt.Fprintf(&b, "\n## `%s`\n\n%s\n\n", f.Key, doc)
		if f.Secret {
			fmt.Fprintf(&b, "- file: `%s` or `%s_file`\n- environment: `%s` or `%s_FILE`\n- flag: `--%s`\n", f.Key, f.Key, f.Env, f.Env, f.FileFlag())
		} else {
			fmt.Fprintf(&b, "- environment: `%s`\n- flag: `--%s`\n", f.Env, f.Flag)
		}
		if f.Default != "" {
			fmt.Fprintf(&b, "- default: `%s`\n", f.Default)
		}
	}
	return b.Bytes()
}
