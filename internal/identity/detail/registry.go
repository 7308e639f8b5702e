package detail

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// Bounds of what a realm registers. All of it is held in memory.
const (
	maxTypes     = 100
	maxSchema    = 16 << 10 // bytes
	maxLanguages = 20
)

// Type is a type of authorization details.
type Type struct {
	Name string
	// Schema is the JSON Schema of a detail of this type, its type included.
	Schema string
	// Words are the texts by which people are told what a detail asks for, by
	// language (BCP 47). Members stand in braces: "Pay {amount} to {creditor}".
	Words   map[string]string
	Version int64
	Created time.Time
	Updated time.Time

	deleted   bool
	schema    *jsonschema.Schema
	templates map[string][]part
}

// Registry keeps the types of every realm. They are answered from memory; the
// event log keeps that memory right on every node.
type Registry struct {
	db    *db.DB
	types *cache.Cache[[]*Type]
}

// New returns the registry. Call it before the log is started.
func New(d *db.DB, log *audit.Log) *Registry {
	r := &Registry{db: d, types: cache.New("authorization detail types", 32<<20, 8<<20, size)}
	log.Follow("authorization detail types", func(e audit.Record) {
		switch {
		case strings.HasPrefix(e.Action, "authorization_detail_type."):
			r.types.DropRealm(e.Realm)
		case e.Action == "realm.delete":
			r.types.DropRealm(e.Target)
		}
	}, r.types.DropAll)
	return r
}

// size is about what a realm's types take in memory: a schema grows when it is
// compiled.
func size(types []*Type) int {
	n := 64
	for _, t := range types {
		n += 1024 + 10*len(t.Schema)
		for _, text := range t.Words {
			n += 64 + 2*len(text)
		}
	}
	return n
}

