package trust

import (
	"context"
	"strings"
	"sync"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/realm"
)

// Registry looks after the trusted issuers of every realm. They are answered
// from memory; the event log keeps that memory right on every node.
type Registry struct {
	db          *db.DB
	realms      *realm.Registry
	credentials *credential.Store
	issuers     *cache.Cache[*Issuer] // by iss; nil where there is none
	links       *cache.Cache[*Link]
}

// New returns the registry. Call it before the log is started.
func New(d *db.DB, log *audit.Log, realms *realm.Registry, credentials *credential.Store) *Registry {
	r := &Registry{db: d, realms: realms, credentials: credentials,
		issuers: cache.New("trusted issuers", 16<<20, 4<<20, (*Issuer).size),
		links:   cache.New("trusted subjects", 16<<20, 8<<20, func(l *Link) int { return 256 + len(l.Subject) }),
	}
	log.Follow("trusted issuers", r.follow, r.forget)
	return r
}

func (r *Registry) follow(e audit.Record) {
	switch {
	case strings.HasPrefix(e.Action, "trusted_issuer."):
		r.issuers.DropRealm(e.Realm)
		if e.Action != "trusted_issuer.link" { // nobody can have remembered it before
			r.links.DropRealm(e.Realm)
		}
	case e.Action == "realm.delete":
		r.issuers.DropRealm(e.Target)
		r.links.DropRealm(e.Target)
	}
}

func (r *Registry) forget() {
	r.issuers.DropAll()
	r.links.DropAll()
}

func (i *Issuer) size() int {
	if i == nil {
		return 64
	}
	return 1024 + 2*len(i.JWKS) + 32*(len(i.Audiences)+len(i.Scopes))
}

// ByIssuer finds an issuer by the iss of its tokens, from memory. It is
// fault.NotFound where the realm trusts nobody of that name.
func (r *Registry) ByIssuer(ctx context.Context, realm, iss string) (*Issuer, error) {
	if iss == "" || len(iss) > maxIssuer {
		return nil, unknown(iss)
	}
	found, err := r.issuers.Get(realm, iss, func() (i *Issuer, err error) {
		err = r.db.View(ctx, realm, func(tx *db.Tx) error {
			i, err = byIssuer(tx, iss)
			return err
		})
		if db.Missing(err) {
			return nil, nil
		}
		return i, err
	})
	if err == nil && found == nil {
		err = unknown(iss)
	}
	return found, err
}

// ByID reads an issuer. It is fault.NotFound when there is none.
func (r *Registry) ByID(ctx context.Context, realm, id string) (i *Issuer, err error) {
	err = r.db.View(ctx, realm, func(tx *db.Tx) error {
		i, err = living(tx, id, 0)
		return err
	})
	return i, err
}

// List returns up to limit issuers after the id in cursor, and the cursor for
// the next page, "" at the end.
func (r *Registry) List(ctx context.Context, realm, cursor string, limit int) (page []*Issuer, next string, err error) {
	return db.Page(ctx, r.db, realm, limit, 200, func(tx *db.Tx, limit int) ([]*Issuer, error) { return list(tx, cursor, limit) },
		func(i *Issuer) string { return i.ID })
}

// Create begins to trust an issuer. One of the same name is fault.Conflict.
func (r *Registry) Create(ctx context.Context, by audit.Actor, realm string, s Settings) (made *Issuer, err error) {
	if s, err = r.checked(ctx, realm, s); err != nil {
		return nil, err
	}
	err = r.db.Update(ctx, realm, func(tx *db.Tx) error {
		made = &Issuer{Realm: tx.Realm, ID: id.New("tis", tx.Now), Version: 1, Created: tx.Now, Updated: tx.Now, Settings: s}
		if err := insert(tx, made); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "trusted_issuer.create", TargetType: "trusted_issuer", Target: made.ID, Invalidates: true,
			Data: map[string]any{"issuer": s.Issuer}})
		return nil
	})
	if db.Taken(err) {
		return nil, fault.New(fault.Conflict, "issuer_taken", "the issuer %q is trusted already", s.Issuer).WithField("issuer", "is trusted already")
	}
	if err != nil {
		return nil, err
	}
	return made, nil
}

func (r *Registry) checked(ctx context.Context, realm string, s Settings) (Settings, error) {
	own, err := r.realms.ByName(ctx, realm)
	if err != nil {
		return s, err
	}
	s.Defaults()
	return s, s.validate(own.Issuer)
}

// Update replaces an issuer's settings. With a version other than zero it is
// fault.Precondition when the issuer has changed since. What was obtained on its
// word lives on until it expires.
func (r *Registry) Update(ctx context.Context, by audit.Actor, realm, id string, version int64, s Settings) (i *Issuer, err error) {
	if s, err = r.checked(ctx, realm, s); err != nil {
		return nil, err
	}
	err = r.db.Update(ctx, realm, func(tx *db.Tx) error {
		if i, err = living(tx, id, version); err != nil {
			return err
		}
		if i.Settings.Issuer != s.Issuer {
			return fault.New(fault.Invalid, "issuer_fixed", "an issuer keeps its name, for its subjects are linked with it; trust another one instead").
				WithField("issuer", "cannot be changed")
		}
		i.Settings, i.Version, i.Updated = s, i.Version+1, tx.Now
		if err := update(tx, i); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "trusted_issuer.update", TargetType: "trusted_issuer", Target: id, Invalidates: true,
			Data: map[string]any{"issuer": s.Issuer}})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return i, nil
}

// End ends a credential with all that was born of it, and returns when no node
// says yes to it any more; package grant does that.
type End func(ctx context.Context, credential string) error

// unlinkChunk is how many links are looked at at a time, and unlinkAtOnce how
// many of them end at the same time: each waits until every node knows.
const unlinkChunk, unlinkAtOnce = 200, 16

// Delete stops trusting an issuer for ever, and ends what was obtained on its
// word. When it returns an error it is safe, and needed, to call it again.
func (r *Registry) Delete(ctx context.Context, by audit.Actor, realm, id string, end End) error {
	err := r.db.Update(ctx, realm, func(tx *db.Tx) error {
		first, err := remove(tx, id)
		if err != nil {
			return err
		}
		if !first {
			audit.Barrier(tx)
			return known(tx, id)
		}
		audit.Append(tx, by, audit.Event{Action: "trusted_issuer.delete", TargetType: "trusted_issuer", Target: id, Invalidates: true})
		return nil
	})
	for err == nil {
		var some []*Link
		if some, _, err = r.Links(ctx, realm, id, "", unlinkChunk); err != nil || len(some) == 0 {
			break
		}
		err = r.unlinkAll(ctx, by, realm, some, end)
	}
	return err
}

// unlinkAll unlinks some subjects and returns what went wrong first.
func (r *Registry) unlinkAll(ctx context.Context, by audit.Actor, realm string, some []*Link, end End) error {
	var all sync.WaitGroup
	errs, turns := make([]error, len(some)), make(chan struct{}, unlinkAtOnce)
	for i, l := range some {
		turns <- struct{}{}
		all.Go(func() {
			errs[i] = r.Unlink(ctx, by, realm, l, end)
			<-turns
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func unknown(id string) error {
	return fault.New(fault.NotFound, "issuer_not_found", "there is no trusted issuer %q", clip(id, 80))
}
