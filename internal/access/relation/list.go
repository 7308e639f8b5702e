package relation

import (
	"context"
	"encoding/base64"
	"encoding/json"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// Row is a relation as it is kept.
type Row struct {
	graph.Tuple
	Source string // the pulled source that it comes from, or ""
}

// AttributeRow is an attribute as it is kept. Its value is JSON text.
type AttributeRow struct {
	Entity      graph.Entity
	Name, Value string
	Source      string
}

// Filter says which facts to list. Empty fields do not restrict; an id needs its
// type. Of relations the subject and the object may be given, of attributes the
// subject is the entity.
type Filter struct {
	Subject, Object graph.Entity
	Relation        string // or the name of the attribute
	Source          string
}

const mostListed = 500

// List returns up to limit relations, ordered by subject or, where only the object
// is given, by object; the token of the page behind, "" at the end; and a position
// at which they are the facts, or which they are newer than.
func (s *Store) List(ctx context.Context, realm string, f Filter, after string, limit int) (page []Row, next string, at audit.Position, err error) {
	var from []string
	if from, err = readToken(after, 5); err != nil {
		return nil, "", at, err
	}
	limit = min(max(limit, 1), mostListed)
	err = s.DB.View(ctx, realm, func(tx *db.Tx) error {
		if at, err = audit.HeadTx(tx); err != nil {
			return err
		}
		page, err = list(tx, f, from, limit+1)
		return err
	})
	if err == nil && len(page) > limit {
		page = page[:limit]
		t := page[limit-1]
		next = token(t.Subject.Type, t.Subject.ID, t.Relation, t.Object.Type, t.Object.ID)
	}
	return page, next, at, err
}

// Attributes returns up to limit attributes, paged like List.
func (s *Store) Attributes(ctx context.Context, realm string, f Filter, after string, limit int) (page []AttributeRow, next string, at audit.Position, err error) {
	var from []string
	if from, err = readToken(after, 3); err != nil {
		return nil, "", at, err
	}
	limit = min(max(limit, 1), mostListed)
	err = s.DB.View(ctx, realm, func(tx *db.Tx) error {
		if at, err = audit.HeadTx(tx); err != nil {
			return err
		}
		page, err = listAttributes(tx, f, from, limit+1)
		return err
	})
	if err == nil && len(page) > limit {
		page = page[:limit]
		a := page[limit-1]
		next = token(a.Entity.Type, a.Entity.ID, a.Name)
	}
	return page, next, at, err
}

// token carries the key of the last item. It is data, not a secret: whoever makes
// one up begins elsewhere in what they may list anyway.
func token(parts ...string) string {
	text, err := json.Marshal(parts)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func readToken(after string, parts int) (from []string, err error) {
	if after == "" {
		return make([]string, parts), nil
	}
	text, err := base64.RawURLEncoding.DecodeString(after)
	if err == nil {
		err = json.Unmarshal(text, &from)
	}
	if err != nil || len(from) != parts {
		return nil, fault.New(fault.Invalid, "page_invalid", "the page is not one that was given out").WithField("after", "is not one that was given out")
	}
	return from, nil
}

func (f Filter) check() error {
	if f.Subject.Type == "" && f.Subject.ID != "" || f.Object.Type == "" && f.Object.ID != "" {
		return fault.New(fault.Invalid, "filter_invalid", "an id needs its type")
	}
	return nil
}
