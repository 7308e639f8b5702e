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
	err          error
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
	props := e.props
	if v.same {
		props = Properties{}
		maps.Copy(props, v.resource.props)
		maps.Copy(props, v.subject.props)
	}
	if !e.shape.wants(props) {
		if !e.known {
			return nothing
		}
		return v.snap.shown(e.node, e.shape)
	}
	var f *graph.Facts
	if e.known {
		f = v.snap.graph.Facts(e.node)
	}
	return e.shape.read(f, props)
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
	for _, name := range sh.requests {
		if props[name] == nil {
			continue
		}
		c, err := value(props[name], sh.attrs[name].typ)
		if err != nil {
			return &shown{err: fmt.Errorf("%s: %w", name, err)}
		}
		record[types.String(name)] = c
	}
	return &shown{record: types.NewRecord(record), tags: types.NewRecord(tags)}
}
