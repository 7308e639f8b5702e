package policy

import (
	"fmt"
	"maps"

	"github.com/cedar-policy/cedar-go/types"

	"github.com/cardea-id/cardea/internal/access/graph"
)

// shown is what Cedar sees of the attributes of an entity, or why it must not
// see them: what is stored and is not of its type could hide a lock, so it is
// never taken for absent.
type shown struct {
	record, tags types.Record
	said         []saying // counts before record; Cedar is shown both in one
	err          error
}

// saying is an attribute that the caller gives a value.
type saying struct {
	name  types.String
	value types.Value
}

// get returns the value of an attribute, if there is one.
func (s *shown) get(name types.String) (types.Value, bool) {
	for i := range s.said {
		if s.said[i].name == name {
			return s.said[i].value, true
		}
	}
	return s.record.Get(name)
}

var nothing = &shown{}

// shown returns what is stored about a node as the schema has it. It is made
// once for each entity and schema.
func (s *Snapshot) shown(n graph.Node, sh *shape) *shown {
	f := s.graph.Facts(n)
	if f == nil {
		return nothing
	}
	return f.Made(sh, func() any { return sh.read(f, nil) }).(*shown)
}

// attributes returns what counts about an end: what is stored, and what the
// caller says where the schema lets it.
func (v *view) attributes(e *end) *shown {
	stored := nothing
	if e.known {
		stored = v.snap.shown(e.node, e.shape)
	}
	said, err := e.shape.say(v.saidOf(e), e.said[:0])
	switch e.said = said; {
	case err == nil && len(said) == 0:
		return stored
	case err == nil && stored.err == nil:
		e.laid = shown{record: stored.record, tags: stored.tags, said: said}
		return &e.laid
	}
	return v.wholly(e)
}

// wholly is attributes in one record.
func (v *view) wholly(e *end) *shown {
	var f *graph.Facts
	if e.known {
		f = v.snap.graph.Facts(e.node)
	}
	return e.shape.read(f, v.saidOf(e))
}

// saidOf is what the caller says about an end.
func (v *view) saidOf(e *end) Properties {
	if !v.same {
		return e.props
	}
	props := Properties{}
	maps.Copy(props, v.resource.props)
	maps.Copy(props, v.subject.props)
	return props
}

// wants reports whether the caller says something that counts.
func (sh *shape) wants(props Properties) bool {
	for _, name := range sh.requests {
		if props[name] != nil {
			return true
		}
	}
	return false
}

func (sh *shape) read(f *graph.Facts, props Properties) *shown {
	record, tags := types.RecordMap{}, types.RecordMap{}
	for name, stored := range f.All() {
		a, ok := sh.attrs[name]
		switch {
		case stored == nil || ok && a.request && props[name] != nil:
		case ok:
			c, err := value(stored, a.typ)
			if err != nil {
				return &shown{err: fmt.Errorf("stored %s: %w", name, err)}
			}
			record[a.name] = c
		case sh.tags != nil:
			c, err := value(stored, sh.tags)
			if err != nil {
				return &shown{err: fmt.Errorf("stored %s: %w", name, err)}
			}
			tags[types.String(name)] = c
		}
	}
	said, err := sh.say(props, nil)
	if err != nil {
		return &shown{err: err}
	}
	for _, s := range said {
		record[s.name] = s.value
	}
	return &shown{record: types.NewRecord(record), tags: types.NewRecord(tags)}
}

// say appends what the caller says and may say.
func (sh *shape) say(props Properties, dst []saying) ([]saying, error) {
	for _, name := range sh.requests {
		said := props[name]
		if said == nil {
			continue
		}
		c, err := value(said, sh.attrs[name].typ)
		if err != nil {
			return dst, fmt.Errorf("%s: %w", name, err)
		}
		dst = append(dst, saying{types.String(name), c})
	}
	return dst, nil
}
