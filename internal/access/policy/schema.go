package policy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	schemaast "github.com/cedar-policy/cedar-go/x/exp/schema/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
)

// roleType is the type of the entities that stand for roles: in a question the
// subject is in Role::"editor" while it holds that role on the resource.
const roleType = "Role"

// The attributes of a context that Decide fills in itself, whatever the caller
// says.
const (
	contextNow    = "now"    // datetime: Question.At
	contextAction = "action" // record: Question.ActionProperties
)

// Attributes are marked in the schema with where their value comes from.
const (
	markStored  = "stored"  // what is stored counts, whatever the caller says; also without a mark
	markRequest = "request" // what the caller says counts; what is stored if the caller says nothing
)

// shape is what the schema says about a type of entity.
type shape struct {
	enum  map[string]bool // the only ids there are; nil: any
	attrs map[string]attribute
	tags  resolved.IsType

	requests []string // attributes that the caller may say, sorted
}

type attribute struct {
	name    types.String
	typ     resolved.IsType
	request bool
}

// world is a schema made ready for questions.
type world struct {
	*resolved.Schema
	shapes map[string]*shape
}

// readSchema parses the schema, adds the roles to it and checks what Cedar does
// not: the marks of attributes and the names that Decide fills in.
func readSchema(f File, roles *roleBook, ps *Problems) *world {
	var s schema.Schema
	s.SetFilename(f.Name)
	if len(strings.TrimSpace(string(f.Text))) == 0 {
		ps.add(f.Name, 1, 1, "there is no schema; every policy folder needs one")
		return nil
	}
	if !shallow(f, "([{<", ")]}>", ps) {
		return nil
	}
	if err := s.UnmarshalCedar(f.Text); err != nil {
		*ps = append(*ps, located(f, 1, err))
		return nil
	}
	tree := s.AST()
	addRoles(f, tree, roles, ps)
	r, err := s.Resolve()
	if err != nil {
		*ps = append(*ps, mentioned(f, err.Error()))
		return nil
	}
	w := &world{Schema: r, shapes: map[string]*shape{}}
	for name, e := range r.Entities {
		w.shapes[string(name)] = readShape(f, string(name), e, ps)
	}
	for name, e := range r.Enums {
		sh := &shape{enum: map[string]bool{}}
		for _, v := range e.Values {
			sh.enum[string(v.ID)] = true
		}
		w.shapes[string(name)] = sh
	}
	for uid, a := range r.Actions {
		if a.AppliesTo == nil {
			continue
		}
		if now, ok := a.AppliesTo.Context[contextNow]; ok && now.Type != resolved.ExtensionType("datetime") {
			*ps = append(*ps, mentioned(f, fmt.Sprintf("action `%s`: context.now is the time of the question, so its type is datetime", uid.ID)))
		}
		if props, ok := a.AppliesTo.Context[contextAction]; ok {
			if _, ok := props.Type.(resolved.RecordType); !ok {
				*ps = append(*ps, mentioned(f, fmt.Sprintf("action `%s`: context.action holds the properties of the action, so its type is a record", uid.ID)))
			}
		}
	}
	return w
}

func readShape(f File, name string, e resolved.Entity, ps *Problems) *shape {
	sh := &shape{attrs: map[string]attribute{}, tags: e.Tags}
	for n, a := range e.Shape {
		_, stored := a.Annotations[markStored]
		_, request := a.Annotations[markRequest]
		if stored && request {
			*ps = append(*ps, mentioned(f, fmt.Sprintf("attribute `%s` of `%s` is marked both @stored and @request", n, name)))
		}
		for key := range a.Annotations {
			if key != markStored && key != markRequest && key != "doc" {
				*ps = append(*ps, mentioned(f, fmt.Sprintf("attribute `%s` of `%s`: unknown mark `@%s`; known are @stored, @request and @doc", n, name, key)))
			}
		}
		if sh.attrs[string(n)] = (attribute{name: n, typ: a.Type, request: request}); request {
			sh.requests = append(sh.requests, string(n))
		}
	}
	slices.Sort(sh.requests)
	return sh
}

// addRoles declares the roles of roles.yaml as the enumeration Role, and lets
// every type of subject be in it. A schema that declares them itself, so that
// other tools of Cedar can read it, has to agree.
func addRoles(f File, tree *schemaast.Schema, roles *roleBook, ps *Problems) {
	if _, taken := tree.Entities[roleType]; taken {
		*ps = append(*ps, mentioned(f, "`Role` stands for the roles of roles.yaml; name the type of entity otherwise"))
		return
	}
	if declared, ok := tree.Enums[roleType]; ok {
		for _, v := range declared.Values {
			if _, known := roles.number[string(v)]; !known {
				*ps = append(*ps, mentioned(f, fmt.Sprintf("`Role` lists \"%s\", which roles.yaml does not have", v)))
			}
		}
		for _, n := range roles.names {
			if !slices.Contains(declared.Values, types.String(n)) {
				*ps = append(*ps, mentioned(f, fmt.Sprintf("`Role` does not list \"%s\", which roles.yaml has", n)))
			}
		}
	} else if len(roles.names) == 0 {
		return
	} else {
		if tree.Enums == nil {
			tree.Enums = schemaast.Enums{}
		}
		values := make([]types.String, len(roles.names))
		for i, n := range roles.names {
			values[i] = types.String(n)
		}
		tree.Enums[roleType] = schemaast.Enum{Values: values}
	}
	letIn := func(es schemaast.Entities) {
		for _, name := range slices.Sorted(maps.Keys(es)) {
			if e := es[name]; !slices.Contains(e.ParentTypes, roleType) {
				e.ParentTypes = append(slices.Clone(e.ParentTypes), roleType)
				es[name] = e
			}
		}
	}
	letIn(tree.Entities)
	for _, ns := range tree.Namespaces {
		letIn(ns.Entities)
	}
}

var position = regexp.MustCompile(`:(\d+):(\d+)`)

// located makes a problem of a parser's error, which holds line and column in
// its text. first is the line on which the parsed text begins.
func located(f File, first int, err error) Problem {
	p := Problem{File: f.Name, Line: first, Column: 1, Text: err.Error()}
	rest := strings.TrimPrefix(strings.TrimPrefix(p.Text, "parser error: "), "parse error at ")
	for _, name := range []string{f.Name, "<input>"} {
		rest = strings.TrimPrefix(rest, name)
	}
	if m := position.FindStringSubmatchIndex(rest); m != nil && m[0] == 0 {
		p.Line, _ = strconv.Atoi(rest[m[2]:m[3]])
		p.Column, _ = strconv.Atoi(rest[m[4]:m[5]])
		p.Text = strings.TrimLeft(rest[m[1]:], ": ")
	}
	return p
}

// quoted is a name in a message: in backquotes, also an entity such as
// `Action::"read"`, or in quotes.
var quoted = regexp.MustCompile("`([^`]+)`|\"([^\"]+)\"")

// namesIn returns the names in a message.
func namesIn(message string) (names []string) {
	for _, m := range quoted.FindAllStringSubmatch(message, -1) {
		names = append(names, m[1]+m[2])
	}
	return names
}

// mentioned makes a problem of an error that has no position but names what it
// is about: the place is where that name first stands in the text.
func mentioned(f File, text string) Problem {
	p := Problem{File: f.Name, Line: 1, Column: 1, Text: text}
	names := namesIn(text)
	for i := len(names) - 1; i >= 0; i-- {
		if line, column, ok := find(f.Text, 0, names[i]); ok {
			p.Line, p.Column = line, column
			break
		}
	}
	return p
}
