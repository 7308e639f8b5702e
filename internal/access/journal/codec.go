package journal

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// A segment is a version byte and then deflated entries. Texts are written once
// and then named by number: decisions of one moment share most of what they say,
// so that an entry comes to some thirty bytes before it is compressed.
const segmentV1 = 1

// Marks before a text. Higher numbers name one that came before.
const (
	textNew   = 0 // comes again, perhaps: it gets the next number
	textPlain = 1 // too long to be remembered
	textKnown = 2
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

type encoder struct {
	b      []byte
	known  map[string]uint64
	before []knownText // in the order of the entry before, which mostly says the same
	place  int
	last   int64 // milliseconds of the entry before
	mask   string
	masks  []string // in mask
	masked bool
	plain  int // texts that were written out
	said   [4]said
}

// said is what an entry said in one of its parts. Where only numbers of texts were
// written for it, they can be written again.
type said struct {
	where                    uintptr // no entry changes, and all stay until the segment is written
	start, end, first, texts int
	masked                   bool
}

type knownText struct {
	text   string
	number uint64
}

func newEncoder() *encoder { return &encoder{known: make(map[string]uint64, 256)} }

// What an encoder keeps of its memory for the next segment, as long as that is needed.
const (
	leastKept     = 1 << 16 // bytes
	mostKept      = 1 << 22
	mostKeptTexts = 1 << 12
)

// reset makes ready for another segment. Nothing of the one before stays.
func (e *encoder) reset() {
	if room := cap(e.b); room > mostKept || room > leastKept && len(e.b) < room/8 {
		e.b = nil
	}
	e.b, e.last, e.place, e.said = e.b[:0], 0, 0, [4]said{}
	if len(e.known) > mostKeptTexts {
		e.known = make(map[string]uint64, 256)
	}
	clear(e.known)
	clear(e.before)
	e.before = e.before[:0]
}

func (e *encoder) uint(n uint64) {
	if n < 0x80 {
		e.b = append(e.b, byte(n))
		return
	}
	e.b = binary.AppendUvarint(e.b, n)
}
func (e *encoder) int(n int64) { e.b = binary.AppendVarint(e.b, n) }

func (e *encoder) text(s string) {
	place := e.place
	if e.place++; place == len(e.before) {
		e.before = append(e.before, knownText{})
	} else if b := &e.before[place]; b.number >= textKnown && b.text == s {
		e.uint(b.number)
		return
	}
	if n, ok := e.known[s]; ok {
		e.before[place] = knownText{s, n + textKnown}
		e.uint(n + textKnown)
		return
	}
	mark := uint64(textPlain)
	if len(s) <= longestKnown && len(e.known) < mostKnown {
		mark = textNew
		e.known[s] = uint64(len(e.known))
	}
	e.once(mark, s)
}

// once writes a text that will not come again.
func (e *encoder) once(mark uint64, s string) {
	e.plain++
	e.uint(mark)
	e.uint(uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) entity(x policy.Entity) {
	e.text(x.Type)
	e.text(x.ID)
}

// entry writes an entry, without what is masked: names such as context.ip.
func (e *encoder) entry(x *Entry, masks string) {
	e.masked, e.place = false, 0
	if masks != e.mask {
		e.mask, e.masks, e.said = masks, strings.Fields(masks), [4]said{}
	}
	at := x.At.UnixMilli()
	e.int(at - e.last)
	e.last = at
	e.once(textPlain, x.ID)
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
	for i, set := range []bool{x.Answer.Allowed, e.masked, x.Answer.StepUp != nil} {
		if set {
			flags |= 1 << i
		}
	}
	e.uint(flags)
	e.uint(uint64(x.Results))
	e.text(x.Revision)
	e.text(x.Refused)
	for _, s := range []string{x.Client, x.Principal, x.CallerToken, x.Token, x.Grant, x.Session, x.Application} {
		e.text(s)
	}
	e.once(textPlain, x.Request)
	e.answer(&x.Answer)
}

func (e *encoder) answer(a *policy.Answer) {
	e.text(a.PolicyHash)
	e.int(a.Revision)
	e.uint(uint64(len(a.Reasons)))
	for _, r := range a.Reasons {
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
	for _, t := range a.Path {
		e.entity(t.Subject)
		e.text(t.Relation)
		e.entity(t.Object)
		e.int(t.Expires)
	}
}

// part writes one of the four that callers fill. Those of a batch are mostly the
// very same, and then so is what is written.
func (e *encoder) part(i int, at string, p policy.Properties) {
	if len(p) == 0 {
		e.uint(0)
		return
	}
	s, where := &e.said[i], reflect.ValueOf(p).Pointer()
	if s.where == where && s.first == e.place {
		e.b = append(e.b, e.b[s.start:s.end]...)
		e.place += s.texts
		e.masked = e.masked || s.masked
		return
	}
	start, first, plain, masked := len(e.b), e.place, e.plain, e.masked
	e.masked = false
	e.properties(at, p)
	if *s = (said{}); e.plain == plain {
		*s = said{where, start, len(e.b), first, e.place - first, e.masked}
	}
	e.masked = e.masked || masked
}

func (e *encoder) properties(at string, p policy.Properties) {
	e.uint(uint64(len(p)))
	e.members(at, p)
}

func (e *encoder) members(at string, p map[string]any) {
	for name, v := range p {
		e.text(name)
		if len(e.masks) == 0 {
			e.value("", v)
			continue
		}
		if path := at + "." + name; slices.Contains(e.masks, path) {
			e.masked = true
			e.uint(valueMasked)
		} else {
			e.value(path, v)
		}
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

// deflate packs what was encoded.
func deflate(b []byte, w *flate.Writer) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(b)/3 + 64)
	out.WriteByte(segmentV1)
	w.Reset(&out)
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

var errSegment = errors.New("journal: a segment cannot be read")

// inflate unpacks what deflate packed.
func inflate(body []byte) ([]byte, error) {
	if len(body) == 0 || body[0] != segmentV1 {
		return nil, errSegment
	}
	r := flate.NewReader(bytes.NewReader(body[1:]))
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, 1<<30))
}

// decoder reads what encoder wrote. After the first error it reads zeros.
type decoder struct {
	b     []byte
	known []string
	last  int64
	bad   bool
}

func newDecoder(body []byte) (*decoder, error) {
	b, err := inflate(body)
	return &decoder{b: b}, err
}

func (d *decoder) more() bool { return !d.bad && len(d.b) > 0 }

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[size:]
	return n
}

// count is how many things follow, each of at least one byte.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	mark := d.uint()
	if mark >= textKnown {
		if mark -= textKnown; mark >= uint64(len(d.known)) {
			d.bad, d.b = true, nil
			return ""
		}
		return d.known[mark]
	}
	n := d.count()
	s := string(d.b[:n])
	d.b = d.b[n:]
	if mark == textNew {
		d.known = append(d.known, s)
	}
	return s
}

func (d *decoder) entity() policy.Entity { return policy.Entity{Type: d.text(), ID: d.text()} }

func (d *decoder) entry() (*Entry, error) {
	x := &Entry{}
	d.last += d.int()
	x.At = time.UnixMilli(d.last).UTC()
	x.ID, x.Kind = d.text(), d.text()
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
	d.bad, d.b = true, nil
	return nil
}
