package replica

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
)

// A part is a sequence of operations on the entity that was named last. Types and
// names are written once in a part and then referred to by number.
const (
	opEntity   = 'E' // type, id: what follows is about it
	opAdd      = '+' // relation, object type, object id, end
	opRemove   = '-' // relation, object type, object id
	opSet      = '=' // name, value as JSON
	opUnset    = '!' // name
	opClear    = 'C' // nothing is known of the entity: neither attributes nor what it is related to
	opDrop     = 'D' // and nothing is related to it
	opPolicies = 'P' // source as JSON, empty where the realm has no policies
)

// PartSize is about how large parts are made.
const PartSize = 64 << 10

// Writer makes parts.
type Writer struct {
	b     []byte
	words map[string]uint64
	at    graph.Entity
	named bool
}

// Full reports whether it is time to Take.
func (w *Writer) Full() bool { return len(w.b) >= PartSize }

// Empty reports whether nothing was written since Take.
func (w *Writer) Empty() bool { return len(w.b) == 0 }

// Take returns the part and begins another.
func (w *Writer) Take() []byte {
	b := w.b
	*w = Writer{}
	return b
}

// Add writes that a tuple is there.
func (w *Writer) Add(t graph.Tuple) {
	w.about(t.Subject)
	w.op(opAdd)
	w.word(t.Relation)
	w.word(t.Object.Type)
	w.bytes(t.Object.ID)
	w.b = binary.AppendUvarint(w.b, uint64(t.Expires))
}

// Remove writes that a tuple is not there.
func (w *Writer) Remove(t graph.Tuple) {
	w.about(t.Subject)
	w.op(opRemove)
	w.word(t.Relation)
	w.word(t.Object.Type)
	w.bytes(t.Object.ID)
}

// Set writes the value of an attribute.
func (w *Writer) Set(e graph.Entity, name string, v any) error {
	text, err := valueText(v)
	if err != nil {
		return err
	}
	w.about(e)
	w.op(opSet)
	w.word(name)
	w.bytes(string(text))
	return nil
}

// Unset writes that there is no such attribute.
func (w *Writer) Unset(e graph.Entity, name string) {
	w.about(e)
	w.op(opUnset)
	w.word(name)
}

// Clear writes that what is known of an entity is only what follows.
func (w *Writer) Clear(e graph.Entity) {
	w.about(e)
	w.op(opClear)
}

// Drop writes that what mentions an entity is only what follows.
func (w *Writer) Drop(e graph.Entity) {
	w.about(e)
	w.op(opDrop)
}

// Policies writes which policies count, nil for none.
func (w *Writer) Policies(s *policy.Set) error {
	var text []byte
	if s != nil {
		var err error
		if text, err = json.Marshal(s.Source()); err != nil {
			return err
		}
	}
	w.op(opPolicies)
	w.bytes(string(text))
	return nil
}

func (w *Writer) op(op byte) { w.b = append(w.b, op) }

func (w *Writer) about(e graph.Entity) {
	if w.named && w.at == e {
		return
	}
	w.at, w.named = e, true
	w.op(opEntity)
	w.word(e.Type)
	w.bytes(e.ID)
}

func (w *Writer) bytes(s string) {
	w.b = binary.AppendUvarint(w.b, uint64(len(s)))
	w.b = append(w.b, s...)
}

// word writes a string that comes again and again.
func (w *Writer) word(s string) {
	if n, ok := w.words[s]; ok {
		w.b = binary.AppendUvarint(w.b, n)
		return
	}
	if w.words == nil {
		w.words = map[string]uint64{}
	}
	w.words[s] = uint64(len(w.words) + 1)
	w.b = append(w.b, 0)
	w.bytes(s)
}

func valueText(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// News is what parts say together.
type News struct {
	graph.Change
	Clear    []graph.Entity
	Policies *policy.Source // the policies that count from now on
	None     bool           // from now on there are no policies
}

// errPart says that a part is not one that Writer made.
var errPart = errors.New("a part is malformed")

type reader struct {
	b     []byte
	words []string
	bad   bool
}

// read adds what a part says.
func (n *News) read(part []byte) error {
	r := &reader{b: part}
	var at graph.Entity
	for len(r.b) > 0 && !r.bad {
		op := r.b[0]
		r.b = r.b[1:]
		if at.Type == "" && op != opEntity && op != opPolicies {
			return errPart
		}
		switch op {
		case opEntity:
			at = graph.Entity{Type: r.word(), ID: r.text()}
		case opAdd:
			t := graph.Tuple{Subject: at, Relation: r.word(), Object: graph.Entity{Type: r.word(), ID: r.text()}}
			t.Expires = int64(r.number() & (1<<63 - 1))
			n.Add = append(n.Add, t)
		case opRemove:
			n.Remove = append(n.Remove, graph.Tuple{Subject: at, Relation: r.word(), Object: graph.Entity{Type: r.word(), ID: r.text()}})
		case opSet:
			name, text := r.word(), r.text()
			v, err := readValue(text)
			if err != nil && !r.bad {
				return fmt.Errorf("%w: the value of %s: %w", errPart, name, err)
			}
			n.Set = append(n.Set, graph.Attribute{Entity: at, Name: name, Value: v})
		case opUnset:
			n.Unset = append(n.Unset, graph.Attribute{Entity: at, Name: r.word()})
		case opClear:
			n.Clear = append(n.Clear, at)
		case opDrop:
			n.Drop = append(n.Drop, at)
		case opPolicies:
			n.Policies, n.None = nil, true
			if text := r.text(); text != "" {
				n.Policies, n.None = &policy.Source{}, false
				if err := json.Unmarshal([]byte(text), n.Policies); err != nil {
					return fmt.Errorf("%w: policies: %w", errPart, err)
				}
			}
		default:
			return errPart
		}
	}
	if r.bad {
		return errPart
	}
	return nil
}

func readValue(text string) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.UseNumber()
	err = dec.Decode(&v)
	return v, err
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) word() string {
	switch n := r.number(); {
	case r.bad:
		return ""
	case n == 0:
		s := r.text()
		r.words = append(r.words, s)
		return s
	case n <= uint64(len(r.words)):
		return r.words[n-1]
	}
	r.bad = true
	return ""
}
