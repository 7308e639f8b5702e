package authzen

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/fault"
)

// Bounds of what is read. Whatever exceeds them is refused where it is met,
// before anything is evaluated.
const (
	maxOne      = 128 << 10 // bytes of one question
	maxMany     = 1 << 20   // bytes of a batch
	maxWeight   = 8 << 20   // bytes of its questions, each with what it shares
	maxDepth    = 20        // objects and arrays in one another
	maxValues   = 50_000    // JSON values in one body
	maxMembers  = 500       // of one object of a caller's own
	maxName     = 1024      // bytes of a type, an id or a name
	maxTogether = 1000      // questions in a batch
)

// scanner reads JSON in one pass, without reflection, into what questions are
// made of. It takes less than encoding/json and costs a fraction: a name twice in
// one object, text that is not UTF-8 and half a surrogate pair are refused, since
// two readers could take them for two questions. Numbers stay as they are
// written. Strings without escapes share the body's memory.
//
// The first error stays: after it, every method returns at once and says nothing.
type scanner struct {
	s      string
	i      int
	depth  int
	values int
	err    error
	before said

	objects *objects
}

// objects are what objects of callers are read into, and used again: those that are
// there, and those of the body at hand.
type objects struct{ spare, used []policy.Properties }

// What is kept for the next body: so many objects of so few members.
const (
	mostKeptObjects = 32
	mostKeptMembers = 8
)

func (o *objects) take() policy.Properties {
	var p policy.Properties
	if last := len(o.spare) - 1; last >= 0 {
		p = o.spare[last]
		o.spare = o.spare[:last]
	} else {
		p = policy.Properties{}
	}
	o.used = append(o.used, p)
	return p
}

// reset empties what was used. Nobody may hold it any more.
func (o *objects) reset() {
	for _, p := range o.used {
		if len(p) <= mostKeptMembers && len(o.spare) < mostKeptObjects {
			clear(p)
			o.spare = append(o.spare, p)
		}
	}
	clear(o.used)
	if o.used = o.used[:0]; cap(o.used) > mostKeptObjects {
		o.used = nil
	}
}

// said is an object of properties that was read, and how it was written.
type said struct {
	text          string
	depth, values int
	properties    policy.Properties
}

// newScanner returns a scanner of a body that is one JSON value.
func newScanner(body string) scanner {
	c := scanner{s: body}
	if !utf8.ValidString(body) {
		c.fail("it is not UTF-8")
	}
	return c
}

func (c *scanner) fail(format string, args ...any) {
	if c.err == nil {
		f := fault.New(fault.Invalid, "invalid_json", format, args...)
		f.Detail = "the JSON cannot be read: " + f.Detail
		c.err = f
	}
}

func (c *scanner) malformed() { c.fail("it is malformed at byte %d", min(c.i, len(c.s))) }

// peek is the next byte that is no space, or 0 at the end.
func (c *scanner) peek() byte {
	for c.i < len(c.s) {
		switch b := c.s[c.i]; b {
		case ' ', '\t', '\n', '\r':
			c.i++
		default:
			return b
		}
	}
	return 0
}

// end makes sure that nothing follows.
func (c *scanner) end() {
	if c.err == nil && c.peek() != 0 || c.i < len(c.s) && c.err == nil {
		c.fail("something follows the first value")
	}
}

// open enters an object or array.
func (c *scanner) open() {
	c.i++
	c.depth++
	c.count()
	if c.depth > maxDepth {
		c.fail("it is more than %d levels deep", maxDepth)
	}
}

func (c *scanner) count() {
	if c.values++; c.values > maxValues {
		c.fail("it has more than %d values", maxValues)
	}
}

// member goes to the next member of the open object: it returns its name and
// stands before its value, or leaves the object and returns false. n is how
// many came before.
func (c *scanner) member(n int) (name string, more bool) {
	if c.err != nil || !c.another(n, '}') {
		return "", false
	}
	if c.peek() != '"' {
		c.malformed()
		return "", false
	}
	name = c.text()
	if c.peek() != ':' {
		c.malformed()
		return "", false
	}
	c.i++
	return name, c.err == nil
}

// another goes to the next element of the open object or array, or leaves it.
func (c *scanner) another(n int, closing byte) bool {
	if c.err != nil {
		return false
	}
	b := c.peek()
	if b == closing {
		c.i++
		c.depth--
		return false
	}
	if n > 0 {
		if b != ',' {
			c.malformed()
			return false
		}
		c.i++
		if c.peek() == closing {
			c.malformed()
			return false
		}
	}
	return true
}

// text reads the string that the scanner stands before.
func (c *scanner) text() string {
	c.i++
	start := c.i
	for c.i < len(c.s) {
		switch b := c.s[c.i]; {
		case b == '"':
			c.i++
			return c.s[start : c.i-1]
		case b == '\\':
			return c.escaped(start)
		case b < 0x20:
			c.malformed()
			return ""
		}
		c.i++
	}
	c.malformed()
	return ""
}

