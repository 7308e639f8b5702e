package grant

import (
	"context"

	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/db"
)

// Filter selects grants or consents. Of Principal, Client and Session at most
// one is given.
type Filter struct {
	Principal string
	Client    string
	Session   string
	Dead      bool   // also those that have ended
	After     string // where the page before ended
}

const maxPage = 200

func pageSize(limit int) int {
	if limit < 1 || limit > maxPage {
		return maxPage
	}
	return limit
}

// List returns at most limit grants, oldest first, and where the next page
// begins, empty at the end.
func (s *Store) List(ctx context.Context, realm string, f Filter, limit int) (page []*Grant, next string, err error) {
	query := listAll
	switch {
	case f.Principal != "":
		query = listByPrincipal
	case f.Client != "":
		query = listByClient
	case f.Session != "":
		query = listBySession
	}
	return db.Page(ctx, s.db, realm, pageSize(limit), maxPage, func(tx *db.Tx, limit int) ([]*Grant, error) { return query(tx, f, limit) },
		func(g *Grant) string { return g.ID })
}

// ByID reads a grant, dead ones too. It is fault.NotFound when there is none.
func (s *Store) ByID(ctx context.Context, realm, id string) (g *Grant, err error) {
	err = s.db.View(ctx, realm, func(tx *db.Tx) error {
		g, err = byID(tx, id)
		return err
	})
	return g, err
}

// ClientsOf lists the clients to which somebody was signed in with a session, by
// any grant that is not forgotten, dead ones too.
func (s *Store) ClientsOf(ctx context.Context, realm, session string) (ids []string, err error) {
	err = s.db.View(ctx, realm, func(tx *db.Tx) error {
		ids, err = clientsOf(tx, session)
		return err
	})
	return ids, err
}

// Cached is ByID from memory. Whether the grant is alive is for Status to say:
// a cached grant does not know that it died.
func (s *Store) Cached(ctx context.Context, realm, id string) (*Grant, error) {
	return s.grants.Get(realm, id, func() (*Grant, error) { return s.ByID(ctx, realm, id) })
}

// grantCache holds grants by id, and standing grants by standing.
type grantCache = *cache.Cache[*Grant]

func newGrantCache() grantCache {
	return cache.New("grants", 32<<20, 16<<20, func(g *Grant) int { return 640 + len(g.Claims) + len(g.Details) + 32*(len(g.Scopes)+len(g.Audience)) })
}
