package folder

import (
	"fmt"
	"slices"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v4"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
)

// Test is one story of tests/*.yaml: facts, and what is answered on them.
type Test struct {
	Name      string
	File      string
	Line      int
	Facts     graph.Change
	Questions []Asked
}

// Asked is a question with the answer that is expected.
type Asked struct {
	Question policy.Question
	Line     int
	Allow    bool
	Policies []string // the policies that decide, all of them; nil: whichever
	Reason   string   // is said in a reason; "": whatever is said
	StepUp   string   // the acr that would permit; "": not asked; "none": there is none
}

// noStepUp in a test says that no sign-in would help.
const noStepUp = "none"

// The bounds of tests.
const (
	maxTests     = 5_000  // in a folder
	maxQuestions = 50_000 // in a folder
	maxFacts     = 5_000  // relations and attributes of a test
)

// readTests reads a file of tests:
//
//	at: 2026-11-28T12:00:00Z
//	facts: {relations: […], attributes: […]}
//	tests:
//	  - name: an editor edits
//	    facts: {…}                       # besides those above
//	    questions:
//	      - {subject: [user, ada], action: edit, resource: [document, plan], expect: allow}
//
// An entity is the list of its type and its id, so that nothing in an id can be
// taken for anything else.
func readTests(f File, problems *Problems) (tests []Test) {
	r := reader{f.Path, problems}
	doc := r.document(f.Text)
	if doc == nil {
		return nil
	}
	var shared graph.Change
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	var list *yaml.Node
	r.fields(doc, "the file", map[string]func(*yaml.Node){
		"at":    func(n *yaml.Node) { at = r.moment(n, "at") },
		"facts": func(n *yaml.Node) { shared = r.facts(n) },
		"tests": func(n *yaml.Node) { list = n },
	})
	if list == nil {
		r.problem(doc, "write them behind tests:", "the file has no tests")
		return nil
	}
	names := map[string]int{}
	r.items(list, "tests", func(n *yaml.Node) {
		t := r.test(n, at, shared)
		if line, twice := names[t.Name]; twice && t.Name != "" {
			r.problem(n, "give it another name", "the test in line %d has this name too", line)
		}
		names[t.Name] = n.Line
		tests = append(tests, t)
	})
	return tests
}

func (r reader) test(n *yaml.Node, at time.Time, shared graph.Change) Test {
	t := Test{File: r.file, Line: n.Line, Facts: graph.Change{Add: slices.Clone(shared.Add), Set: slices.Clone(shared.Set)}}
	var questions *yaml.Node
	r.fields(n, "a test", map[string]func(*yaml.Node){
		"name": func(n *yaml.Node) { t.Name = r.word(n, "name") },
		"at":   func(n *yaml.Node) { at = r.moment(n, "at") },
		"facts": func(n *yaml.Node) {
			own := r.facts(n)
			t.Facts.Add, t.Facts.Set = append(t.Facts.Add, own.Add...), append(t.Facts.Set, own.Set...)
		},
		"questions": func(n *yaml.Node) { questions = n },
	})
	if t.Name == "" {
		r.problem(n, "say what it shows", "a test needs a name")
	}
	if len(t.Facts.Add)+len(t.Facts.Set) > maxFacts {
		r.problem(n, "", "a test has at most %d facts", maxFacts)
	}
	if questions != nil {
		r.items(questions, "questions", func(q *yaml.Node) { t.Questions = append(t.Questions, r.asked(q, at)...) })
	}
	if len(t.Questions) == 0 {
		r.problem(n, "write them behind questions:", "the test asks nothing")
	}
	return t
}

