package authzen

import (
	"encoding/json"
	"strconv"

	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/fault"
)

// part is a subject, an action or a resource as it was sent.
type part struct {
	sent       bool
	kind, id   string // id is the name of an action
	kindSent   bool
	idSent     bool
	properties policy.Properties
	wrong      string // what cannot be taken for one, "" if nothing
	wrongID    string // the same, of id
	size       int    // bytes it was sent in
}

// asked is one question as it was sent: whole, an item of a batch, or the
// defaults of one.
type asked struct {
	subject, action, resource part
	context                   policy.Properties
	contextSent               bool
	contextSize               int    // bytes it was sent in
	token                     string // what context names as tokenMember, taken out of it
	wrong                     string // what is wrong with it besides its parts
}

// tokenMember is the member of a context in which a caller sends the access token
// of the person it asks about. It is taken out before anything else sees it.
const tokenMember = "access_token"

// body is what a request may hold.
type body struct {
	asked
	items     []asked
	itemsSent bool
	semantic  string
	optioned  bool
	page      page
	pageSent  bool
	table     policy.Properties // of a residual; nil: none was sent
	wrong     string
	objects   objects
}

// reset forgets everything but the memory that items take.
func (b *body) reset() {
	items := b.items[:0]
	clear(b.items)
	if cap(items) > mostKeptItems {
		items = nil
	}
	b.objects.reset()
	*b = body{items: items, objects: b.objects}
}

// mostKeptItems is for how many items a body keeps memory for the next.
const mostKeptItems = 128

// page is which part of a search's results is asked for.
type page struct {
	token string
	limit int // 0: as many as the service likes
}

// read reads a request's body into an empty one. What is no JSON is an error; what is JSON of
// another shape than it should have is noted where it was found, since one item
// of a batch can be wrong without the others. Unknown names are passed over, and
// held to be JSON all the same.
func (b *body) read(text string) error {
	c := newScanner(text)
	c.objects = &b.objects
	if c.err == nil && c.peek() != '{' {
		if c.i == len(text) {
			return invalid("the body is empty")
		}
		c.value()
		c.end()
		if c.err != nil {
			return c.err
		}
		return invalid("the body must be a JSON object")
	}
	c.open()
	for n := 0; ; n++ {
		name, more := c.member(n)
		if !more {
			break
		}
		switch name {
		case "evaluations":
			c.items(b)
		case "options":
			c.options(b)
		case "page":
			c.page(b)
		case "table":
			c.table(b)
		default:
			b.asked.take(&c, name)
		}
	}
	c.end()
	if c.err == nil && b.weight() > maxWeight {
		return invalid("what the evaluations share counts for each of them, and with it they have more than %d bytes; send several batches", maxWeight)
	}
	return c.err
}

// take reads the member that is called name, if it is one of a question.
func (a *asked) take(c *scanner, name string) {
	switch name {
	case "subject":
		a.subject.read(c, "subject", "id")
	case "action":
		a.action.read(c, "action", "name")
	case "resource":
		a.resource.read(c, "resource", "id")
	case "context":
		if a.contextSent {
			c.twice(name)
			return
		}
		a.contextSent = true
		if c.peek() != '{' {
			c.value()
			a.wrong = "context must be an object"
			return
		}
		start := c.i
		a.context = c.properties()
		a.contextSize = c.i - start
		if token, sent := a.context[tokenMember]; sent {
			delete(a.context, tokenMember)
			text, ok := token.(string)
			if a.token = text; !ok || text == "" {
				a.wrong = "context." + tokenMember + " must be a string"
			}
		}
	default:
		c.value()
	}
}

// read reads a subject, action or resource, whose identity is in the member id.
func (p *part) read(c *scanner, what, id string) {
	if p.sent {
		c.twice(what)
		return
	}
	p.sent = true
	if c.peek() != '{' {
		c.value()
		p.wrong = what + " must be an object"
		return
	}
	start := c.i
	defer func() { p.size = c.i - start }()
	c.open()
	properties := false
	for n := 0; ; n++ {
		name, more := c.member(n)
		if !more {
			return
		}
		switch {
		case name == "type" && id != "name":
			if p.kindSent {
				c.twice(name)
				return
			}
			p.kindSent = true
			p.kind = word(c, what, "type", &p.wrong)
		case name == id:
			if p.idSent {
				c.twice(name)
				return
			}
			p.idSent = true
			p.id = word(c, what, id, &p.wrongID)
		case name == "properties":
			if properties {
				c.twice(name)
				return
			}
			properties = true
			if c.peek() != '{' {
				c.value()
				p.wrong = what + ".properties must be an object"
				continue
			}
			p.properties = c.shared()
		default:
			c.value()
		}
	}
}

// word reads a string that names something: a member of what.
func word(c *scanner, what, member string, wrong *string) string {
	if c.peek() != '"' {
		c.value()
		*wrong = what + "." + member + " must be a string"
		return ""
	}
	c.count()
	text := c.text()
	switch {
	case text == "":
		*wrong = what + "." + member + " is empty"
	case len(text) > maxName:
		*wrong = what + "." + member + " is longer than " + strconv.Itoa(maxName) + " bytes"
	}
	return text
}

