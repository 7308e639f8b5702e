package principal

import (
	"bytes"
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/db"
)

// A search walks the indexes of what begins with the words, side by side and in
// their order, so that a page costs the same among a million as among ten. Who
// is found by several of its names stands where the first of them does.

// searchBatch is how many entries of an index are read at a time, and
// searchBatches how many times for one page: filters may throw most away.
const (
	searchBatch   = 200
	searchBatches = 10
)

// hit is an entry of an index, and the place to go on behind.
type hit struct {
	key       []byte
	principal string
}

func (h hit) String() string {
	return base64.RawURLEncoding.EncodeToString(h.key) + "." + h.principal
}

// parseHit reads what String wrote, within the words that are searched for.
func parseHit(text, words string) (hit, bool) {
	key, principal, _ := strings.Cut(text, ".")
	b, err := base64.RawURLEncoding.DecodeString(key)
	return hit{b, principal}, err == nil && ValidID(principal) && bytes.HasPrefix(b, []byte(words))
}

func (d *Directory) search(ctx context.Context, realm string, f Filter, after string, limit int) (page []*Principal, next string, err error) {
	words := Canonical(f.Search)
	if len(f.Search) > 320 || words == "" {
		return nil, "", invalid("search", "has at most 320 bytes")
	}
	from := hit{key: []byte(words)}
	if after != "" {
		var ok bool
		if from, ok = parseHit(after, words); !ok {
			return nil, "", invalid("page", "is not one that was given out")
		}
	}
	limit = min(max(limit, 1), 500)
	err = d.db.View(ctx, realm, func(tx *db.Tx) error {
		page, next, err = searchPage(tx, f, words, from, limit)
		return err
	})
	return page, next, err
}

func searchPage(tx *db.Tx, f Filter, words string, at hit, limit int) (page []*Principal, next string, err error) {
	for range searchBatches {
		hits, err := hitsBehind(tx, f.Kind, words, at, searchBatch)
		if err != nil || len(hits) == 0 {
			return page, "", err
		}
		found, err := byIDs(tx, hits)
		if err != nil {
			return nil, "", err
		}
		for i, h := range hits {
			at = h
			p := found[h.principal]
			if p == nil || !f.matches(p) || !bytes.Equal(p.firstKey(words), h.key) || slices.Contains(page, p) {
				continue
			}
			if page = append(page, p); len(page) == limit && (i+1 < len(hits) || len(hits) == searchBatch) {
				return page, at.String(), nil
			}
		}
		if len(hits) < searchBatch {
			return page, "", nil
		}
	}
	return page, at.String(), nil
}

func (f Filter) matches(p *Principal) bool {
	return (f.Kind == "" || p.Kind == f.Kind) && (f.State == p.State || f.State == "" && p.State != Deleted) && (f.Owner == "" || p.Owner == f.Owner)
}

// firstKey is the least of the principal's names that begin with words.
func (p *Principal) firstKey(words string) (first []byte) {
	keys := [][]byte{p.sortKey(), []byte(Canonical(p.Name))}
	for _, e := range p.Emails {
		keys = append(keys, []byte(Canonical(e.Address)))
	}
	for _, k := range keys {
		if bytes.HasPrefix(k, []byte(words)) && (first == nil || bytes.Compare(k, first) < 0) {
			first = k
		}
	}
	return first
}
