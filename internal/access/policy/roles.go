package policy

import (
	"math/bits"
	"slices"

	"github.com/cardea-id/cardea/internal/access/graph"
)

// maxRoles is how many names of roles a policy folder can have, over all types.
const maxRoles = 256

// roleSet is a set of roles by their number.
type roleSet [maxRoles / 64]uint64

func (s *roleSet) add(n int)      { s[n/64] |= 1 << (n % 64) }
func (s *roleSet) has(n int) bool { return s[n/64]&(1<<(n%64)) != 0 }
func (s *roleSet) empty() bool    { return *s == roleSet{} }

// addAll adds what is in o, and reports whether anything was new.
func (s *roleSet) addAll(o *roleSet) bool {
	before := *s
	for i := range s {
		s[i] |= o[i]
	}
	return *s != before
}

// roleBook is roles.yaml made ready: numbers for names, and for each type what
// each role brings with it there.
type roleBook struct {
	names  []string
	number map[string]int
	brings map[string][]roleSet // by type; what holding a role there means, itself included
	types  []RoleType
}

// readRoles numbers the roles and follows what implies what. What needs the
// schema is checked by checkRoles.
func readRoles(r Roles, ps *Problems) *roleBook {
	b := &roleBook{number: map[string]int{}, brings: map[string][]roleSet{}, types: r.Types}
	for _, t := range r.Types {
		for _, role := range t.Roles {
			switch {
			case role.Name == graph.Member || role.Name == graph.Parent:
				ps.add(r.File, role.Line, role.Column, "%q is a relation of its own and cannot be a role", role.Name)
			case role.Name == "" || len(role.Name) > graph.MaxID:
				ps.add(r.File, role.Line, role.Column, "a role needs a name of at most %d bytes", graph.MaxID)
			default:
				b.name(role.Name)
			}
		}
	}
	if len(b.names) > maxRoles {
		ps.add(r.File, 1, 1, "there are %d names of roles; at most %d can be", len(b.names), maxRoles)
		return &roleBook{number: map[string]int{}, brings: map[string][]roleSet{}}
	}
	seen := map[string]bool{}
	for _, t := range r.Types {
		if seen[t.Type] {
			ps.add(r.File, t.Line, t.Column, "type %q stands here twice", t.Type)
			continue
		}
		seen[t.Type] = true
		b.brings[t.Type] = implications(r.File, t, b, ps)
	}
	return b
}

func (b *roleBook) name(n string) int {
	if i, ok := b.number[n]; ok {
		return i
	}
	b.number[n] = len(b.names)
	b.names = append(b.names, n)
	return len(b.names) - 1
}

func implications(file string, t RoleType, b *roleBook, ps *Problems) []roleSet {
	own := map[string]*Role{}
	for i := range t.Roles {
		r := &t.Roles[i]
		if own[r.Name] != nil {
			ps.add(file, r.Line, r.Column, "role %q of %q stands here twice", r.Name, t.Type)
		}
		own[r.Name] = r
	}
	out := make([]roleSet, len(b.names))
	for i := range out {
		out[i].add(i)
	}
	for i := range t.Roles {
		r := &t.Roles[i]
		n, known := b.number[r.Name]
		if !known {
			continue
		}
		var walk func(name string, way []string)
		walk = func(name string, way []string) {
			if slices.Contains(way, name) {
				ps.add(file, r.Line, r.Column, "role %q of %q implies itself", r.Name, t.Type)
				return
			}
			for _, next := range own[name].Implies {
				m, ok := b.number[next]
				if !ok || own[next] == nil {
					ps.add(file, own[name].Line, own[name].Column, "role %q of %q implies %q, which %q does not have", name, t.Type, next, t.Type)
					continue
				}
				if out[n].has(m) && m != n {
					continue
				}
				out[n].add(m)
				walk(next, append(way, name))
			}
		}
		walk(r.Name, nil)
	}
	return out
}

// expand adds what the roles in s bring with them on a resource of a type.
func (b *roleBook) expand(typ string, s *roleSet) {
	brings := b.brings[typ]
	if brings == nil {
		return
	}
	for i, word := range *s {
		for ; word != 0; word &= word - 1 {
			s.addAll(&brings[i*64+bits.TrailingZeros64(word)])
		}
	}
}