func (c *scanner) items(b *body) {
	if b.itemsSent {
		c.twice("evaluations")
		return
	}
	b.itemsSent = true
	if c.peek() != '[' {
		c.value()
		b.wrong = "evaluations must be an array"
		return
	}
	c.open()
	for c.another(len(b.items), ']') {
		if len(b.items) == maxTogether {
			c.fail("evaluations has more than %d items", maxTogether)
			return
		}
		b.items = append(b.items, asked{})
		item := &b.items[len(b.items)-1]
		if c.peek() != '{' {
			c.value()
			item.wrong = "an evaluation must be an object"
			continue
		}
		c.open()
		for n := 0; ; n++ {
			name, more := c.member(n)
			if !more {
				break
			}
			item.take(c, name)
		}
	}
}

func (c *scanner) options(b *body) {
	if b.optioned {
		c.twice("options")
		return
	}
	b.optioned = true
	if c.peek() != '{' {
		c.value()
		b.wrong = "options must be an object"
		return
	}
	options := c.properties()
	value, sent := options["evaluations_semantic"]
	if !sent {
		return
	}
	text, ok := value.(string)
	if b.semantic = text; !ok || text != executeAll && text != denyOnFirstDeny && text != permitOnFirstPermit {
		b.wrong = "options.evaluations_semantic must be " + executeAll + ", " + denyOnFirstDeny + " or " + permitOnFirstPermit
	}
}

func (c *scanner) table(b *body) {
	if b.table != nil {
		c.twice("table")
		return
	}
	if b.table = (policy.Properties{}); c.peek() != '{' {
		c.value()
		b.wrong = "table must be an object"
		return
	}
	b.table = c.properties()
}

func (c *scanner) page(b *body) {
	if b.pageSent {
		c.twice("page")
		return
	}
	b.pageSent = true
	if c.peek() != '{' {
		c.value()
		b.wrong = "page must be an object"
		return
	}
	sent := c.properties()
	if value, ok := sent["token"]; ok {
		text, isText := value.(string)
		if b.page.token = text; !isText {
			b.wrong = "page.token must be a string"
		}
	}
	if value, ok := sent["limit"]; ok {
		n, whole := wholeNumber(value)
		if b.page.limit = n; !whole || n < 0 {
			b.wrong = "page.limit must be a whole number, and not negative"
		}
	}
}

// inherit gives the item the defaults of its batch: whole objects are replaced,
// never merged.
func (a *asked) inherit(defaults *asked) {
	if !a.subject.sent {
		a.subject = defaults.subject
	}
	if !a.action.sent {
		a.action = defaults.action
	}
	if !a.resource.sent {
		a.resource = defaults.resource
	}
	if !a.contextSent {
		a.context, a.contextSent, a.contextSize, a.token = defaults.context, defaults.contextSent, defaults.contextSize, defaults.token
		if a.wrong == "" {
			a.wrong = defaults.wrong
		}
	}
}

// shares reports whether an item takes all but its resource from its batch.
func (a *asked) shares() bool { return !a.subject.sent && !a.action.sent && !a.contextSent }

// size is how many bytes a question was sent in, what it shares with others
// included.
func (a *asked) size() int { return a.subject.size + a.action.size + a.resource.size + a.contextSize }

// weight is what a batch comes to once every question has its defaults: each is
// judged and written down by itself.
func (b *body) weight() (n int) {
	for i := range b.items {
		item := &b.items[i]
		n += item.size()
		if !item.subject.sent {
			n += b.subject.size
		}
		if !item.action.sent {
			n += b.action.size
		}
		if !item.resource.sent {
			n += b.resource.size
		}
		if !item.contextSent {
			n += b.contextSize
		}
	}
	return n
}

// sought is what a search leaves open.
type sought int

const (
	nothing sought = iota
	subjects
	resources
	actions
)

// problem says what is wrong with a question that leaves open what is sought,
// or "".
func (a *asked) problem(open sought) string {
	if a.wrong != "" {
		return a.wrong
	}
	if p := a.subject.problem("subject", "id", open != subjects); p != "" {
		return p
	}
	if open != actions {
		if p := a.action.problem("action", "name", true); p != "" {
			return p
		}
	}
	return a.resource.problem("resource", "id", open != resources)
}

// problem of a part; whole says that its id counts.
func (p *part) problem(what, id string, whole bool) string {
	switch {
	case !p.sent:
		return what + " is missing"
	case p.wrong != "":
		return p.wrong
	case id != "name" && !p.kindSent:
		return what + ".type is missing"
	case whole && !p.idSent:
		return what + "." + id + " is missing"
	case whole:
		return p.wrongID
	}
	return ""
}

// question is what is asked, without what the service adds.
func (a *asked) question() policy.Question {
	return policy.Question{
		Subject:  policy.Entity{Type: a.subject.kind, ID: a.subject.id},
		Resource: a.of(),
		Action:   a.action.id, SubjectProperties: a.subject.properties, ActionProperties: a.action.properties,
		ResourceProperties: a.resource.properties, Context: a.context,
	}
}

func (a *asked) of() policy.Entity { return policy.Entity{Type: a.resource.kind, ID: a.resource.id} }

func invalid(format string, args ...any) error {
	return fault.New(fault.Invalid, "invalid_request", format, args...)
}

// wholeNumber is a JSON number that is a whole one of ordinary size.
func wholeNumber(v any) (int, bool) {
	text, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(string(text), 10, 32)
	return int(n), err == nil
}
