package risk

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
)

// timelineBefore is how much of what came before an incident belongs to it.
const timelineBefore = 7 * 24 * time.Hour

// Timeline gives the events that an incident is about, the newest first: what
// was done by the person, to the person, to the incident, or by the network,
// from a week before until it was closed. after is a page token.
func (g *Guard) Timeline(ctx context.Context, realm, id, after string, limit int) (page []audit.Record, next string, err error) {
	i, err := g.Incident(ctx, realm, id)
	if err != nil {
		return nil, "", err
	}
	limit = min(max(limit, 1), 500)
	about := []audit.Filter{{Target: i.ID}}
	if i.Principal != "" {
		about = append(about, audit.Filter{Target: i.Principal}, audit.Filter{Actor: i.Principal})
	}
	if i.Network != "" {
		about = append(about, audit.Filter{Target: i.Network})
	}
	for _, f := range about {
		f.Since, f.Before, f.Limit = i.Opened.Add(-timelineBefore), after, limit+1
		if !i.Closed.IsZero() {
			f.Until = i.Closed.Add(time.Millisecond)
		}
		some, _, err := g.Log.Query(ctx, realm, f)
		if err != nil {
			return nil, "", err
		}
		page = append(page, some...)
	}
	slices.SortFunc(page, func(a, b audit.Record) int { return cmp.Compare(b.Leaf, a.Leaf) })
	page = slices.CompactFunc(page, func(a, b audit.Record) bool { return a.Leaf == b.Leaf })
	if len(page) > limit {
		page = page[:limit]
		next = strconv.FormatInt(page[limit-1].Leaf, 10)
	}
	return page, next, nil
}
