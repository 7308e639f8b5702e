package journal

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/id"
)

// A segment is a version byte and then, deflated, parts behind their length. In a part
// texts are written once and then named by number, and what an entry says at the same
// place as the one before is not written but counted: decisions of one moment say
// mostly the same, so that one comes to some twenty bytes.
//
// Version 1, which is only read, is one part without its length, in which everything is
// written each time.
const (
	segmentV1 = 1
	segmentV2 = 2
)

// Marks before a text. Higher numbers name one that came before.
const (
	textNew   = 0 // comes again, perhaps: it gets the next number
	textPlain = 1 // too long to be remembered
	textKnown = 2
)

// Marks before the id of an entry.
const (
	idText  = iota
	idBytes // of a decision of ours: 16
	idNow   // the last ten of those: the others are the entry's time
)

// longest text that gets a number, and how many get one.
const (
	longestKnown = 128
	mostKnown    = 1 << 16
)

// Kinds of values.
const (
	valueNull = iota
	valueFalse
	valueTrue
	valueText
	valueNumber
	valueList
	valueObject
	valueTime
	valueMasked
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
	e.masked = false
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

var errSegment = errors.New("journal: a segment cannot be read")

// inflate unpacks what deflate packed.
func inflate(body []byte) ([]byte, error) {
	r := flate.NewReader(bytes.NewReader(body))
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, 1<<30))
}

// decoder reads what encoder wrote. After the first error it reads zeros.
type decoder struct {
	b, rest []byte // a part, and those behind it
	v2      bool
	known   []string
	before  []said // what the entry before said, by place
	place   int
	same    uint64 // how many words are as before,
	counted bool   // if that was read
	last    int64
	bad     bool
}

// said is a word that was read.
type said struct {
	text bool
	n    uint64
	s    string
}

func newDecoder(body []byte) (*decoder, error) {
	if len(body) == 0 || body[0] != segmentV1 && body[0] != segmentV2 {
		return nil, errSegment
	}
	b, err := inflate(body[1:])
	if body[0] == segmentV2 {
		return &decoder{rest: b, v2: true}, err
	}
	return &decoder{b: b}, err
}

// more reports whether another entry follows.
func (d *decoder) more() bool {
	for !d.bad && len(d.b) == 0 && len(d.rest) > 0 {
		n, size := binary.Uvarint(d.rest)
		if size <= 0 || n > uint64(len(d.rest)-size) {
			d.fail()
			break
		}
		d.b, d.rest = d.rest[size:size+int(n)], d.rest[size+int(n):]
		d.known, d.before, d.last = nil, nil, 0
	}
	return !d.bad && len(d.b) > 0
}

func (d *decoder) fail() { d.bad, d.b = true, nil }

// raw reads a number as it is.
func (d *decoder) raw() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return n
}

// take takes bytes off.
func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

// next is the word at the next place, and whether it is as in the entry before.
func (d *decoder) next(text bool) (w *said, same bool) {
	if !d.counted {
		d.same, d.counted = d.raw(), true
	}
	if same = d.same > 0; same {
		d.same--
	} else {
		d.counted = false
		if d.place == len(d.before) {
			d.before = append(d.before, said{})
		}
	}
	if d.bad || d.place >= len(d.before) || same && d.before[d.place].text != text {
		d.fail()
		return &said{}, true
	}
	d.place++
	return &d.before[d.place-1], same
}

// end ends an entry.
func (d *decoder) end() {
	if !d.v2 {
		return
	}
	if !d.counted {
		d.same = d.raw()
	}
	if d.same != 0 {
		d.fail()
	}
	d.counted, d.place = false, 0
}

func (d *decoder) uint() uint64 {
	if !d.v2 {
		return d.raw()
	}
	w, same := d.next(false)
	if !same {
		*w = said{n: d.raw()}
	}
	return w.n
}

func (d *decoder) int() int64 { return zagzig(d.uint()) }

// zagzig undoes zigzag.
func zagzig(n uint64) int64 { return int64(n>>1) ^ -int64(n&1) }