// Types are all of a realm, by name. They are shared: do not change them.
func (r *Registry) Types(ctx context.Context, realm string) ([]*Type, error) {
	return r.types.Get(realm, "", func() (types []*Type, err error) {
		err = r.db.View(ctx, realm, func(tx *db.Tx) error {
			types, err = all(tx)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, t := range types {
			if err := t.read(); err != nil {
				return nil, fmt.Errorf("authorization detail type %q: %w", t.Name, err)
			}
		}
		return types, nil
	})
}

// ByName finds a type, or is fault.NotFound.
func (r *Registry) ByName(ctx context.Context, realm, name string) (*Type, error) {
	types, err := r.Types(ctx, realm)
	if err != nil {
		return nil, err
	}
	if t := find(types, name); t != nil {
		return t, nil
	}
	return nil, unknown(name)
}

func find(types []*Type, name string) *Type {
	i := slices.IndexFunc(types, func(t *Type) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return types[i]
}

// Put registers a type or replaces it. With a version other than zero it is
// fault.Precondition when the type has changed since, or is not there.
func (r *Registry) Put(ctx context.Context, by audit.Actor, realm string, version int64, t Type) (put *Type, err error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	err = r.db.Update(ctx, realm, func(tx *db.Tx) error {
		put, err = r.put(tx, by, version, t)
		return err
	})
	return put, err
}

func (r *Registry) put(tx *db.Tx, by audit.Actor, version int64, t Type) (*Type, error) {
	old, err := one(tx, t.Name)
	if err != nil && !db.Missing(err) {
		return nil, err
	}
	there := old != nil && !old.deleted
	if version != 0 && (!there || old.Version != version) {
		return nil, changed(t.Name)
	}
	if !there {
		if err := room(tx); err != nil {
			return nil, err
		}
	}
	t.Version, t.Created, t.Updated = 1, tx.Now, tx.Now
	if old == nil {
		err = insert(tx, &t)
	} else {
		if t.Version = old.Version + 1; there {
			t.Created = old.Created
		}
		err = update(tx, &t)
	}
	if err != nil {
		return nil, err
	}
	audit.Append(tx, by, audit.Event{Action: "authorization_detail_type.put", TargetType: "authorization_detail_type", Target: t.Name, Invalidates: true,
		Data: map[string]any{"version": t.Version}})
	return &t, nil
}

// room refuses one type more than a realm has at most.
func room(tx *db.Tx) error {
	n, err := count(tx)
	if err == nil && n >= maxTypes {
		return fault.New(fault.Conflict, "authorization_detail_types_full", "a realm has at most %d types of authorization details", maxTypes)
	}
	return err
}

// Delete ends a type. Grants keep the details they have; no request gets one of
// the type any more. What is gone already is gone; what never was is fault.NotFound.
func (r *Registry) Delete(ctx context.Context, by audit.Actor, realm, name string) error {
	return r.db.Update(ctx, realm, func(tx *db.Tx) error {
		was, err := remove(tx, name)
		if err != nil {
			return err
		}
		if !was {
			audit.Barrier(tx)
			_, err := one(tx, name)
			if db.Missing(err) {
				return unknown(name)
			}
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "authorization_detail_type.delete", TargetType: "authorization_detail_type", Target: name, Invalidates: true})
		return nil
	})
}

// Check holds details to the types of a realm. What does not fit is
// fault.Invalid and says where.
func (r *Registry) Check(ctx context.Context, realm string, list List) error {
	types, err := r.Types(ctx, realm)
	if err != nil {
		return err
	}
	for i, d := range list {
		t := find(types, d.Type)
		if t == nil {
			return invalid("%s has an unknown type", place(i, nil))
		}
		if path, bad := misfit(t.schema, d.value); bad {
			return invalid("%s does not fit the schema of its type", place(i, path))
		}
	}
	return nil
}

// Words puts details into words in a language, else in English, else in any.
// Of a type that is gone only the name is told.
func (r *Registry) Words(ctx context.Context, realm, language string, list List) ([]Words, error) {
	types, err := r.Types(ctx, realm)
	if err != nil {
		return nil, err
	}
	words := make([]Words, len(list))
	for i, d := range list {
		words[i] = Words{Text: clean(d.Type), JSON: indented(d.Text)}
		if t := find(types, d.Type); t != nil {
			words[i].Text = fill(t.template(language), d.value)
		}
	}
	return words, nil
}

// template is that of a language, of the language without its region, of
// English, or of the first there is.
func (t *Type) template(language string) []part {
	base, _, _ := strings.Cut(language, "-")
	for _, tag := range []string{language, base, "en"} {
		if parts, ok := t.templates[tag]; ok {
			return parts
		}
	}
	first := ""
	for tag := range t.templates {
		if first == "" || tag < first {
			first = tag
		}
	}
	return t.templates[first]
}

// read compiles what is stored as text.
func (t *Type) read() (err error) {
	if t.schema, err = compile(t.Schema); err != nil {
		return err
	}
	t.templates = make(map[string][]part, len(t.Words))
	for tag, text := range t.Words {
		if t.templates[tag], err = parseTemplate(text); err != nil {
			return err
		}
	}
	return nil
}

var (
	// A name stands in addresses of the admin API.
	namePattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:~-]{0,99}$`)
	languagePattern = regexp.MustCompile(`^[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}$`)
)

// ValidName reports whether a type may be called so.
func ValidName(name string) bool { return namePattern.MatchString(name) }

func (t *Type) check() error {
	bad := fault.New(fault.Invalid, "authorization_detail_type_invalid", "the type is not allowed; see the fields")
	if !ValidName(t.Name) {
		bad.WithField("type", "has 1 to 100 letters, digits and any of . _ : ~ -, and begins with a letter or digit")
	}
	if len(t.Schema) > maxSchema {
		bad.WithField("schema", fmt.Sprintf("is longer than %d bytes", maxSchema))
	} else if _, err := compile(t.Schema); err != nil {
		bad.WithField("schema", err.Error())
	}
	if len(t.Words) == 0 || len(t.Words) > maxLanguages {
		bad.WithField("words", fmt.Sprintf("are needed in 1 to %d languages", maxLanguages))
	}
	for tag, text := range t.Words {
		if !languagePattern.MatchString(tag) {
			bad.WithField("words", fmt.Sprintf("%.40q is not a language tag such as en or de-CH", tag))
		} else if _, err := parseTemplate(text); err != nil {
			bad.WithField("words."+tag, err.Error())
		}
	}
	if len(bad.Fields) > 0 {
		return bad
	}
	return nil
}

func unknown(name string) error {
	return fault.New(fault.NotFound, "authorization_detail_type_unknown", "there is no authorization detail type %q", name)
}

func changed(name string) error {
	return fault.New(fault.Precondition, "version_mismatch", "authorization detail type %q has changed since it was read", name)
}
