package folder

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

const schema = `entity user in [group] { name?: String };
entity group;
entity document in [document] { @stored state: String };
action read, edit appliesTo { principal: [user], resource: [document], context: { acr?: String } };
`

const roles = `document:
  editor: {implies: [viewer], permissions: [edit]}
  viewer: {permissions: [read]}
`

const policies = `@id("closed")
@reason("the document is closed")
forbid (principal, action == Action::"edit", resource) when { resource.state == "closed" };
`

const tests = `facts:
  relations:
    - [[user, ada], editor, [document, plan]]
    - [[user, ben], member, [group, readers]]
    - [[group, readers], viewer, [document, plan]]
  attributes:
    - entity: [document, plan]
      set: {state: open}
tests:
  - name: editors read and edit
    questions:
      - {subject: [user, ada], actions: [read, edit], resource: [document, plan], expect: allow}
      - {subject: [user, ben], action: read, resource: [document, plan], expect: allow, policies: ["role:document:viewer"]}
      - {subject: [user, ben], action: edit, resource: [document, plan], expect: deny, step_up: none, policies: []}
  - name: nobody edits what is closed
    facts:
      attributes: [{entity: [document, plan], set: {state: closed}}]
    questions:
      - {subject: [user, ada], action: edit, resource: [document, plan], expect: deny, reason: is closed}
`

func tree(parts ...string) fstest.MapFS {
	m := fstest.MapFS{SchemaFile: {Data: []byte(schema)}, RolesFile: {Data: []byte(roles)}, "policies/all.cedar": {Data: []byte(policies)}, "tests/all.yaml": {Data: []byte(tests)}}
	for i := 0; i+1 < len(parts); i += 2 {
		m[parts[i]] = &fstest.MapFile{Data: []byte(parts[i+1])}
	}
	return m
}

func mustRead(t *testing.T, parts ...string) *Folder {
	t.Helper()
	files, problems := Open(tree(parts...))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	f, problems := Read(files)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return f
}

func TestAFolderIsReadAndItsTestsRun(t *testing.T) {
	r := mustRead(t).Run()
	if !r.OK() || r.Tests != 2 || r.Questions != 5 || len(r.Unexercised) != 0 {
		t.Fatalf("%+v", r)
	}
}

// Each failure says what was wrong, why it was so and what it rested on; what no
// test rests on is named with its place.
func TestFailuresAndGapsAreExplained(t *testing.T) {
	f := mustRead(t, "tests/all.yaml", strings.NewReplacer("action: edit, resource: [document, plan], expect: deny, reason", "action: edit, resource: [document, plan], expect: allow, reason",
		"action: read, resource: [document, plan], expect: allow, policies", "action: read, resource: [document, plan], expect: deny, policies").Replace(tests),
		"policies/more.cedar", "@id(\"unused\")\npermit (principal, action == Action::\"read\", resource) when { resource.state == \"never\" };\n")
	r := f.Run()
	if len(r.Failures) != 2 {
		t.Fatalf("%+v", r.Failures)
	}
	ben, ada := r.Failures[0], r.Failures[1]
	if ben.Line != 13 || ben.Message != "want deny, got allow" || fmt.Sprint(ben.Path) != `[user "ben" member group "readers" group "readers" viewer document "plan"]` {
		t.Errorf("%+v", ben)
	}
	if ada.Message != "want allow, got deny" || fmt.Sprint(ada.Reasons) != "[closed: the document is closed]" {
		t.Errorf("%+v", ada)
	}
	if len(r.Unexercised) != 1 || r.Unexercised[0] != (Unexercised{"policy", "unused", "policies/more.cedar", 2, 1}) {
		t.Errorf("%+v", r.Unexercised)
	}
}