// count is how many things follow, each of a byte at least, or of a word as before.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.b)+len(d.before)-d.place) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	if !d.v2 {
		return d.literal()
	}
	w, same := d.next(true)
	if !same {
		*w = said{text: true, s: d.literal()}
	}
	return w.s
}

// literal reads a text that is written.
func (d *decoder) literal() string {
	mark := d.raw()
	if mark >= textKnown {
		if mark -= textKnown; mark >= uint64(len(d.known)) {
			d.fail()
			return ""
		}
		return d.known[mark]
	}
	s := string(d.take(d.raw()))
	if mark == textNew {
		d.known = append(d.known, s)
	}
	return s
}

// id reads what encoder.id wrote.
func (d *decoder) id() string {
	var b [16]byte
	switch d.raw() {
	case idText:
		return string(d.take(d.raw()))
	case idBytes:
		copy(b[:], d.take(16))
	case idNow:
		binary.BigEndian.PutUint64(b[:8], uint64(d.last)<<16)
		copy(b[6:], d.take(10))
	default:
		d.fail()
	}
	return id.Of(Prefix, b)
}

func (d *decoder) entity() policy.Entity { return policy.Entity{Type: d.text(), ID: d.text()} }

func (d *decoder) entry() (*Entry, error) {
	x := &Entry{}
	d.last += zagzig(d.raw())
	x.At = time.UnixMilli(d.last).UTC()
	if d.v2 {
		x.ID = d.id()
	} else {
		x.ID = d.text()
	}
	x.Kind = d.text()
	q := &x.Question
	q.At = x.At
	q.Subject, q.Action, q.Resource = d.entity(), d.text(), d.entity()
	q.SubjectProperties, q.ActionProperties, q.ResourceProperties, q.Context = d.properties(), d.properties(), d.properties(), d.properties()
	flags := d.uint()
	x.Answer.Allowed, x.Masked = flags&1 != 0, flags&2 != 0
	x.Results = int(d.uint())
	x.Revision, x.Refused = d.text(), d.text()
	for _, s := range []*string{&x.Client, &x.Principal, &x.CallerToken, &x.Token, &x.Grant, &x.Session, &x.Application, &x.Request} {
		*s = d.text()
	}
	d.answer(&x.Answer, flags&4 != 0)
	d.end()
	if d.bad {
		return nil, errSegment
	}
	return x, nil
}

func (d *decoder) answer(a *policy.Answer, stepUp bool) {
	a.PolicyHash, a.Revision = d.text(), d.int()
	for range d.count() {
		a.Reasons = append(a.Reasons, policy.Reason{Policy: d.text(), Text: d.text(), Error: d.text()})
	}
	for range d.count() {
		a.Determining = append(a.Determining, d.text())
	}
	if stepUp {
		a.StepUp = &policy.StepUp{ACR: d.text(), MaxAge: time.Duration(d.int())}
	}
	for range d.count() {
		a.Path = append(a.Path, policy.Step{Subject: d.entity(), Relation: d.text(), Object: d.entity(), Expires: d.int()})
	}
}

func (d *decoder) properties() policy.Properties {
	n := d.count()
	if n == 0 {
		return nil
	}
	p := make(policy.Properties, n)
	for range n {
		name := d.text()
		p[name] = d.value()
	}
	return p
}

// Hidden stands where a value was masked.
const Hidden = "[masked]"

func (d *decoder) value() any {
	switch d.uint() {
	case valueFalse:
		return false
	case valueTrue:
		return true
	case valueText:
		return d.text()
	case valueNumber:
		return json.Number(d.text())
	case valueTime:
		return time.UnixMilli(d.int()).UTC()
	case valueList:
		n := d.count()
		all := make([]any, 0, n)
		for range n {
			all = append(all, d.value())
		}
		return all
	case valueObject:
		p := d.properties()
		if p == nil {
			p = policy.Properties{}
		}
		return map[string]any(p)
	case valueMasked:
		return Hidden
	case valueNull:
		return nil
	}
	d.fail()
	return nil
}
