package policy_test

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	. "github.com/cardea-id/cardea/internal/access/policy"
)

var at = time.UnixMilli(1_800_000_000_000)

const authzen = "../../../examples/policies/authzen/"

// certification is the fixture of the certification scenario of AuthZEN 1.0.
func certification(t *testing.T) *Snapshot {
	t.Helper()
	read := func(name string) File {
		text, err := os.ReadFile(authzen + name)
		if err != nil {
			t.Fatal(err)
		}
		return File{Name: name, Text: text}
	}
	set, err := Compile(Source{
		Schema:   read("schema.cedarschema"),
		Policies: []File{read("policies/records.cedar")},
		Roles: Roles{File: "roles.yaml", Types: []RoleType{{Type: "record", Roles: []Role{
			{Name: "reader", Permissions: []string{"read"}},
			{Name: "owner", Implies: []string{"reader"}, Permissions: []string{"write"}},
		}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	g, err := graph.Empty().Apply(graph.Change{
		Add: []graph.Tuple{
			{Subject: user("alice"), Relation: "owner", Object: record("record-1")},
			{Subject: user("bob"), Relation: "reader", Object: record("record-1")},
		},
		Set: []graph.Attribute{
			{Entity: user("bob"), Name: "role", Value: "admin"},
			{Entity: record("record-1"), Name: "status", Value: "active"},
			{Entity: record("record-2"), Name: "status", Value: "archived"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return NewSnapshot(set, g, 7)
}

func user(id string) Entity   { return Entity{Type: "user", ID: id} }
func record(id string) Entity { return Entity{Type: "record", ID: id} }

var (
	archived = Properties{"status": "archived", "colour": "red"}
	admin    = Properties{"role": "admin"}
)

func TestAuthZENDecisions(t *testing.T) {
	s := certification(t)
	for _, c := range []struct {
		name string
		q    Question
		want bool
	}{
		{"1", Question{Subject: user("alice"), Action: "read", Resource: record("record-1")}, true},
		{"2", Question{Subject: user("alice"), Action: "write", Resource: record("record-1")}, true},
		{"3", Question{Subject: user("bob"), Action: "read", Resource: record("record-1")}, true},
		{"4", Question{Subject: user("bob"), Action: "write", Resource: record("record-1")}, false},
		{"5", Question{Subject: user("alice"), Action: "write", Resource: record("record-1"), ResourceProperties: archived}, false},
		{"6", Question{Subject: user("bob"), SubjectProperties: admin, Action: "write", Resource: record("record-1"), ResourceProperties: archived}, true},
		{"6, another", Question{Subject: user("carol"), SubjectProperties: admin, Action: "write", Resource: record("record-9"), ResourceProperties: archived}, true},
		{"7", Question{Subject: user("alice"), Action: "delete", Resource: record("record-1"), ActionProperties: Properties{"soft": true}}, true},
		{"8", Question{Subject: user("alice"), Action: "delete", Resource: record("record-1"), ActionProperties: Properties{"soft": false}}, false},
		{"bare delete", Question{Subject: user("alice"), Action: "delete", Resource: record("record-1")}, false},
		{"unknown type", Question{Subject: Entity{Type: "robot", ID: "alice"}, Action: "read", Resource: record("record-1")}, false},
		{"unknown action", Question{Subject: user("alice"), Action: "paint", Resource: record("record-1")}, false},
		{"wrong type of a property", Question{Subject: user("alice"), Action: "write", Resource: record("record-1"), ResourceProperties: Properties{"status": 7}}, false},
	} {
		for _, context := range []Properties{nil, {}, {"time": "2026-01-01T00:00:00Z", "action": map[string]any{"soft": true}}} {
			c.q.Context, c.q.At = context, at
			a := Decide(s, &c.q)
			if a.Allowed != c.want || len(a.Reasons) == 0 || a.Revision != 7 || a.PolicyHash == "" {
				t.Errorf("%s with context %v: got %+v, want %v with reasons, revision and hash", c.name, context, a, c.want)
			}
		}
	}
}

func TestAuthZENSearches(t *testing.T) {
	s := certification(t)
	ids := func(f Found, err error) []string {
		t.Helper()
		if err != nil || f.Partial || f.Next != "" {
			t.Fatalf("got %+v, %v", f, err)
		}
		var out []string
		for _, e := range f.Entities {
			out = append(out, e.ID)
		}
		return out
	}
	for _, c := range []struct {
		name      string
		got, want []string
	}{
		{"users who can read record-1", ids(Subjects(s, &Question{Subject: user(""), Action: "read", Resource: record("record-1"), At: at}, Page{})), []string{"alice", "bob"}},
		{"records alice can read", ids(Resources(s, &Question{Subject: user("alice"), Action: "read", Resource: record(""), At: at}, Page{})), []string{"record-1"}},
		{"users who can write record-2 sent as archived", ids(Subjects(s, &Question{Subject: user(""), Action: "write", Resource: record("record-2"), ResourceProperties: archived, At: at}, Page{})), []string{"bob"}},
		{"records bob sent as admin can write", ids(Resources(s, &Question{Subject: user("bob"), SubjectProperties: admin, Action: "write", Resource: record(""), At: at}, Page{})), []string{"record-2"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, c.got, c.want)
		}
	}
	actions := func(q Question) []string {
		t.Helper()
		names, _, err := Actions(s, &q, Page{})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	if got := actions(Question{Subject: user("alice"), Resource: record("record-1"), At: at}); !slices.Equal(got, []string{"read", "write"}) {
		t.Errorf("actions of alice on record-1: got %q", got)
	}
	if got := actions(Question{Subject: user("bob"), SubjectProperties: admin, Resource: record("record-2"), ResourceProperties: archived, At: at}); !slices.Equal(got, []string{"write"}) {
		t.Errorf("actions of bob sent as admin on record-2 sent as archived: got %q", got)
	}
}