// All problems of all files are reported at once, each with its place.
func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	files, problems := Open(tree(
		"roles.yaml", "document:\n  editor: {implies: [viewer], permisions: [edit]}\n  viewer: {permissions: [read]}\n  viewer: {}\n",
		"tests/all.yaml", strings.Replace(strings.Replace(tests, "expect: deny, reason", "expct: deny, reason", 1), "[user, ben], member", "ben, member", 1),
		"policies/open.cedar", "permit (principal, action, resource\n",
		"policies/odd name.cedar", "", "main.go", ""))
	_, more := Read(files)
	got := append(problems, more...).Error()
	for _, want := range []string{
		`"policies/odd name.cedar": the name cannot be used`, "main.go: a policy folder has no such file",
		`roles.yaml:2:31: role "editor" has no key "permisions" (known are implies, permissions)`, `roles.yaml:4:3: "viewer" stands already in line 3`,
		`tests/all.yaml:4:8: this is not an entity (write [type, id])`, `tests/all.yaml:19:74: a question has no key "expct"`, `tests/all.yaml:19:9: a question needs the answer that is expected`,
		`policies/open.cedar:1:8: "(" is not closed`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing: %s\nin\n%s", want, got)
		}
	}
}

func TestWhatTheCompilerFindsHasItsPlace(t *testing.T) {
	files, _ := Open(tree("policies/all.cedar", "@id(\"a\")\npermit (principal, action == Action::\"read\", resource) when { resource.stat == \"x\" };\npermit (principal, action == Action::\"read\", resource);\n"))
	_, problems := Read(files)
	got := problems.Error()
	if !strings.Contains(got, "policies/all.cedar:2:") || !strings.Contains(got, "policies/all.cedar:3:1") {
		t.Error(got)
	}
}

// The hash names what is decided: layout, comments and tests do not change it,
// anything else does.
func TestTheHashNamesWhatIsDecided(t *testing.T) {
	same := mustRead(t).Hash
	for name, parts := range map[string][]string{
		"layout": {"policies/all.cedar", "// why\n" + strings.ReplaceAll(policies, "\n", " \n\n")},
		"roles":  {"roles.yaml", "document:\n  viewer:\n    permissions: [read]\n  editor: {permissions: [edit], implies: [viewer]}\n"},
		"tests":  {"tests/all.yaml", strings.Replace(tests, "nobody", "no one", 1)},
	} {
		if mustRead(t, parts...).Hash != same {
			t.Errorf("%s changes the hash", name)
		}
	}
	for name, parts := range map[string][]string{
		"policy": {"policies/all.cedar", strings.Replace(policies, `"closed" }`, `"shut" }`, 1)},
		"reason": {"policies/all.cedar", strings.Replace(policies, "is closed", "is shut", 1)},
		"roles":  {"roles.yaml", strings.Replace(roles, "[edit]", "[edit, read]", 1)},
		"schema": {"schema.cedarschema", strings.Replace(schema, "name?: String", "name?: String, age?: Long", 1)},
	} {
		if mustRead(t, parts...).Hash == same {
			t.Errorf("%s does not change the hash", name)
		}
	}
}

