package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	internalast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
)

// Set is a policy folder, checked and made ready for questions. It never
// changes.
type Set struct {
	source Source
	hash   string
	world  *world
	roles  *roleBook
	rules  []*rule  // in the order of their texts; those of roles.yaml first
	named  []Entity // whatever heads and conditions name
	names  map[Entity]int
	plans  map[planKey]*plan
	work   int // that it took to check the policies, see maxWork

	hops     int      // see Hops
	literals []Entity // of whose attributes policies ask by name

	unpermitted []Reason // of whoever asks for what no policy permits
}

// generated begins the ids of the policies that roles.yaml stands for.
const generated = "role:"

// Compile checks a source strictly and makes it ready. The error is Problems:
// everything that is wrong, with file, line and column. What does not compile is
// never asked.
func Compile(src Source) (*Set, error) {
	var ps Problems
	roles := readRoles(src.Roles, &ps)
	w := readSchema(src.Schema, roles, &ps)
	if w == nil {
		return nil, ps.sorted()
	}
	s := &Set{source: src, hash: src.Hash, world: w, roles: roles, plans: map[planKey]*plan{}, names: map[Entity]int{},
		unpermitted: []Reason{{Text: "no policy permits this"}}}
	if s.hash == "" {
		s.hash = hashSource(src)
	}
	s.source.Hash = s.hash
	if kinds := w.kinds(); kinds > maxKinds {
		ps = append(ps, mentioned(src.Schema, fmt.Sprintf("there are %d kinds of questions (an action with a type of subject and one of resource); at most %d can be", kinds, maxKinds)))
		return nil, ps.sorted()
	}
	s.readRoleRules(src.Roles, &ps)
	check := validate.New(w.Schema, validate.WithStrict())
	ids := map[string]Problem{}
	for _, f := range src.Policies {
		s.readPolicies(f, check, ids, &ps)
	}
	if len(ps) == 0 {
		s.plan(src.Schema, &ps)
	}
	if len(ps) > 0 {
		return nil, ps.sorted()
	}
	return s, nil
}

// Hash names the source that the set was made from.
func (s *Set) Hash() string { return s.hash }

