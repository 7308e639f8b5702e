package policy

import (
	"cmp"
	"slices"
)

// Kind is a kind of question that the schema knows.
type Kind struct{ Subject, Action, Resource string }

// Kinds lists the kinds of questions, in order. Every other is denied.
func (s *Set) Kinds() []Kind {
	all := make([]Kind, 0, len(s.plans))
	for k := range s.plans {
		all = append(all, Kind{k.subject, k.action, k.resource})
	}
	slices.SortFunc(all, func(a, b Kind) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Action, b.Action))
	})
	return all
}

// Roles lists the types of resources with the roles that can be held on them.
func (s *Set) Roles() []RoleType { return slices.Clone(s.roles.types) }

// Permissions are the actions that a role on a type of resource permits, by itself
// and by what it implies, in order.
func (t RoleType) Permissions(role string) []string {
	var all []string
	seen := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, r := range t.Roles {
			if r.Name != name {
				continue
			}
			all = append(all, r.Permissions...)
			for _, implied := range r.Implies {
				add(implied)
			}
		}
	}
	add(role)
	slices.Sort(all)
	return slices.Compact(all)
}
