package journal

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/id"
)

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