// hashSource puts the length before every part, so that no two sources share
// their bytes.
func hashSource(src Source) string {
	h := sha256.New()
	put := func(parts ...string) {
		var n [8]byte
		for _, p := range parts {
			binary.BigEndian.PutUint64(n[:], uint64(len(p)))
			h.Write(n[:])
			_, _ = io.WriteString(h, p)
		}
	}
	put(src.Schema.Name, string(src.Schema.Text), strconv.Itoa(len(src.Policies)))
	for _, f := range src.Policies {
		put(f.Name, string(f.Text))
	}
	for _, t := range src.Roles.Types {
		put("type", t.Type, strconv.Itoa(len(t.Roles)))
		for _, r := range t.Roles {
			put(r.Name, strconv.Itoa(len(r.Implies)), strconv.Itoa(len(r.Permissions)))
			put(r.Implies...)
			put(r.Permissions...)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// rule is one policy: its scope, which we judge ourselves on the graph, and its
// conditions, which Cedar does.
type rule struct {
	id, reason string
	permit     bool
	principal  scope
	action     internalast.IsActionScopeNode
	resource   scope
	quick      test // the conditions without Cedar, while nothing is out of the ordinary
	atoms      []atom
	variants   []*variant // conditions, by the outcome of the atoms; nil: there are none
	stepUp     *StepUp
	text       *internalast.Policy
	file       string
	line       int
	column     int

	// What an answer says that rests on this policy alone.
	determining []string
	reasons     []Reason

	// Whatever the policy names: where the path of an answer can lead.
	roles   []int
	inside  []int // of Set.named
	context bool  // its conditions ask for the circumstances
}

type scopeKind uint8

const (
	anyone   scopeKind = iota
	equal              // == entity
	isInside           // in entity
	holds              // in Role::"…": the subject holds the role on the resource
	isType             // is typ
)

// scope is the head of a policy for subject or resource. typ is set when the
// head says "is", also together with "in".
type scope struct {
	kind   scopeKind
	typ    string
	entity Entity
	named  int // of Set.named, for isInside
	role   int
}

// name returns the number under which a snapshot looks an entity up once.
func (s *Set) name(e Entity) int {
	n, ok := s.names[e]
	if !ok {
		n = len(s.named)
		s.names[e] = n
		s.named = append(s.named, e)
	}
	return n
}

// readRoleRules makes the policies that the permissions of roles.yaml are.
func (s *Set) readRoleRules(r Roles, ps *Problems) {
	for _, t := range r.Types {
		if s.world.shapes[t.Type] == nil {
			ps.add(r.File, t.Line, t.Column, "the schema has no type %q", t.Type)
			continue
		}
		for _, role := range t.Roles {
			n, known := s.roles.number[role.Name]
			if !known {
				continue
			}
			var actions []types.EntityUID
			for _, p := range role.Permissions {
				found := s.world.actions(p, t.Type)
				if len(found) == 0 {
					ps.add(r.File, role.Line, role.Column, "role %q of %q has the permission %q, but the schema has no such action that applies to %q", role.Name, t.Type, p, t.Type)
				}
				actions = append(actions, found...)
			}
			if len(actions) == 0 {
				continue
			}
			id := generated + t.Type + ":" + role.Name
			text := internalast.Permit().PrincipalIn(types.NewEntityUID(roleType, types.String(role.Name))).
				ActionInSet(actions...).ResourceIs(types.EntityType(t.Type))
			text.Annotations = []internalast.AnnotationType{{Key: "id", Value: types.String(id)}}
			s.rules = append(s.rules, &rule{
				id: id, reason: fmt.Sprintf("role %s on %s", role.Name, t.Type), permit: true, text: text,
				principal: scope{kind: holds, role: n}, action: text.Action, resource: scope{kind: isType, typ: t.Type},
				roles: []int{n}, file: r.File, line: role.Line, column: role.Column,
			})
		}
	}
}

func (s *Set) readPolicies(f File, check *validate.Validator, ids map[string]Problem, ps *Problems) {
	if !shallow(f, "([{", ")]}", ps) {
		return
	}
	list, err := cedar.NewPolicyListFromBytes(f.Name, f.Text)
	if err != nil {
		*ps = append(*ps, located(f, 1, err))
		return
	}
	for _, p := range list {
		s.readPolicy(f, p, check, ids, ps)
	}
}

func (s *Set) readPolicy(f File, p *cedar.Policy, check *validate.Validator, ids map[string]Problem, ps *Problems) {
	pos := p.Position()
	tree := (*internalast.Policy)(p.AST())
	r := &rule{permit: bool(p.Effect()), action: tree.Action, text: tree, file: f.Name, line: pos.Line, column: pos.Column}
	problem := func(format string, args ...any) {
		*ps = append(*ps, Problem{File: f.Name, Line: pos.Line, Column: pos.Column, Policy: r.id, Text: fmt.Sprintf(format, args...)})
	}
	if err := r.annotate(tree.Annotations); err != nil {
		problem("%v", err)
	}
	if r.id != "" {
		if first, twice := ids[r.id]; twice {
			problem("there is another policy with this @id at %s:%d:%d", first.File, first.Line, first.Column)
		}
		ids[r.id] = Problem{File: f.Name, Line: pos.Line, Column: pos.Column}
	}
	r.principal = s.scope(tree.Principal)
	r.resource = s.scope(tree.Resource)
	before := s.work
	if s.work += s.world.work(r); s.work > maxWork {
		if before <= maxWork {
			problem("all policies together are to be checked for too many kinds of questions; name the action and the types of subject and resource in their heads")
		}
		return
	}
	for _, err := range flat(check.Policy("", tree)) {
		at := Problem{File: f.Name, Line: pos.Line, Column: pos.Column, Policy: r.id, Text: err.Error()}
		at.Line, at.Column = within(f.Text, pos.Offset, err.Error(), at.Line, at.Column)
		*ps = append(*ps, at)
	}
	r.compile(s)
	for _, n := range []scope{r.principal, r.resource} {
		switch n.kind {
		case holds:
			r.roles = append(r.roles, n.role)
		case isInside:
			r.inside = append(r.inside, n.named)
		}
	}
	if r.resource.kind == holds {
		problem("only the subject holds roles; write principal in Role::%q", s.roles.names[r.resource.role])
	}
	for _, c := range tree.Conditions {
		s.reach(c.Body)
		if stray := s.mentions(r, c.Body); stray != "" {
			problem("a role is held by the subject on the resource of the question; Role::%q can stand in principal in Role::%q only", stray, stray)
		}
	}
	s.rules = append(s.rules, r)
}

// The annotations that mean something here.
var known = []string{"id", "reason", "step_up", "max_age"}

func (r *rule) annotate(as []internalast.AnnotationType) error {
	var maxAge time.Duration
	for _, a := range as {
		v := string(a.Value)
		switch a.Key {
		case "id":
			r.id = v
		case "reason":
			r.reason = v
		case "step_up":
			if v == "" {
				return fmt.Errorf("@step_up needs the acr that is enough, as in @step_up(\"aal2\")")
			}
			r.stepUp = &StepUp{ACR: v}
		case "max_age":
			n, err := strconv.ParseUint(v, 10, 31)
			if err != nil || n == 0 {
				return fmt.Errorf("@max_age is a number of seconds, as in @max_age(\"300\")")
			}
			maxAge = time.Duration(n) * time.Second
		default:
			near := strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(string(a.Key)))
			for _, k := range known {
				if near == strings.ReplaceAll(k, "_", "") {
					return fmt.Errorf("the annotation is spelled @%s, not @%s", k, a.Key)
				}
			}
		}
	}
	if maxAge > 0 && r.stepUp == nil {
		return fmt.Errorf("@max_age belongs to @step_up, which is missing")
	}
	if r.stepUp != nil {
		r.stepUp.MaxAge = maxAge
	}
	switch {
	case r.id == "":
		return fmt.Errorf("the policy has no @id; decisions are explained by it")
	case len(r.id) > 200:
		return fmt.Errorf("the @id is longer than 200 bytes")
	case strings.HasPrefix(r.id, generated):
		return fmt.Errorf("ids that begin with %q belong to roles.yaml", generated)
	case len(r.reason) > 1000:
		return fmt.Errorf("the @reason is longer than 1000 bytes")
	}
	return nil
}

func (s *Set) scope(n internalast.IsScopeNode) scope {
	in := func(typ types.EntityType, uid types.EntityUID) scope {
		if uid.Type == roleType {
			if n, ok := s.roles.number[string(uid.ID)]; ok {
				return scope{kind: holds, typ: string(typ), role: n}
			}
		}
		return scope{kind: isInside, typ: string(typ), entity: entityOf(uid), named: s.name(entityOf(uid))}
	}
	switch n := n.(type) {
	case internalast.ScopeTypeEq:
		return scope{kind: equal, entity: entityOf(n.Entity)}
	case internalast.ScopeTypeIn:
		return in("", n.Entity)
	case internalast.ScopeTypeIs:
		return scope{kind: isType, typ: string(n.Type)}
	case internalast.ScopeTypeIsIn:
		return in(n.Type, n.Entity)
	}
	return scope{kind: anyone}
}

// mentions notes what the conditions name, and returns the name of a role that
// stands where no role can be held.
func (s *Set) mentions(r *rule, n internalast.IsNode) (stray string) {
	rewrite(n, func(n internalast.IsNode) (internalast.IsNode, bool) {
		if a, ok := s.atom(n); ok {
			r.roles = append(r.roles, a.roles...)
			r.inside = append(r.inside, a.named...)
			return n, true
		}
		switch n := n.(type) {
		case internalast.NodeTypeVariable:
			r.context = r.context || n.Name == "context"
		case internalast.NodeValue:
			if u, ok := n.Value.(types.EntityUID); ok && u.Type == roleType {
				stray = string(u.ID)
			} else if ok {
				r.inside = append(r.inside, s.name(entityOf(u)))
			}
		}
		return n, false
	})
	return stray
}

func entityOf(u types.EntityUID) Entity { return Entity{Type: string(u.Type), ID: string(u.ID)} }

func uidOf(e Entity) types.EntityUID {
	return types.EntityUID{Type: types.EntityType(e.Type), ID: types.String(e.ID)}
}

func compareUIDs(a, b types.EntityUID) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
}

func flat(err error) []error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range many.Unwrap() {
			out = append(out, flat(e)...)
		}
		return out
	}
	return []error{err}
}

// within finds the place inside a policy that an error of the validator speaks
// of, by the last name it puts in quotes that stands there.
func within(text []byte, offset int, message string, line, column int) (int, int) {
	names := namesIn(message)
	slices.Reverse(names)
	for _, n := range names {
		if l, c, ok := find(text, offset, n); ok {
			return l, c
		}
	}
	return line, column
}
