package principal

import (
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// Fact is what those who decide about access need to know of a principal: nothing
// personal.
type Fact struct {
	ID        string
	Kind      Kind
	State     State
	Owner     string
	ExpiresAt time.Time
	In        []Member // what it is directly in; their Kind is not filled
}

// FactsTx reads facts by id. Whom there is not, or no longer, is left out.
func FactsTx(tx *db.Tx, ids []string) (all []Fact, err error) {
	for _, id := range ids {
		if !ValidID(id) {
			continue
		}
		found, err := factsOf(tx, id)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			continue
		}
		if found[0].In, err = containersBetween(tx, id, id); err != nil {
			return nil, err
		}
		all = append(all, found[0])
	}
	return all, nil
}

// FactsPageTx reads facts of up to limit principals behind the id after, and gives
// the id to go on behind, or "" at the end.
func FactsPageTx(tx *db.Tx, after string, limit int) (page []Fact, next string, err error) {
	if page, err = factsAfter(tx, after, limit); err != nil || len(page) == 0 {
		return nil, "", err
	}
	in, err := containersBetween(tx, page[0].ID, page[len(page)-1].ID)
	if err != nil {
		return nil, "", err
	}
	at := map[string]int{}
	for i, f := range page {
		at[f.ID] = i
	}
	for _, m := range in {
		if i, ok := at[m.Member]; ok {
			page[i].In = append(page[i].In, m)
		}
	}
	if len(page) == limit {
		next = page[limit-1].ID
	}
	return page, next, nil
}

// InsideTx reads who is directly in some containers, and nothing else that they are
// in; at most limit.
func InsideTx(tx *db.Tx, containers []string, limit int) (all []Fact, err error) {
	for some := range slices.Chunk(containers, 500) {
		found, err := insideOf(tx, some, limit-len(all))
		if err != nil {
			return nil, err
		}
		if all = append(all, found...); len(all) >= limit {
			break
		}
	}
	return all, nil
}
