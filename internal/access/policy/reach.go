package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
)

// Source is what the set was made from.
func (s *Set) Source() Source { return s.source }

// HasResources reports whether there are actions on entities of a type.
func (s *Set) HasResources(typ string) bool {
	for _, a := range s.world.Actions {
		if a.AppliesTo != nil && slices.Contains(a.AppliesTo.Resources, types.EntityType(typ)) {
			return true
		}
	}
	return false
}

// Around returns some types of resources, the types of those who may do something
// with them, and of whatever the policies about them name.
func (s *Set) Around(resources []string) []string {
	all := slices.Clone(resources)
	for _, a := range s.world.Actions {
		if a.AppliesTo == nil || !slices.ContainsFunc(resources, func(t string) bool { return slices.Contains(a.AppliesTo.Resources, types.EntityType(t)) }) {
			continue
		}
		for _, p := range a.AppliesTo.Principals {
			all = append(all, string(p))
		}
		all = references(all, a.AppliesTo.Context)
	}
	for _, r := range s.rules {
		if slices.ContainsFunc(resources, func(typ string) bool { return fits(r.resource, typ) }) {
			for _, n := range r.inside {
				all = append(all, s.named[n].Type)
			}
		}
	}
	return all
}

// Refers returns the types that entities of a type can be inside of, or that their
// attributes can name, by the schema.
func (s *Set) Refers(typ string) []string {
	e, ok := s.world.Entities[types.EntityType(typ)]
	if !ok {
		return nil
	}
	var all []string
	for _, p := range e.ParentTypes {
		all = append(all, string(p))
	}
	return references(references(all, e.Shape), e.Tags)
}

func references(all []string, t resolved.IsType) []string {
	switch t := t.(type) {
	case resolved.EntityType:
		return append(all, string(t))
	case resolved.SetType:
		return references(all, t.Element)
	case resolved.RecordType:
		for _, a := range t {
			all = references(all, a.Type)
		}
	}
	return all
}
