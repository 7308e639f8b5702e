package graph

import (
	"encoding/json"
	"strconv"
)

// Count is how many relations and attributes the graph holds. Unlike Size it
// counts nothing.
func (g *Graph) Count() int { return g.tuples + g.attributes }

// The hash of a graph is the sum of those of its facts, so that one can be taken away.

func hashText(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211 // FNV-1a
	}
	return (h ^ 0xff) * 1099511628211 // so that "ab", "c" is not "a", "bc"
}

// mixed is the end of SplitMix64.
func mixed(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

const hashBasis = 14695981039346656037

func hashName(s string) uint64 { return hashText(hashBasis, s) }

func hashEntity(e Entity) uint64 { return hashText(hashName(e.Type), e.ID) }

func hashTuple(subject, relation, object uint64, expires int64) uint64 {
	return mixed(mixed(mixed(mixed(subject)+relation)+object) + uint64(expires))
}

// sum is that of the attributes of an entity, by its hash.
func (f *Facts) sum(entity uint64) (all uint64) {
	for name, v := range f.All() {
		all += mixed(hashValue(hashText(entity, name), v))
	}
	return all
}

// hashValue takes a number for the text it is written as: what was a number here
// comes to others as its text.
func hashValue(h uint64, v any) uint64 {
	switch v := v.(type) {
	case string:
		return hashText(h^'s', v)
	case bool:
		return hashText(h^'b', strconv.FormatBool(v))
	case int64:
		return hashText(h^'n', strconv.FormatInt(v, 10))
	case json.Number:
		return hashText(h^'n', string(v))
	}
	text, _ := json.Marshal(v) // values came as JSON
	return hashText(h^'j', string(text))
}
