package journal

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/id"
)

// encoder writes a part. It holds nothing of what it is given.
type encoder struct {
	b      []byte
	known  map[string]uint64
	texts  []string // by number
	before []word   // what the entry before said, by place
	place  int
	same   uint64 // how many words were as before since one was written
	words  int    // of all entries
	held   int    // bytes of texts
	last   int64  // milliseconds of the entry before
	mask   string
	masks  []string // in mask
	masked bool
	order  [4][]string // in which the members of the parts of a question were written last
}

// word is what an entry says at a place.
type word struct {
	kind     uint8
	from, to int32 // where a text without a number is written
	n        uint64
	text     string // one with a number
}

// Kinds of words.
const (
	wordNone = iota
	wordNumber
	wordKnown
	wordPlain
)

func newEncoder() *encoder { return &encoder{known: map[string]uint64{}} }

// What an encoder keeps of its memory for the next part, as long as that is needed.
const (
	leastKept     = 1 << 16 // bytes
	mostKept      = 1 << 21
	mostKeptTexts = 1 << 12
	mostKeptWords = 1 << 10
)

// reset makes ready for another part. Nothing of the one before stays.
func (e *encoder) reset() {
	b, known, texts, before := e.b, e.known, e.texts, e.before
	if room := cap(b); room > mostKept || room > leastKept && len(b) < room/8 {
		b = nil
	}
	if len(known) > mostKeptTexts {
		known, texts = map[string]uint64{}, nil
	}
	if cap(before) > mostKeptWords {
		before = nil
	}
	clear(known)
	clear(texts)
	clear(before)
	*e = encoder{b: b[:0], known: known, texts: texts[:0], before: before[:0]}
}

// size is about how much memory it takes.
func (e *encoder) size() int { return len(e.b) + e.held + perWord*len(e.before) }

// What a word and a text take with all that leads to them.
const (
	perWord = 40
	perText = 80
)

// put writes a number as it is.
func (e *encoder) put(n uint64) {
	if n < 0x80 {
		e.b = append(e.b, byte(n))
		return
	}
	e.b = binary.AppendUvarint(e.b, n)
}

// next is the word at the next place of the entry before.
func (e *encoder) next() *word {
	if e.place == len(e.before) {
		e.before = append(e.before, word{})
	}
	e.place++
	return &e.before[e.place-1]
}

// differs says that the word that follows is not as before.
func (e *encoder) differs() {
	e.put(e.same)
	e.same = 0
}

// end ends an entry.
func (e *encoder) end() {
	e.differs()
	e.words += e.place
	e.place = 0
}

func (e *encoder) uint(n uint64) {
	w := e.next()
	if w.kind == wordNumber && w.n == n {
		e.same++
		return
	}
	*w = word{kind: wordNumber, n: n}
	e.differs()
	e.put(n)
}

func (e *encoder) int(n int64) { e.uint(zigzag(n)) }

// zigzag is n as binary.AppendVarint writes it.
func zigzag(n int64) uint64 { return uint64(n)<<1 ^ uint64(n>>63) }

func (e *encoder) text(s string) {
	w := e.next()
	if w.kind == wordKnown && w.text == s || w.kind == wordPlain && string(e.b[w.from:w.to]) == s {
		e.same++
		return
	}
	e.differs()
	if n, ok := e.known[s]; ok {
		*w = word{kind: wordKnown, text: e.texts[n]}
		e.put(n + textKnown)
		return
	}
	if len(s) > longestKnown || len(e.known) == mostKnown {
		e.put(textPlain)
		e.write(s)
		*w = word{kind: wordPlain, from: int32(len(e.b) - len(s)), to: int32(len(e.b))}
		return
	}
	s = strings.Clone(s)
	*w = word{kind: wordKnown, text: s}
	e.known[s] = uint64(len(e.texts))
	e.texts = append(e.texts, s)
	e.held += perText + len(s)
	e.put(textNew)
	e.write(s)
}

