package client

import (
	"context"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/identity/credential"
)

// Bounds of what is held in memory.
const (
	cacheBytes      = 64 << 20
	cacheRealmBytes = 16 << 20
	originBytes     = 4 << 20
	originRealm     = 1 << 20
)

// Registry looks after the clients of every realm. Clients are answered from
// memory; the event log keeps that memory right on every node.
type Registry struct {
	db      *db.DB
	secrets *credential.Store
	clients *cache.Cache[*Client]
	origins *cache.Cache[bool]
	answers *cache.Cache[string] // ids of resource servers by audience, "" for none
}

// New returns the registry. Call it before the log is started.
func New(d *db.DB, log *audit.Log, secrets *credential.Store) *Registry {
	r := &Registry{
		db:      d,
		secrets: secrets,
		clients: cache.New("clients", cacheBytes, cacheRealmBytes, (*Client).size),
		origins: cache.New("client origins", originBytes, originRealm, func(bool) int { return 1 }),
		answers: cache.New("resource servers", originBytes, originRealm, func(id string) int { return 64 + len(id) }),
	}
	log.Follow("clients", r.apply, r.forget)
	return r
}

// apply drops what an event makes stale.
func (r *Registry) apply(e audit.Record) {
	switch {
	case strings.HasPrefix(e.Action, "client."):
		r.clients.Drop(e.Realm, e.Target)
		r.origins.DropRealm(e.Realm)
		r.answers.DropRealm(e.Realm)
	case e.Action == "realm.delete":
		r.clients.DropRealm(e.Target)
		r.origins.DropRealm(e.Target)
		r.answers.DropRealm(e.Target)
	}
}

func (r *Registry) forget() {
	r.clients.DropAll()
	r.origins.DropAll()
	r.answers.DropAll()
}

// ByID finds a client, enabled or not, from memory. It is fault.NotFound when
// there is none.
func (r *Registry) ByID(ctx context.Context, realm, id string) (*Client, error) {
	if !ValidID(id) {
		return nil, unknown(id)
	}
	return r.clients.Get(realm, id, func() (*Client, error) { return r.load(ctx, realm, id) })
}

func (r *Registry) load(ctx context.Context, realm, id string) (c *Client, err error) {
	err = r.db.View(ctx, realm, func(tx *db.Tx) error {
		c, err = ByIDTx(tx, id)
		return err
	})
	return c, err
}

// ByIDTx reads a client within a transaction.
func ByIDTx(tx *db.Tx, id string) (*Client, error) { return askClient(tx, id)() }

func askClient(tx *db.Tx, id string) func() (*Client, error) {
	if !ValidID(id) {
		return func() (*Client, error) { return nil, unknown(id) }
	}
	answer := askByID(tx, id)
	return func() (*Client, error) {
		c, err := answer.One()
		if db.Missing(err) {
			return nil, unknown(id)
		}
		return c, err
	}
}

// CountTx is how many clients there are for which no operator answers, of one
// source. In a serializable transaction it stays true until the commit.
func CountTx(tx *db.Tx, from Source) (int64, error) { return count(tx, from) }

// DeletedTx reports whether a client was deleted. It is fault.NotFound if there
// never was one.
func DeletedTx(tx *db.Tx, id string) (bool, error) {
	if !ValidID(id) {
		return false, unknown(id)
	}
	deleted, err := tombstone(tx, id)
	if db.Missing(err) {
		return false, unknown(id)
	}
	return deleted, err
}

// ByPrincipal finds the client that a service principal belongs to.
func (r *Registry) ByPrincipal(ctx context.Context, realm, principal string) (c *Client, err error) {
	err = r.db.View(ctx, realm, func(tx *db.Tx) error {
		c, err = byPrincipal(tx, principal)
		if db.Missing(err) {
			return unknown(principal)
		}
		return err
	})
	return c, err
}

// AllowsOrigin reports whether scripts from a web origin may call the realm's
// token and userinfo endpoints: whether an enabled single-page application has
// it. From memory.
func (r *Registry) AllowsOrigin(ctx context.Context, realm, origin string) (bool, error) {
	if len(origin) > 256 {
		return false, nil
	}
	return r.origins.Get(realm, origin, func() (ok bool, err error) {
		err = r.db.View(ctx, realm, func(tx *db.Tx) error {
			ok, err = originKnown(tx, origin)
			return err
		})
		return ok, err
	})
}

// ByAudience finds the enabled resource server that answers to an audience,
// nil when there is none. From memory.
func (r *Registry) ByAudience(ctx context.Context, realm, audience string) (*Client, error) {
	if !ValidResource(audience) {
		return nil, nil
	}
	id, err := r.answers.Get(realm, audience, func() (id string, err error) {
		err = r.db.View(ctx, realm, func(tx *db.Tx) error {
			id, err = answering(tx, audience)
			return err
		})
		return id, err
	})
	if err != nil || id == "" {
		return nil, err
	}
	return r.ByID(ctx, realm, id)
}

// List returns up to limit clients after the id in cursor, and the cursor for
// the next page, "" at the end.
func (r *Registry) List(ctx context.Context, realm, cursor string, limit int) (page []*Client, next string, err error) {
	return db.Page(ctx, r.db, realm, limit, 200, func(tx *db.Tx, limit int) ([]*Client, error) { return list(tx, cursor, limit) },
		func(c *Client) string { return c.ID })
}

// chosenID reports whether s has the shape of a client id picked by an operator. It has no
// underscore, so it can never look like the id of a principal or be mistaken
// for one we made.
func chosenID(s string) bool {
	if len(s) < 3 || len(s) > 64 || s[0] < 'a' || s[0] > 'z' || s[len(s)-1] == '.' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// ValidID reports whether s can be a client id at all. Doors ask before they
// look one up, so that junk never reaches memory or the database.
func ValidID(s string) bool { return id.Valid("cli", s) || chosenID(s) || IsDocument(s) }

// maxDocumentID bounds a client id that is an address, in bytes: it is part of
// every token of the client.
const maxDocumentID = 255

// IsDocument reports whether s can be a client id that is the address of a
// document about the client (draft-ietf-oauth-client-id-metadata-document,
// section 3): https, with a path, in the one form that has one reading, without
// a query.
func IsDocument(s string) bool { return DocumentHost(s) != "" }

// DocumentHost is the host of such a client id, "" for any other.
func DocumentHost(s string) string {
	if !strings.HasPrefix(s, "https://") || len(s) > maxDocumentID {
		return ""
	}
	p, why := canonical(s)
	if why != "" || len(p.rest) < 2 || strings.Contains(p.rest, "?") {
		return ""
	}
	return p.host
}

func unknown(id string) error {
	return fault.New(fault.NotFound, "client_not_found", "there is no client %q", id)
}

// size is about what the client takes in memory, in bytes.
func (c *Client) size() int {
	n := 1024 + len(c.JWKS) + 1024*len(c.IdentityAssertions) + len(c.BackChannelLogoutURI) + len(c.FrontChannelLogoutURI) + len(c.AttesterJWKS)
	for _, list := range [][]string{c.RedirectURIs, c.PostLogoutRedirectURIs, c.Scopes, c.Resources, c.Identifiers, c.ResourceScopes, c.Contacts, c.RequestURIs, c.DetailTypes} {
		for _, v := range list {
			n += 16 + len(v)
		}
	}
	return n
}
