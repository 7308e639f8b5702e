package agent

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/fault"
)

// The facts of a realm as an agent's documents, below [rootFacts]. Everything is
// named by its key: type, slash, id.
//
//	attributes  by entity: what is known about it
//	member      by entity: what it is in, each with its end in milliseconds, 0: never
//	parent      by entity: what it is inside of, likewise
//	roles       by object, then by subject: the roles that it holds there, likewise
//	principals  by person or group of the directory: its status, and when it ends
//	owner       by principal: whom it belongs to
//
// An object that holds nothing is left out, or, where something was before, empty; a
// role that is gone has an end that has passed.
const (
	docAttributes = "attributes"
	docMember     = graph.Member
	docParent     = graph.Parent
	docRoles      = "roles"
	docPrincipals = "principals"
	docOwner      = "owner"
)

// documents are those of which there is always one, if only an empty one.
var documents = [...]string{docAttributes, docMember, docParent, docRoles, docPrincipals, docOwner}

// Directory is what is known of principals besides their facts.
type Directory struct {
	Entity func(id string) (graph.Entity, bool) // the entity of an id
	Owns   func(e graph.Entity) bool            // whether it is one of the directory's
	Types  map[string]string                    // their types, by the kinds of ids
}

// keyOf names an entity. A type has no slash, so that no two have the same name.
func keyOf(e graph.Entity) string { return e.Type + "/" + e.ID }

// maxData is how long the facts of a realm may be as text: beyond that an agent
// would not take them.
const maxData = 512 << 20

// view writes facts as documents.
type view struct {
	g   *graph.Graph
	dir Directory
}

// principal is what an agent has to know about somebody before it asks for roles.
type principal struct {
	Status string `json:"status"`
	Until  int64  `json:"until"`
}

func (v view) attributes(e graph.Entity) map[string]any {
	all := map[string]any{}
	for name, x := range v.g.Attributes(e) {
		all[name] = x
	}
	return all
}

// principalOf reads it and whom it belongs to, "" if to nobody.
func (v view) principalOf(e graph.Entity) (p principal, owner string, ok bool) {
	if !v.dir.Owns(e) {
		return p, "", false
	}
	for name, x := range v.g.Attributes(e) {
		text, _ := x.(string)
		switch {
		case name == "status":
			p.Status, ok = text, text != ""
		case name == "owner" && text != "":
			if of, known := v.dir.Entity(text); known {
				owner = keyOf(of)
			} else {
				owner = "/" + text // nobody's key, so that nobody speaks for it
			}
		case name == "expires_at" && text != "":
			if until, err := time.Parse(time.RFC3339Nano, text); err == nil {
				p.Until = until.UnixMilli()
			} else {
				p.Until = 1
			}
		}
	}
	return p, owner, ok
}

// inside is what an entity is in by one relation.
func (v view) inside(e graph.Entity, relation string) map[string]int64 {
	all := map[string]int64{}
	for t := range v.g.From(e) {
		if t.Relation == relation {
			all[keyOf(t.Object)] = t.Expires
		}
	}
	return all
}

func structural(relation string) bool { return relation == graph.Member || relation == graph.Parent }

// grants are the roles that are held on an entity, by subject.
func (v view) grants(e graph.Entity) map[string]map[string]int64 {
	all := map[string]map[string]int64{}
	for t := range v.g.To(e) {
		if structural(t.Relation) {
			continue
		}
		k := keyOf(t.Subject)
		if all[k] == nil {
			all[k] = map[string]int64{}
		}
		all[k][t.Relation] = t.Expires
	}
	return all
}

// snapshot writes all documents.
func (v view) snapshot() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	types := v.g.Types()
	for i, doc := range documents {
		b.WriteString([]string{`{"`, `},"`}[min(i, 1)] + doc + `":{`)
		first := true
		for _, typ := range types {
			for e := range v.g.Known(typ, "") {
				x, some := v.part(doc, e)
				if !some {
					continue
				}
				if !first {
					b.WriteByte(',')
				}
				first = false
				if err := encode(enc, &b, keyOf(e)); err != nil {
					return nil, err
				}
				b.WriteByte(':')
				if err := encode(enc, &b, x); err != nil {
					return nil, err
				}
				if b.Len() > maxData {
					return nil, tooMany()
				}
			}
		}
	}
	b.WriteString("}}")
	return b.Bytes(), nil
}

func tooMany() error {
	return fault.New(fault.Unavailable, "facts_too_many", "the facts of the realm are more than %d MiB of text, which agents do not take; ask the decision service instead", maxData>>20)
}

