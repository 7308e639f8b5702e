package graph

// trie maps numbers to values and is never changed in place: set returns another
// that shares all but one path. While an edit lasts, what it made itself is
// changed in place. The zero value is empty.
type trie[V any] struct {
	root   *trieNode[V]
	height uint // levels below the root; keys have 6*(height+1) bits
}

type trieNode[V any] struct {
	owner    *edit
	children *[64]*trieNode[V] // of an inner node
	values   *[64]V            // of a leaf
	has      uint64            // which values are set
}

func (t trie[V]) get(k uint32) (v V, ok bool) {
	if t.root == nil || uint64(k)>>(6*(t.height+1)) != 0 {
		return v, false
	}
	n := t.root
	for shift := 6 * t.height; shift > 0; shift -= 6 {
		if n = n.children[k>>shift&63]; n == nil {
			return v, false
		}
	}
	return n.values[k&63], n.has>>(k&63)&1 != 0
}

func (t trie[V]) set(by *edit, k uint32, v V) trie[V] {
	if t.root == nil {
		t.root = &trieNode[V]{owner: by, values: new([64]V)}
	}
	for uint64(k)>>(6*(t.height+1)) != 0 {
		t.height++
		up := &trieNode[V]{owner: by, children: new([64]*trieNode[V])}
		up.children[0] = t.root
		t.root = up
	}
	t.root = t.root.own(by)
	n := t.root
	for shift := 6 * t.height; shift > 0; shift -= 6 {
		at := &n.children[k>>shift&63]
		switch {
		case *at != nil:
			*at = (*at).own(by)
		case shift > 6:
			*at = &trieNode[V]{owner: by, children: new([64]*trieNode[V])}
		default:
			*at = &trieNode[V]{owner: by, values: new([64]V)}
		}
		n = *at
	}
	n.values[k&63] = v
	n.has |= 1 << (k & 63)
	return t
}

// own returns the node itself if by made it, else a copy that by may change.
func (n *trieNode[V]) own(by *edit) *trieNode[V] {
	if n.owner == by {
		return n
	}
	c := &trieNode[V]{owner: by, has: n.has}
	if n.children != nil {
		children := *n.children
		c.children = &children
	}
	if n.values != nil {
		values := *n.values
		c.values = &values
	}
	return c
}

// each calls f with all keys that are set, in order, until it returns false.
func (t trie[V]) each(f func(k uint32, v V) bool) {
	if t.root != nil {
		t.root.each(0, t.height, f)
	}
}

func (n *trieNode[V]) each(prefix uint32, height uint, f func(uint32, V) bool) bool {
	for i := range uint32(64) {
		k := prefix<<6 | i
		if height == 0 {
			if n.has>>i&1 != 0 && !f(k, n.values[i]) {
				return false
			}
		} else if c := n.children[i]; c != nil && !c.each(k, height-1, f) {
			return false
		}
	}
	return true
}