func TestDifferencesInWords(t *testing.T) {
	before := mustRead(t)
	after := mustRead(t, "roles.yaml", strings.Replace(roles, "permissions: [edit]", "permissions: [read]", 1),
		"policies/all.cedar", "// note\n"+strings.Replace(policies, "forbid", "permit", 1)+"@id(\"new\") permit (principal, action, resource);",
		"schema.cedarschema", strings.Replace(schema, "name?: String", "name?: String, age?: Long", 1)+"entity team;\n",
		"tests/all.yaml", strings.Replace(tests, "nobody edits", "no one edits", 1))
	var got []string
	for _, d := range Diff(before, after) {
		got = append(got, d.Words)
	}
	want := []string{"entity team is new", "entity user is changed", "role editor of document may now read", "role editor of document may no longer edit",
		"policy closed now permits", "policy new is new and permits", `test "no one edits what is closed" is new`, `test "nobody edits what is closed" is removed`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if d := Diff(before, mustRead(t, "policies/all.cedar", "// x\n"+policies)); len(d) != 0 {
		t.Errorf("a comment is a difference: %v", d)
	}
	if d := Diff(nil, before); len(d) != 9 {
		t.Errorf("%d differences from nothing: %v", len(d), d)
	}
}

func TestLayoutOfYAML(t *testing.T) {
	in := "# who may\n\nfacts:\n    relations:   # the team\n    - [[user, ada], editor, [document, plan]]\n    - [[user, ben], editor, [document, plan]]\nat: 2026-01-01T00:00:00Z\ntests:\n- name: a\n  questions: []\n# about b\n- name: \"b\"\n  questions:\n  - {subject: [user, ada]}\n"
	want := "# who may\n\nfacts:\n  relations: # the team\n    - [[user, ada], editor, [document, plan]]\n    - [[user, ben], editor, [document, plan]]\n\nat: 2026-01-01T00:00:00Z\n\ntests:\n  - name: a\n    questions: []\n\n  # about b\n  - name: \"b\"\n    questions:\n      - {subject: [user, ada]}\n"
	got, problem := LayoutYAML("tests/a.yaml", in)
	if problem != nil || got != want {
		t.Fatalf("%v\n%s", problem, got)
	}
	if again, _ := LayoutYAML("tests/a.yaml", got); again != got {
		t.Errorf("again:\n%s", again)
	}
	for _, f := range mustRead(t).Files {
		out, problem := Layout(f)
		if again, _ := Layout(File{f.Path, []byte(out)}); problem != nil || again != out {
			t.Errorf("%s: %v\n%s\n%s", f.Path, problem, out, again)
		}
	}
}

// Policies about Cardea's own operations are judged, tested, counted, named in
// hashes and laid out like all others, and take nobody's names.
func TestAFolderMayAddPoliciesAboutCardea(t *testing.T) {
	const forbid = `@id("not-oneself")
@reason("nobody suspends themselves")
forbid (principal, action == Cardea::Action::"suspend-user", resource) when { principal == resource };
`
	const asked = `tests:
  - name: nobody suspends themselves
    questions:
      - {subject: [user, ada], action: "Cardea::suspend-user", resource: [user, ada], context: {role: admin, realm: default}, expect: deny, policies: [not-oneself], reason: themselves}
      - {subject: [user, ada], action: "Cardea::suspend-user", resource: [user, ben], context: {role: admin, realm: default}, expect: allow}
      - {subject: [user, ada], action: "Cardea::suspend-user", resource: [user, ben], context: {role: viewer, realm: default}, expect: deny, policies: []}
`
	plain, f := mustRead(t), mustRead(t, "cardea/own.cedar", forbid, "tests/own.yaml", asked)
	if f.Guard == nil || plain.Guard != nil || f.Hash == plain.Hash || len(f.Policies()) != 2 {
		t.Fatalf("%v %v %s", f.Guard, plain.Guard, f.Hash)
	}
	if r := f.Run(); !r.OK() || len(r.Unexercised) != 0 {
		t.Errorf("%+v", r)
	}
	if r := mustRead(t, "tests/own.yaml", strings.ReplaceAll(asked, "[not-oneself]", "[]")).Run(); r.OK() {
		t.Error("a folder without such policies answers about them")
	}
	if d := fmt.Sprint(Diff(plain, f)); !strings.Contains(d, "policy not-oneself is new and forbids") {
		t.Error(d)
	}
	for name, c := range map[string]struct{ path, text, want string }{
		"their place":    {"policies/own.cedar", forbid, "policies/own.cedar:"},
		"a twin":         {"cardea/own.cedar", strings.Replace(forbid, "not-oneself", "closed", 1), `another policy with the @id "closed"`},
		"a lockout":      {"cardea/own.cedar", `@id("all") forbid (principal, action, resource);`, "lock everybody out"},
		"an id":          {"policies/own.cedar", `@id("Cardea::role:owner") forbid (principal, action == Action::"edit", resource);`, "belong to the built-in"},
		"a namespace":    {SchemaFile, schema + "\nnamespace Cardea { entity Client; }", "Cardea's own"},
		"no such action": {"cardea/own.cedar", strings.Replace(forbid, "suspend-user", "suspend", 1), "cardea/own.cedar:1:1"},
	} {
		_, problems := Read(func() Files { files, _ := Open(tree(c.path, c.text)); return files }())
		if !strings.Contains(problems.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, problems, c.want)
		}
	}
}
