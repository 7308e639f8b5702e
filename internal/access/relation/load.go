package relation

import (
	"context"
	"slices"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
)

// loadPage is how many rows are read in one transaction, so that none lasts long.
const loadPage = 20_000

// VersionTx is the version of the realm's facts.
func VersionTx(tx *db.Tx) (int64, error) { return version(tx) }

// RolesTx reads the roles of some subjects on objects of some types, as they were
// written.
func RolesTx(tx *db.Tx, subjects []graph.Entity, types []string) (all []graph.Tuple, err error) {
	if len(types) == 0 {
		return nil, nil
	}
	byType := map[string][]graph.Entity{}
	for _, e := range subjects {
		byType[e.Type] = append(byType[e.Type], e)
	}
	for typ, list := range byType {
		for part := range slices.Chunk(list, rolesAtOnce) {
			rows, err := rolesOf(tx, typ, part, types)
			if err != nil {
				return nil, err
			}
			for _, r := range rows {
				all = append(all, r.Tuple)
			}
		}
	}
	return all, nil
}

// rolesAtOnce is about how many subjects one statement of RolesTx asks.
const rolesAtOnce = 500

// Version is the version of a realm's facts, and the position of a log's head
// that is not before it was read.
func (s *Store) Version(ctx context.Context, realm string) (v int64, at audit.Position, err error) {
	err = s.DB.View(ctx, realm, func(tx *db.Tx) error {
		if at, err = audit.HeadTx(tx); err != nil {
			return err
		}
		v, err = version(tx)
		return err
	})
	return v, at, err
}

// Load reads all facts of a realm that no batch after upTo has touched. It takes
// many transactions: what is read is a part of the facts of version upTo, and all
// of it together with the batches that follow.
func (s *Store) Load(ctx context.Context, realm string, upTo int64, relation func(graph.Tuple) error, attribute func(graph.Attribute) error) error {
	for from := make([]string, 5); from != nil; {
		var page []Row
		err := s.DB.View(ctx, realm, func(tx *db.Tx) (err error) {
			page, err = relationsUpTo(tx, upTo, from, loadPage)
			return err
		})
		if err != nil {
			return err
		}
		if from = nil; len(page) == loadPage {
			t := page[loadPage-1]
			from = []string{t.Subject.Type, t.Subject.ID, t.Relation, t.Object.Type, t.Object.ID}
		}
		for _, t := range page {
			if err := relation(t.Tuple); err != nil {
				return err
			}
		}
	}
	for from := make([]string, 3); from != nil; {
		var page []AttributeRow
		err := s.DB.View(ctx, realm, func(tx *db.Tx) (err error) {
			page, err = attributesUpTo(tx, upTo, from, loadPage)
			return err
		})
		if err != nil {
			return err
		}
		if from = nil; len(page) == loadPage {
			a := page[loadPage-1]
			from = []string{a.Entity.Type, a.Entity.ID, a.Name}
		}
		for _, a := range page {
			v, err := Value([]byte(a.Value))
			if err == nil {
				err = attribute(graph.Attribute{Entity: a.Entity, Name: a.Name, Value: v})
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
