package graph

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// relations numbers the names of relations. It is shared between graphs and
// never changes; a new name makes another.
type relations struct {
	names   []string
	numbers map[string]uint16
}

func newRelations() *relations {
	return &relations{names: []string{Member, Parent}, numbers: map[string]uint16{Member: memberRel, Parent: parentRel}}
}

// number returns the number of a relation and learns it if need be; only whoever
// owns r may call it.
func (r *relations) number(name string) (uint16, error) {
	if n, ok := r.numbers[name]; ok {
		return n, nil
	}
	if len(r.names) > math.MaxUint16 {
		return 0, fmt.Errorf("%w: there are more than %d names of relations", ErrInvalid, math.MaxUint16)
	}
	n := uint16(len(r.names))
	r.names = append(r.names, name)
	r.numbers[name] = n
	return n, nil
}

func (r *relations) clone() *relations {
	return &relations{names: slices.Clone(r.names), numbers: maps.Clone(r.numbers)}
}

// edgeKey orders the relations of a node: members, parents, roles; then by the
// other end; then by role.
func edgeKey(rel uint16, far Node) uint64 {
	return uint64(min(rel, firstRole))<<48 | uint64(far)<<16 | uint64(rel)
}

func keyNode(k uint64) Node  { return Node(k >> 16) }
func keyRel(k uint64) uint16 { return uint16(k) }
