package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	. "github.com/cardea-id/cardea/internal/access/policy"
)

// Whatever is wrong with a folder is said with file, line and column.
func TestProblemsSayWhere(t *testing.T) {
	const fine = `@id("a") permit (principal, action == Action::"read", resource);`
	for _, c := range []struct {
		name, schema, policies string
		file                   string
		line                   int
		word                   string // stands at the place
		says                   string
	}{
		{"a schema that does not parse", "entity User;\nentity Doc {;\n", fine, "schema.cedarschema", 2, "", ""},
		{"no schema", " \n", fine, "schema.cedarschema", 1, "", "there is no schema"},
		{"a type that the schema lacks", "entity User;\nentity Doc;\naction read appliesTo { principal: User, resource: Dok };", fine, "schema.cedarschema", 3, "Dok", "Dok"},
		{"an unknown mark", "entity User;\nentity Doc {\n  @sent level?: Long\n};\naction read appliesTo { principal: User, resource: Doc };", fine, "schema.cedarschema", 3, "", "@sent"},
		{"a policy that does not parse", docSchema, fine + "\n\npermit (principal, action, resource) when { 1 + };", "policies/all.cedar", 3, ";", ""},
		{"a policy without an id", docSchema, fine + "\n\n  permit (principal, action, resource);", "policies/all.cedar", 3, "permit", "no @id"},
		{"an id twice", docSchema, fine + "\n" + fine, "policies/all.cedar", 2, "@id", "policies/all.cedar:1:1"},
		{"an attribute that the schema lacks", docSchema, fine + "\n@id(\"b\")\npermit (principal, action == Action::\"read\", resource)\nwhen { resource.levle > 3 };", "policies/all.cedar", 4, "levle", "levle"},
		{"an attribute that may be absent", docSchema, fine + "\n@id(\"b\")\nforbid (principal, action == Action::\"read\", resource)\nwhen { resource.open };", "policies/all.cedar", 4, "open", "open"},
		{"an action that the schema lacks", docSchema, "@id(\"b\")\npermit (principal,\n  action == Action::\"reed\", resource);", "policies/all.cedar", 3, "reed", "reed"},
		{"a mistyped annotation", docSchema, fine + "\n@id(\"b\") @stepup(\"aal2\")\npermit (principal, action, resource);", "policies/all.cedar", 2, "@id", "@step_up"},
		{"a comparison of what cannot be compared", docSchema, fine + "\n@id(\"b\")\npermit (principal, action == Action::\"read\", resource) when { resource.level > \"3\" };", "policies/all.cedar", 2, "", ""},
	} {
		_, err := Compile(Source{Schema: File{Name: "schema.cedarschema", Text: []byte(c.schema)}, Policies: []File{{Name: "policies/all.cedar", Text: []byte(c.policies)}}})
		var all Problems
		if !errors.As(err, &all) || len(all) == 0 {
			t.Errorf("%s: got %v, want problems", c.name, err)
			continue
		}
		p := all[0]
		for _, other := range all {
			if c.says != "" && strings.Contains(other.Text, c.says) {
				p = other
			}
		}
		lines := strings.Split(c.policies, "\n")
		if p.File == "schema.cedarschema" {
			lines = strings.Split(c.schema, "\n")
		}
		at := ""
		if p.Line >= 1 && p.Line <= len(lines) && p.Column >= 1 && p.Column <= len(lines[p.Line-1])+1 {
			at = lines[p.Line-1][p.Column-1:]
		}
		if p.File != c.file || p.Line != c.line || p.Column < 1 || !strings.HasPrefix(strings.TrimLeft(at, "\"`"), c.word) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v (at %q), want line %d of %s at %q, saying %q", c.name, err, at, c.line, c.file, c.word, c.says)
		}
		if want := fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column); !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q does not say %q", c.name, err, want)
		}
	}
}

// PD-02: no source brings the compiler down, and every problem names a place that
// there is.
func FuzzCompile(f *testing.F) {
	for _, p := range oraclePolicies {
		f.Add(oracleSchema, "@id(\"a\") "+p+";", "viewer", "view")
	}
	f.Add(docSchema, `@id("a") @step_up("aal2") permit (principal, action, resource) unless { principal in Role::"x" || [1].containsAny([2]) };`, "x", "read")
	f.Add("namespace A { entity B enum [\"b\"]; type C = { d: { e?: Set<B> } }; action \"f g\" appliesTo { principal: B, resource: B, context: C }; }", `@id("") forbid (principal, action, resource);`, "member", "")
	f.Fuzz(func(t *testing.T, schema, policies, role, permission string) {
		src := Source{Schema: File{"schema.cedarschema", []byte(schema)}, Policies: []File{{"policies/all.cedar", []byte(policies)}},
			Roles: Roles{"roles.yaml", []RoleType{{Type: "Doc", Line: 1, Column: 1, Roles: []Role{{Name: role, Permissions: []string{permission}, Line: 2, Column: 3}}}}}}
		set, err := Compile(src)
		if err == nil {
			set.Kinds()
			return
		}
		var all Problems
		if !errors.As(err, &all) || len(all) == 0 {
			t.Fatalf("got %v, want problems", err)
		}
		lines := map[string]int{"schema.cedarschema": strings.Count(schema, "\n") + 1, "policies/all.cedar": strings.Count(policies, "\n") + 1, "roles.yaml": 2}
		for _, p := range all {
			if p.Line < 1 || p.Line > lines[p.File] || p.Column < 1 || p.Text == "" {
				t.Errorf("%s:%d:%d says %q", p.File, p.Line, p.Column, p.Text)
			}
			if utf8.ValidString(schema+policies+role+permission) && !utf8.ValidString(p.Error()) {
				t.Errorf("%q is not UTF-8", p.Error())
			}
		}
	})
}
