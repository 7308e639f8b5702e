package folder

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// Difference is one thing that differs between two folders, in words.
type Difference struct {
	Kind   string `json:"kind"`   // schema, role, policy, test, rego
	Change string `json:"change"` // added, removed or changed
	Name   string `json:"name"`
	Words  string `json:"words"`
	File   string `json:"file,omitempty"`
	Before string `json:"before,omitempty"` // the text, in canonical layout
	After  string `json:"after,omitempty"`
}

// Diff says in words what after has that before has not, and the other way
// round: first the schema, then roles, policies and tests. Layout and comments
// make no difference. A nil folder is one that has nothing.
func Diff(before, after *Folder) (all []Difference) {
	all = []Difference{}
	if before == nil {
		before = &Folder{}
	}
	if after == nil {
		after = &Folder{}
	}
	all = append(all, texts("schema", declarations(before), declarations(after), func(name string) string { return name })...)
	all = append(all, roleDifferences(before.Source.Roles, after.Source.Roles)...)
	all = append(all, policyDifferences(before.Policies(), after.Policies())...)
	all = append(all, texts("test", testTexts(before), testTexts(after), func(name string) string { return "test " + quoted(name) })...)
	all = append(all, texts("rego", beside(before, "rego"), beside(after, "rego"), func(name string) string { return name })...)
	return all
}

// texts compares named texts.
func texts(kind string, before, after map[string]string, called func(string) string) (all []Difference) {
	for _, name := range sortedKeys(before, after) {
		was, had := before[name]
		is, has := after[name]
		d := Difference{Kind: kind, Name: name, Before: was, After: is}
		switch {
		case had && has && was == is:
			continue
		case !had:
			d.Change = "added"
			d.Words = called(name) + " is new"
		case !has:
			d.Change = "removed"
			d.Words = called(name) + " is removed"
		default:
			d.Change = "changed"
			d.Words = called(name) + " is changed"
		}
		all = append(all, d)
	}
	return all
}

func sortedKeys[V any](a, b map[string]V) []string {
	names := maps.Clone(a)
	if names == nil {
		names = map[string]V{}
	}
	maps.Copy(names, b)
	return slices.Sorted(maps.Keys(names))
}

// declarations are those of a schema: "entity user", "action read, edit".
func declarations(f *Folder) map[string]string {
	all := map[string]string{}
	pieces, problem := scan(SchemaFile, string(f.Source.Schema.Text))
	if problem != nil {
		return all
	}
	nodes, _, problem := nest(SchemaFile, bare(pieces[:len(pieces)-1]), 0)
	if problem != nil {
		return all
	}
	p := printer{schema: true}
	var each func(prefix string, nodes []node)
	each = func(prefix string, nodes []node) {
		for _, s := range split(nodes, func(i int) bool { return p.ends(nodes, i) }) {
			body := s
			for len(body) > 2 && body[0].text == "@" {
				if body = body[2:]; body[0].group {
					body = body[1:]
				}
			}
			if last := body[len(body)-1]; last.group && body[0].text == "namespace" {
				each(prefix+p.flat(body[1:len(body)-1])+"::", last.inner)
				continue
			}
			to := 1
			for to < len(body) && !body[to].group && !slices.Contains([]string{"in", "=", ";", "appliesTo", "tags", "enum"}, body[to].text) {
				to++
			}
			var one printer
			one.schema = true
			one.statement(s, 0)
			all[body[0].text+" "+prefix+p.flat(body[1:to])] = one.out.String()
		}
	}
	each("", nodes)
	return all
}

func testTexts(f *Folder) map[string]string {
	all := map[string]string{}
	for _, t := range f.Tests {
		questions := slices.Clone(t.Questions)
		for i := range questions {
			questions[i].Line = 0
		}
		text, _ := json.MarshalIndent(map[string]any{"facts": t.Facts, "questions": questions}, "", "  ") // only JSON values are in it
		all[t.Name] = string(text)
	}
	return all
}

func beside(f *Folder, kind string) map[string]string {
	all := map[string]string{}
	for _, file := range f.Files {
		if part(file.Path) == kind {
			all[file.Path] = string(bytes.TrimSpace(file.Text))
		}
	}
	return all
}

func roleDifferences(before, after policy.Roles) (all []Difference) {
	was, is := rolesOf(before), rolesOf(after)
	for _, name := range sortedKeys(was, is) {
		a, had := was[name]
		b, has := is[name]
		d := Difference{Kind: "role", Name: name, File: RolesFile}
		var words []string
		switch {
		case !had:
			d.Change, words = "added", append(words, "role "+name+" is new"+holds(b))
		case !has:
			d.Change, words = "removed", append(words, "role "+name+" is removed"+holds(a))
		default:
			d.Change = "changed"
			say := func(what string, list []string) {
				if len(list) > 0 {
					words = append(words, "role "+name+" "+what+" "+strings.Join(list, ", "))
				}
			}
			say("may now", without(b.Permissions, a.Permissions))
			say("may no longer", without(a.Permissions, b.Permissions))
			say("now implies", without(b.Implies, a.Implies))
			say("no longer implies", without(a.Implies, b.Implies))
		}
		for _, w := range words {
			d.Words = w
			all = append(all, d)
		}
	}
	return all
}

func holds(r policy.Role) (s string) {
	if p := sortedSet(r.Permissions); len(p) > 0 {
		s += ", may " + strings.Join(p, ", ")
	}
	if i := sortedSet(r.Implies); len(i) > 0 {
		s += ", implies " + strings.Join(i, ", ")
	}
	return s
}

func rolesOf(r policy.Roles) map[string]policy.Role {
	all := map[string]policy.Role{}
	for _, t := range r.Types {
		for _, role := range t.Roles {
			all[role.Name+" of "+t.Type] = role
		}
	}
	return all
}

// without are the members of a that b has not.
func without(a, b []string) []string {
	return slices.DeleteFunc(sortedSet(a), func(s string) bool { return slices.Contains(b, s) })
}

func policyDifferences(before, after []Statement) (all []Difference) {
	was, is := byID(before), byID(after)
	for _, id := range sortedKeys(was, is) {
		a, had := was[id]
		b, has := is[id]
		d := Difference{Kind: "policy", Name: id, Before: a.Text, After: b.Text, File: b.File}
		switch {
		case had && has && a.Text == b.Text && a.File == b.File:
			continue
		case !had:
			d.Change, d.Words = "added", "policy "+id+" is new and "+effect(b)
		case !has:
			d.Change, d.Words, d.File = "removed", "policy "+id+", which "+effect(a)+", is removed", a.File
		case a.Text == b.Text:
			d.Change, d.Words = "changed", "policy "+id+" has moved from "+a.File+" to "+b.File
		case a.Forbids != b.Forbids:
			d.Change, d.Words = "changed", "policy "+id+" now "+effect(b)
		default:
			d.Change, d.Words = "changed", "policy "+id+" is changed"
		}
		all = append(all, d)
	}
	return all
}

func effect(s Statement) string {
	if s.Forbids {
		return "forbids"
	}
	return "permits"
}

func byID(list []Statement) map[string]Statement {
	all := map[string]Statement{}
	for _, s := range list {
		all[s.ID] = s
	}
	return all
}
