package jose

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep JSON in a token may nest, the outermost object included.
const MaxDepth = 16

// Member is one name and value of a JSON object. Raw is the value as written.
type Member struct {
	Name string
	Raw  []byte
}

// Object is a JSON object read strictly: names are compared exactly (never by
// case folding as encoding/json does), a name that occurs twice anywhere inside
// is an error, as are invalid UTF-8, lone surrogates, nesting deeper than
// MaxDepth and anything after the closing brace.
type Object struct{ members []Member }

// ParseObject reads data, which must be one JSON object. The result refers to
// data, which must not change afterwards.
func ParseObject(data []byte) (Object, error) {
	s := scanner{data: data}
	s.space()
	if s.peek() != '{' {
		return Object{}, bad(ErrMalformed, "not a JSON object")
	}
	var o Object
	if err := s.object(1, &o.members); err != nil {
		return Object{}, err
	}
	s.space()
	if s.pos != len(data) {
		return Object{}, bad(ErrMalformed, "data after the JSON object")
	}
	return o, nil
}

// Members returns the members in the order written.
func (o Object) Members() []Member { return o.members }

// Raw returns the value of a member as written, and whether it is there.
func (o Object) Raw(name string) ([]byte, bool) {
	for i := range o.members {
		if o.members[i].Name == name {
			return o.members[i].Raw, true
		}
	}
	return nil, false
}

// Has reports whether the object has a member of that name.
func (o Object) Has(name string) bool { _, ok := o.Raw(name); return ok }

// String returns the text of a member, "" if it is absent, and an error if it
// is anything but a string.
func (o Object) String(name string) (string, error) {
	raw, ok := o.Raw(name)
	if !ok {
		return "", nil
	}
	if raw[0] != '"' {
		return "", bad(ErrClaim, "%s is not a string", name)
	}
	return unquote(raw), nil
}

// Object returns the members of a member that is itself an object; none if absent.
func (o Object) Object(name string) (Object, error) {
	raw, ok := o.Raw(name)
	if !ok {
		return Object{}, nil
	}
	if raw[0] != '{' {
		return Object{}, bad(ErrClaim, "%s is not an object", name)
	}
	return ParseObject(raw)
}

// Decode unmarshals a member into v and leaves v alone if the member is absent.
func (o Object) Decode(name string, v any) error {
	raw, ok := o.Raw(name)
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return bad(ErrClaim, "%s has the wrong shape", name)
	}
	return nil
}

// scanner walks JSON text once, checking all that Object promises.
type scanner struct {
	data []byte
	pos  int
}

func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) value(depth int) error {
	switch c := s.peek(); {
	case c == '{':
		return s.object(depth+1, nil)
	case c == '[':
		return s.array(depth + 1)
	case c == '"':
		return s.text()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	}
	return bad(ErrMalformed, "JSON value expected at byte %d", s.pos)
}

// object reads an object that starts here. It hands its members to out unless
// that is nil; the names are checked either way.
func (s *scanner) object(depth int, out *[]Member) error {
	if depth > MaxDepth {
		return bad(ErrMalformed, "JSON nests deeper than %d", MaxDepth)
	}
	s.pos++
	s.space()
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	var seen names
	for {
		if s.peek() != '"' {
			return bad(ErrMalformed, "JSON name expected at byte %d", s.pos)
		}
		start := s.pos
		if err := s.text(); err != nil {
			return err
		}
		name := unquote(s.data[start:s.pos])
		if !seen.add(name) {
			return bad(ErrMalformed, "JSON name %.40q occurs twice", name)
		}
		s.space()
		if s.peek() != ':' {
			return bad(ErrMalformed, "colon expected at byte %d", s.pos)
		}
		s.pos++
		s.space()
		start = s.pos
		if err := s.value(depth); err != nil {
			return err
		}
		if out != nil {
			*out = append(*out, Member{name, s.data[start:s.pos:s.pos]})
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
			s.space()
		case '}':
			s.pos++
			return nil
		default:
			return bad(ErrMalformed, "comma or brace expected at byte %d", s.pos)
		}
	}
}

func (s *scanner) array(depth int) error {
	if depth > MaxDepth {
		return bad(ErrMalformed, "JSON nests deeper than %d", MaxDepth)
	}
	s.pos++
	s.space()
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for {
		if err := s.value(depth); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
			s.space()
		case ']':
			s.pos++
			return nil
		default:
			return bad(ErrMalformed, "comma or bracket expected at byte %d", s.pos)
		}
	}
}

func (s *scanner) word(w string) error {
	if !strings.HasPrefix(string(s.data[s.pos:min(len(s.data), s.pos+len(w))]), w) {
		return bad(ErrMalformed, "JSON value expected at byte %d", s.pos)
	}
	s.pos += len(w)
	return nil
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return bad(ErrMalformed, "digit expected at byte %d", s.pos)
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return bad(ErrMalformed, "digit expected at byte %d", s.pos)
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return bad(ErrMalformed, "digit expected at byte %d", s.pos)
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos > start
}

// text reads a string that starts here, quotes included.
func (s *scanner) text() error {
	s.pos++
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		case c < 0x20:
			return bad(ErrMalformed, "control character in a string at byte %d", s.pos)
		case c < utf8.RuneSelf:
			s.pos++
		default:
			r, n := utf8.DecodeRune(s.data[s.pos:])
			if r == utf8.RuneError && n == 1 {
				return bad(ErrMalformed, "invalid UTF-8 at byte %d", s.pos)
			}
			s.pos += n
		}
	}
	return bad(ErrMalformed, "string without end")
}

func (s *scanner) escape() error {
	s.pos++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos++
		return nil
	case 'u':
		u, ok := s.hex4()
		switch {
		case !ok || u >= 0xDC00 && u <= 0xDFFF:
			return bad(ErrMalformed, "invalid escape at byte %d", s.pos)
		case u < 0xD800 || u > 0xDBFF:
			return nil
		}
		// A high surrogate stands only before a low one: a lone one would be
		// read as U+FFFD and make different names equal.
		if s.peek() == '\\' {
			s.pos++
			if low, ok := s.hex4(); ok && low >= 0xDC00 && low <= 0xDFFF {
				return nil
			}
		}
	}
	return bad(ErrMalformed, "invalid escape at byte %d", s.pos)
}

// hex4 reads the "uXXXX" of an escape.
func (s *scanner) hex4() (rune, bool) {
	if s.pos+5 > len(s.data) || s.data[s.pos] != 'u' {
		return 0, false
	}
	var u rune
	for _, c := range s.data[s.pos+1 : s.pos+5] {
		switch {
		case c >= '0' && c <= '9':
			u = u<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			u = u<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			u = u<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	s.pos += 5
	return u, true
}

// unquote returns the text of a string that the scanner has accepted.
func unquote(raw []byte) string {
	inner := raw[1 : len(raw)-1]
	if !slices.Contains(inner, '\\') {
		return string(inner)
	}
	var text string
	_ = json.Unmarshal(raw, &text) // the scanner has accepted it
	return text
}

// names remembers the names of one object: a list while there are few.
type names struct {
	few  []string
	many map[string]bool
}

func (n *names) add(name string) bool {
	if n.many == nil {
		if slices.Contains(n.few, name) {
			return false
		}
		n.few = append(n.few, name)
		if len(n.few) > 24 {
			n.many = make(map[string]bool, 64)
			for _, f := range n.few {
				n.many[f] = true
			}
		}
		return true
	}
	if n.many[name] {
		return false
	}
	n.many[name] = true
	return true
}