func encode(enc *json.Encoder, b *bytes.Buffer, v any) error {
	err := enc.Encode(v)
	b.Truncate(b.Len() - 1)
	return err
}

// part is what a document says of an entity, and whether that is anything.
func (v view) part(doc string, e graph.Entity) (any, bool) {
	switch doc {
	case docAttributes:
		x := v.attributes(e)
		return x, len(x) > 0
	case docMember, docParent:
		x := v.inside(e, doc)
		return x, len(x) > 0
	case docRoles:
		x := v.grants(e)
		return x, len(x) > 0
	}
	p, owner, ok := v.principalOf(e)
	if doc == docOwner {
		return map[string]int64{owner: 0}, ok && owner != ""
	}
	return p, ok
}

// touch is a part of the documents that a change may have changed. One of a role is
// of the object e, with subject and role.
type touch struct {
	doc     string
	e       graph.Entity
	subject graph.Entity
	role    string
}

// touchedBy lists what a change may have changed, before is the state before it, or
// a state before that together with all changes since.
func touchedBy(c graph.Change, before *graph.Graph, all map[touch]bool) {
	tuple := func(t graph.Tuple) {
		if structural(t.Relation) {
			all[touch{doc: t.Relation, e: t.Subject}] = true
		} else {
			all[touch{docRoles, t.Object, t.Subject, t.Relation}] = true
		}
	}
	for _, list := range [][]graph.Tuple{c.Add, c.Remove} {
		for _, t := range list {
			tuple(t)
		}
	}
	for _, list := range [][]graph.Attribute{c.Set, c.Unset} {
		for _, a := range list {
			attributesTouched(a.Entity, all)
		}
	}
	for _, e := range c.Drop {
		attributesTouched(e, all)
		entityTouched(e, before, all)
		for t := range before.To(e) {
			tuple(t)
		}
	}
}

func attributesTouched(e graph.Entity, all map[touch]bool) {
	all[touch{doc: docAttributes, e: e}], all[touch{doc: docPrincipals, e: e}], all[touch{doc: docOwner, e: e}] = true, true, true
}

// entityTouched lists what is said with an entity as the subject.
func entityTouched(e graph.Entity, g *graph.Graph, all map[touch]bool) {
	all[touch{doc: docMember, e: e}], all[touch{doc: docParent, e: e}] = true, true
	for t := range g.From(e) {
		if !structural(t.Relation) {
			all[touch{docRoles, t.Object, e, t.Relation}] = true
		}
	}
}

// patch is one step of a delta bundle.
type patch struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// gone is an end that has passed, for a role that is no longer held.
const gone = 1

// patches says how documents of any state in which only what is touched differs
// become those of now. Nothing is removed, because an agent refuses a whole delta
// for one removal of what it does not have: an empty object stands for none.
func (v view) patches(touched []touch) []patch {
	var out []patch
	upsert := func(value any, path ...string) {
		out = append(out, patch{Op: "upsert", Path: pathOf(path), Value: value})
	}
	for _, t := range touched {
		key := keyOf(t.e)
		switch {
		case t.doc == docRoles:
			ends := int64(gone)
			if now, held := v.g.Has(t.subject, t.role, t.e); held {
				ends = now.Expires
			}
			upsert(ends, docRoles, key, keyOf(t.subject), t.role)
		case (t.doc == docPrincipals || t.doc == docOwner) && !v.dir.Owns(t.e): // never there
		default:
			x, some := v.part(t.doc, t.e)
			if !some {
				x = struct{}{}
			}
			upsert(x, t.doc, key)
		}
	}
	return out
}

// pathOf writes a path below our facts as agents read it: JSON Pointer within the
// encoding of URLs (RFC 6901, section 3).
func pathOf(parts []string) string {
	var b strings.Builder
	b.WriteString("/" + rootFacts)
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(strings.ReplaceAll(strings.ReplaceAll(p, "~", "~0"), "/", "~1")))
	}
	return b.String()
}

// inOrder lists touches as they are first named, each once.
func inOrder(all map[touch]bool) []touch {
	list := make([]touch, 0, len(all))
	for t := range all {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b touch) int {
		return strings.Compare(a.doc+"\x00"+keyOf(a.e)+"\x00"+keyOf(a.subject)+"\x00"+a.role, b.doc+"\x00"+keyOf(b.e)+"\x00"+keyOf(b.subject)+"\x00"+b.role)
	})
	return list
}