// asked reads a question, which may be one about several actions.
func (r reader) asked(n *yaml.Node, at time.Time) []Asked {
	a := Asked{Line: n.Line, Question: policy.Question{At: at}}
	q := &a.Question
	var actions []string
	expect := ""
	r.fields(n, "a question", map[string]func(*yaml.Node){
		"subject":             func(n *yaml.Node) { q.Subject = r.entity(n) },
		"resource":            func(n *yaml.Node) { q.Resource = r.entity(n) },
		"action":              func(n *yaml.Node) { actions = append(actions, r.word(n, "action")) },
		"actions":             func(n *yaml.Node) { actions = append(actions, r.words(n, "actions")...) },
		"at":                  func(n *yaml.Node) { q.At = r.moment(n, "at") },
		"context":             func(n *yaml.Node) { q.Context = r.record(n, "context") },
		"subject_properties":  func(n *yaml.Node) { q.SubjectProperties = r.record(n, "subject_properties") },
		"resource_properties": func(n *yaml.Node) { q.ResourceProperties = r.record(n, "resource_properties") },
		"action_properties":   func(n *yaml.Node) { q.ActionProperties = r.record(n, "action_properties") },
		"expect": func(n *yaml.Node) {
			expect = r.word(n, "expect")
			if expect != "allow" && expect != "deny" {
				r.problem(n, "write allow or deny", "there is no answer %s", quoted(expect))
			}
		},
		"policies": func(n *yaml.Node) {
			if a.Policies = r.words(n, "policies"); a.Policies == nil {
				a.Policies = []string{}
			}
		},
		"reason":  func(n *yaml.Node) { a.Reason = r.word(n, "reason") },
		"step_up": func(n *yaml.Node) { a.StepUp = r.word(n, "step_up") },
	})
	switch {
	case q.Subject == (policy.Entity{}):
		r.problem(n, "write subject: [type, id]", "a question needs a subject")
	case q.Resource == (policy.Entity{}):
		r.problem(n, "write resource: [type, id]", "a question needs a resource")
	case len(actions) == 0:
		r.problem(n, "write action: name", "a question needs an action")
	case expect == "":
		r.problem(n, "write expect: allow or expect: deny", "a question needs the answer that is expected")
	}
	a.Allow = expect == "allow"
	var all []Asked
	for _, name := range actions {
		one := a
		one.Question.Action = name
		all = append(all, one)
	}
	return all
}

// entity reads [type, id] or {type: …, id: …}.
func (r reader) entity(n *yaml.Node) (e policy.Entity) {
	switch {
	case n.Kind == yaml.SequenceNode && len(n.Content) == 2:
		e = policy.Entity{Type: r.word(n.Content[0], "the type"), ID: r.word(n.Content[1], "the id")}
	case n.Kind == yaml.MappingNode:
		r.fields(n, "an entity", map[string]func(*yaml.Node){
			"type": func(n *yaml.Node) { e.Type = r.word(n, "the type") },
			"id":   func(n *yaml.Node) { e.ID = r.word(n, "the id") },
		})
		if e.Type == "" || e.ID == "" {
			r.problem(n, "write [type, id]", "an entity needs a type and an id")
		}
	default:
		r.problem(n, "write [type, id]", "this is not an entity")
	}
	return e
}

func (r reader) facts(n *yaml.Node) (c graph.Change) {
	r.fields(n, "facts", map[string]func(*yaml.Node){
		"relations": func(n *yaml.Node) {
			r.items(n, "relations", func(n *yaml.Node) { c.Add = append(c.Add, r.tuple(n)) })
		},
		"attributes": func(n *yaml.Node) {
			r.items(n, "attributes", func(n *yaml.Node) { c.Set = append(c.Set, r.attributes(n)...) })
		},
	})
	return c
}

// tuple reads [subject, relation, object], or the same with names and an end.
func (r reader) tuple(n *yaml.Node) (t graph.Tuple) {
	if n.Kind == yaml.SequenceNode && len(n.Content) == 3 {
		return graph.Tuple{Subject: r.entity(n.Content[0]), Relation: r.word(n.Content[1], "the relation"), Object: r.entity(n.Content[2])}
	}
	r.fields(n, "a relation", map[string]func(*yaml.Node){
		"subject":  func(n *yaml.Node) { t.Subject = r.entity(n) },
		"relation": func(n *yaml.Node) { t.Relation = r.word(n, "the relation") },
		"object":   func(n *yaml.Node) { t.Object = r.entity(n) },
		"expires":  func(n *yaml.Node) { t.Expires = r.moment(n, "expires").UnixMilli() },
	})
	if n.Kind == yaml.MappingNode && (t.Subject == (graph.Entity{}) || t.Relation == "" || t.Object == (graph.Entity{})) {
		r.problem(n, "write [[user, ada], editor, [document, plan]]", "a relation needs a subject, a relation and an object")
	}
	return t
}

func (r reader) attributes(n *yaml.Node) (all []graph.Attribute) {
	var e graph.Entity
	var set map[string]any
	r.fields(n, "attributes of an entity", map[string]func(*yaml.Node){
		"entity": func(n *yaml.Node) { e = r.entity(n) },
		"set":    func(n *yaml.Node) { set = r.record(n, "set") },
	})
	if n.Kind == yaml.MappingNode && e == (graph.Entity{}) {
		r.problem(n, "write entity: [type, id]", "attributes need their entity")
	}
	for name, v := range set {
		all = append(all, graph.Attribute{Entity: e, Name: name, Value: v})
	}
	slices.SortFunc(all, func(a, b graph.Attribute) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// String is the question as people say it.
func (a Asked) String() string { return sentence(&a.Question) }

func sentence(q *policy.Question) string {
	return fmt.Sprintf("%s may %s %s", q.Subject, quoted(q.Action), q.Resource)
}
