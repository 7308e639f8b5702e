package graph

import (
	"iter"
	"maps"
	"reflect"
	"slices"
	"sync/atomic"
)

// Facts are the attributes of one entity. They never change.
type Facts struct {
	names  []string // sorted
	values []any
	memo   atomic.Pointer[memo]
}

// memo is what somebody made of the facts, kept for the next time.
type memo struct{ owner, made any }

func newFacts(m map[string]any) *Facts {
	f := &Facts{names: slices.Sorted(maps.Keys(m))}
	for _, n := range f.names {
		f.values = append(f.values, m[n])
	}
	return f
}

// equal reports whether both say the same, as values of the same types.
func (f *Facts) equal(g *Facts) bool {
	return slices.Equal(f.names, g.names) && reflect.DeepEqual(f.values, g.values)
}

func (f *Facts) clone() *Facts {
	return &Facts{names: slices.Clone(f.names), values: slices.Clone(f.values)}
}

// has reports whether there is an attribute of the name.
func (f *Facts) has(name string) bool {
	if f == nil {
		return false
	}
	_, ok := slices.BinarySearch(f.names, name)
	return ok
}

// says reports whether an attribute has a value.
func (f *Facts) says(name string, v any) bool {
	if f == nil {
		return false
	}
	i, ok := slices.BinarySearch(f.names, name)
	return ok && reflect.DeepEqual(f.values[i], v)
}

// Len counts the attributes.
func (f *Facts) Len() int {
	if f == nil {
		return 0
	}
	return len(f.names)
}

// All returns the attributes by name.
func (f *Facts) All() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for i := range f.Len() {
			if !yield(f.names[i], f.values[i]) {
				return
			}
		}
	}
}

// Made returns what owner made of these facts the last time, or makes it. What
// make returns must follow from the facts and owner alone.
func (f *Facts) Made(owner any, make func() any) any {
	if m := f.memo.Load(); m != nil && m.owner == owner {
		return m.made
	}
	m := &memo{owner, make()}
	f.memo.Store(m)
	return m.made
}

func (f *Facts) with(name string, v any) *Facts {
	m := maps.Collect(f.All())
	m[name] = v
	return newFacts(m)
}

func (f *Facts) without(name string) *Facts {
	m := maps.Collect(f.All())
	delete(m, name)
	return newFacts(m)
}