func (e *encoder) write(s string) {
	e.put(uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) entity(x policy.Entity) {
	e.text(x.Type)
	e.text(x.ID)
}

// entry writes an entry, without what is masked: names such as context.ip.
func (e *encoder) entry(x *Entry, masks string) {
	e.masked = x.Masked
	if masks != e.mask {
		e.mask, e.masks = masks, strings.Fields(masks)
	}
	at := x.At.UnixMilli()
	e.put(zigzag(at - e.last))
	e.last = at
	e.id(x.ID, at)
	e.text(x.Kind)
	q := &x.Question
	e.entity(q.Subject)
	e.text(q.Action)
	e.entity(q.Resource)
	e.part(0, "subject", q.SubjectProperties)
	e.part(1, "action", q.ActionProperties)
	e.part(2, "resource", q.ResourceProperties)
	e.part(3, "context", q.Context)
	flags := uint64(0)
	for i, set := range [...]bool{x.Answer.Allowed, e.masked, x.Answer.StepUp != nil} {
		if set {
			flags |= 1 << i
		}
	}
	e.uint(flags)
	e.uint(uint64(x.Results))
	e.text(x.Revision)
	e.text(x.Refused)
	for _, s := range [...]string{x.Client, x.Principal, x.CallerToken, x.Token, x.Grant, x.Session, x.Application} {
		e.text(s)
	}
	e.unique(x.Request)
	e.answer(&x.Answer)
	e.end()
}

// id writes the id of an entry, which is new in each.
func (e *encoder) id(s string, at int64) {
	b, ours := id.Bytes(Prefix, s)
	switch {
	case !ours:
		e.put(idText)
		e.write(s)
	case int64(binary.BigEndian.Uint64(b[:8])>>16) == at:
		e.put(idNow)
		e.b = append(e.b, b[6:]...)
	default:
		e.put(idBytes)
		e.b = append(e.b, b[:]...)
	}
}

// unique writes a text that comes once, if it is there.
func (e *encoder) unique(s string) {
	if s == "" {
		e.text(s)
		return
	}
	*e.next() = word{}
	e.differs()
	e.put(textPlain)
	e.write(s)
}

func (e *encoder) answer(a *policy.Answer) {
	e.text(a.PolicyHash)
	e.int(a.Revision)
	e.uint(uint64(len(a.Reasons)))
	for i := range a.Reasons {
		r := &a.Reasons[i]
		e.text(r.Policy)
		e.text(r.Text)
		e.text(r.Error)
	}
	e.uint(uint64(len(a.Determining)))
	for _, id := range a.Determining {
		e.text(id)
	}
	if a.StepUp != nil {
		e.text(a.StepUp.ACR)
		e.int(int64(a.StepUp.MaxAge))
	}
	e.uint(uint64(len(a.Path)))
	for i := range a.Path {
		t := &a.Path[i]
		e.entity(t.Subject)
		e.text(t.Relation)
		e.entity(t.Object)
		e.int(t.Expires)
	}
}

// mostOrdered is up to how many members are written in order, so that they are found
// where they were in the entry before.
const mostOrdered = 8

// part writes one of the four that callers fill. They have mostly the names that they
// had before, and then those need not be looked for.
func (e *encoder) part(i int, at string, p policy.Properties) {
	if e.uint(uint64(len(p))); len(p) == 0 {
		return
	}
	if len(p) > mostOrdered {
		e.members(at, p)
		return
	}
	var values [mostOrdered]any
	if !have(p, e.order[i], &values) {
		var names [mostOrdered]string
		e.order[i] = e.order[i][:0]
		for _, name := range sorted(p, &names) {
			e.order[i] = append(e.order[i], strings.Clone(name))
		}
		have(p, e.order[i], &values)
	}
	for n, name := range e.order[i] {
		e.member(at, name, values[n])
	}
}

// have gets the members of p, and reports whether these are their names.
func have(p policy.Properties, names []string, values *[mostOrdered]any) (ok bool) {
	if len(names) != len(p) {
		return false
	}
	for i, name := range names {
		if values[i], ok = p[name]; !ok {
			return false
		}
	}
	return true
}

// sorted are the names of few members.
func sorted(p map[string]any, names *[mostOrdered]string) []string {
	all := names[:0]
	for name := range p {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func (e *encoder) properties(at string, p policy.Properties) {
	e.uint(uint64(len(p)))
	e.members(at, p)
}

func (e *encoder) members(at string, p map[string]any) {
	if len(p) > mostOrdered {
		for name, v := range p {
			e.member(at, name, v)
		}
		return
	}
	var names [mostOrdered]string
	for _, name := range sorted(p, &names) {
		e.member(at, name, p[name])
	}
}

func (e *encoder) member(at, name string, v any) {
	e.text(name)
	if len(e.masks) == 0 {
		e.value("", v)
		return
	}
	if path := at + "." + name; slices.Contains(e.masks, path) {
		e.masked = true
		e.uint(valueMasked)
	} else {
		e.value(path, v)
	}
}

func (e *encoder) value(at string, v any) {
	switch v := v.(type) {
	case string:
		e.uint(valueText)
		e.text(v)
	case bool:
		if v {
			e.uint(valueTrue)
		} else {
			e.uint(valueFalse)
		}
	case json.Number:
		e.uint(valueNumber)
		e.text(string(v))
	case int64:
		e.number(v)
	case int:
		e.number(v)
	case float64:
		e.number(v)
	case time.Time:
		e.uint(valueTime)
		e.int(v.UnixMilli())
	case map[string]any:
		e.uint(valueObject)
		e.properties(at, v)
	case policy.Properties:
		e.uint(valueObject)
		e.properties(at, v)
	case []any:
		e.uint(valueList)
		e.uint(uint64(len(v)))
		for _, x := range v {
			e.value(at, x)
		}
	case []string:
		e.uint(valueList)
		e.uint(uint64(len(v)))
		for _, x := range v {
			e.uint(valueText)
			e.text(x)
		}
	default:
		e.uint(valueNull)
	}
}

func (e *encoder) number(v any) {
	text, _ := json.Marshal(v) // numbers always have an encoding
	e.uint(valueNumber)
	e.text(string(text))
}

// deflate packs parts.
func deflate(w *flate.Writer, parts ...[]byte) ([]byte, error) {
	var out bytes.Buffer
	n := 0
	for _, part := range parts {
		n += len(part)
	}
	out.Grow(n/2 + 64)
	out.WriteByte(segmentV2)
	w.Reset(&out)
	for _, part := range parts {
		var size [binary.MaxVarintLen64]byte
		if _, err := w.Write(binary.AppendUvarint(size[:0], uint64(len(part)))); err != nil {
			return nil, err
		}
		if _, err := w.Write(part); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