// escaped reads on from the first escape of a string.
func (c *scanner) escaped(start int) string {
	var b strings.Builder
	b.WriteString(c.s[start:c.i])
	for c.i < len(c.s) {
		switch x := c.s[c.i]; {
		case x == '"':
			c.i++
			return b.String()
		case x < 0x20:
			c.malformed()
			return ""
		case x != '\\':
			b.WriteByte(x)
			c.i++
		case c.i+1 >= len(c.s):
			c.i++
		case c.s[c.i+1] == 'u':
			r, ok := c.rune()
			if !ok {
				c.malformed()
				return ""
			}
			b.WriteRune(r)
		default:
			at := strings.IndexByte(`"\/bfnrt`, c.s[c.i+1])
			if at < 0 {
				c.malformed()
				return ""
			}
			b.WriteByte("\"\\/\b\f\n\r\t"[at])
			c.i += 2
		}
	}
	c.malformed()
	return ""
}

// rune reads \uXXXX, and the second half of a surrogate pair with it. Half a
// pair names no character.
func (c *scanner) rune() (rune, bool) {
	unit := func() (rune, bool) {
		if c.i+6 > len(c.s) || c.s[c.i] != '\\' || c.s[c.i+1] != 'u' {
			return 0, false
		}
		for _, x := range []byte(c.s[c.i+2 : c.i+6]) {
			if !(x >= '0' && x <= '9' || x >= 'a' && x <= 'f' || x >= 'A' && x <= 'F') {
				return 0, false
			}
		}
		n, err := strconv.ParseUint(c.s[c.i+2:c.i+6], 16, 32)
		c.i += 6
		return rune(n), err == nil
	}
	r, ok := unit()
	switch {
	case !ok || r >= 0xdc00 && r < 0xe000:
		return 0, false
	case r < 0xd800 || r >= 0xe000:
		return r, true
	}
	low, ok := unit()
	if !ok || low < 0xdc00 || low >= 0xe000 {
		return 0, false
	}
	return 0x10000 + (r-0xd800)<<10 + (low - 0xdc00), true
}

// number reads a number as it is written.
func (c *scanner) number() json.Number {
	start := c.i
	digits := func() bool {
		from := c.i
		for c.i < len(c.s) && c.s[c.i] >= '0' && c.s[c.i] <= '9' {
			c.i++
		}
		return c.i > from
	}
	at := func(chars string) bool {
		if c.i < len(c.s) && strings.IndexByte(chars, c.s[c.i]) >= 0 {
			c.i++
			return true
		}
		return false
	}
	at("-")
	zero := c.i < len(c.s) && c.s[c.i] == '0'
	whole := c.i
	good := digits() && !(zero && c.i-whole > 1)
	if good && at(".") {
		good = digits()
	}
	if good && at("eE") {
		at("+-")
		good = digits()
	}
	if !good || c.i-start > 64 {
		c.malformed()
		return ""
	}
	return json.Number(c.s[start:c.i])
}

// value reads any value.
func (c *scanner) value() any {
	if c.err != nil {
		return nil
	}
	b := c.peek()
	if b != '{' && b != '[' {
		c.count()
	}
	switch {
	case b == '"':
		return c.text()
	case b == '{':
		return map[string]any(c.properties())
	case b == '[':
		return c.list()
	case b == '-' || b >= '0' && b <= '9':
		return c.number()
	case c.word("true"):
		return true
	case c.word("false"):
		return false
	case c.word("null"):
		return nil
	}
	c.malformed()
	return nil
}

func (c *scanner) word(w string) bool {
	if !strings.HasPrefix(c.s[c.i:], w) {
		return false
	}
	c.i += len(w)
	return true
}

func (c *scanner) list() []any {
	all := []any{}
	c.open()
	for c.another(len(all), ']') {
		all = append(all, c.value())
	}
	return all
}

// properties reads an object of the caller's own.
func (c *scanner) properties() policy.Properties {
	p := c.objects.take()
	c.open()
	for {
		name, more := c.member(len(p))
		if !more {
			return p
		}
		if len(p) == maxMembers {
			c.fail("an object has more than %d members", maxMembers)
			return p
		}
		before := len(p)
		if p[name] = c.value(); len(p) == before {
			c.twice(name)
			return p
		}
	}
}

// shared is properties for those that nobody changes: written the same as those
// before, as they often are in a batch, they are the same.
func (c *scanner) shared() policy.Properties {
	if b := &c.before; b.text != "" && b.depth == c.depth && c.values+b.values <= maxValues && strings.HasPrefix(c.s[c.i:], b.text) {
		c.i += len(b.text)
		c.values += b.values
		return b.properties
	}
	start, values := c.i, c.values
	p := c.properties()
	if c.err == nil {
		c.before = said{c.s[start:c.i], c.depth, c.values - values, p}
	}
	return p
}

func (c *scanner) twice(name string) {
	if len(name) > 64 {
		name = strings.ToValidUTF8(name[:64], "") + "…"
	}
	c.fail("key %q is there more than once", name)
}
