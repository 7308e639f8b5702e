package realm

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// Registry keeps the realms. Those in use are held in memory and forgotten when
// an event says that they changed.
type Registry struct {
	db       *db.DB
	base     base
	realms   *cache.Cache[*Realm]
	hosts    *cache.Cache[string]
	onCreate []func(tx *db.Tx, by audit.Actor, r *Realm) error
	onUpdate []func(tx *db.Tx, before, after *Realm) error
}

// base is the issuer of the default realm, taken apart.
type base struct{ Issuer, Scheme, Host, Path string }

// NewRegistry returns the registry whose default realm has the given issuer
// URL. Call it before the log is started.
func NewRegistry(d *db.DB, log *audit.Log, issuer string) (*Registry, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(issuer, "/") {
		return nil, fault.New(fault.Invalid, "issuer_invalid", "issuer %q is not a URL without query and trailing slash", issuer)
	}
	r := &Registry{
		db:     d,
		base:   base{issuer, u.Scheme, strings.ToLower(u.Host), u.Path},
		realms: cache.New("realms", 16<<20, 16<<20, func(*Realm) int { return 1 << 10 }),
		hosts:  cache.New("realm hosts", 2<<20, 2<<20, func(name string) int { return 128 + len(name) }),
	}
	log.Follow("realms", r.follow, r.forget)
	return r, nil
}

// follow forgets what an event says has changed. Any change may concern a host,
// and a host that was nobody's is remembered as such; changes are rare.
func (r *Registry) follow(e audit.Record) {
	if strings.HasPrefix(e.Action, "realm.") {
		r.realms.DropRealm(e.Target)
		r.hosts.DropAll()
	}
}

func (r *Registry) forget() {
	r.realms.DropAll()
	r.hosts.DropAll()
}

// OnCreate has fn run in the transaction that makes a realm, for what no realm
// can be without: its keys, its built-in clients. Call it before Ensure.
func (r *Registry) OnCreate(fn func(tx *db.Tx, by audit.Actor, r *Realm) error) {
	r.onCreate = append(r.onCreate, fn)
}

// OnUpdate has fn run in the transaction that changes a realm. An error of it
// refuses the change. Call it before the registry is used.
func (r *Registry) OnUpdate(fn func(tx *db.Tx, before, after *Realm) error) {
	r.onUpdate = append(r.onUpdate, fn)
}

// Ensure makes the default realm if there is none yet.
func (r *Registry) Ensure(ctx context.Context, by audit.Actor) error {
	_, err := r.ByName(ctx, Default)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	_, err = r.Create(ctx, by, New{Name: Default, DisplayName: "Cardea"})
	if fault.Is(err, fault.Conflict) {
		return nil // another node was faster
	}
	return err
}

// ByName returns an active realm, from memory if it was asked for before, or
// fault.NotFound.
func (r *Registry) ByName(ctx context.Context, name string) (*Realm, error) {
	if known, ok := r.realms.Peek(name, ""); ok && known != nil {
		return known, nil
	}
	if checkName(name) != nil {
		return nil, unknown(name)
	}
	found, err := r.realms.Get(name, "", func() (*Realm, error) { return r.load(ctx, name) })
	if err == nil && found == nil {
		err = unknown(name)
	}
	return found, err
}

// load returns nil for a realm that there is not, which is remembered too.
func (r *Registry) load(ctx context.Context, name string) (found *Realm, err error) {
	err = r.db.View(ctx, name, func(tx *db.Tx) error {
		found, err = r.byName(tx)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	})
	return found, err
}

func (r *Registry) loadHost(ctx context.Context, host string) (name string, err error) {
	err = r.db.SystemView(ctx, func(tx *db.Tx) error {
		name, err = nameByHost(tx, host)
		return err
	})
	return name, err
}

// Create makes a realm and, through OnCreate, what belongs to it. A name that
// was ever in use is fault.Conflict.
func (r *Registry) Create(ctx context.Context, by audit.Actor, n New) (made *Realm, err error) {
	if n.DisplayName == "" {
		n.DisplayName = n.Name
	}
	if err := checkName(n.Name); err != nil {
		return nil, err
	}
	if err := checkDisplayName(n.DisplayName); err != nil {
		return nil, err
	}
	if err := r.checkHost(n.Name, n.Host); err != nil {
		return nil, err
	}
	settings, err := DefaultSettings().with(n.Settings)
	if err != nil {
		return nil, err
	}
	err = r.db.Update(ctx, n.Name, func(tx *db.Tx) error {
		made = &Realm{Name: n.Name, DisplayName: n.DisplayName, Host: n.Host, Settings: settings,
			State: Active, Version: 1, CreatedAt: tx.Now, UpdatedAt: tx.Now}
		r.place(made)
		if err := insert(tx, made); err != nil {
			return err
		}
		for _, fn := range r.onCreate {
			if err := fn(tx, by, made); err != nil {
				return err
			}
		}
		audit.Append(tx, by, audit.Event{Action: "realm.create", TargetType: "realm", Target: made.Name,
			Data: map[string]any{"display_name": made.DisplayName, "host": made.Host}, Invalidates: true})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// Update changes a realm. If version is not 0 and not the realm's, nothing
// changes and the error is fault.Precondition.
func (r *Registry) Update(ctx context.Context, by audit.Actor, name string, version int64, c Change) (changed *Realm, err error) {
	err = r.db.Update(ctx, name, func(tx *db.Tx) error {
		changed, err = r.byName(tx)
		if err != nil {
			return err
		}
		if version != 0 && version != changed.Version {
			return stale(name)
		}
		before := *changed
		names, err := r.apply(changed, c)
		if err != nil {
			return err
		}
		for _, fn := range r.onUpdate {
			if err := fn(tx, &before, changed); err != nil {
				return err
			}
		}
		changed.Version, changed.UpdatedAt = changed.Version+1, tx.Now
		if err := update(tx, changed); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "realm.update", TargetType: "realm", Target: name,
			Data: map[string]any{"changed": names}, Invalidates: true})
		return nil
	})
	if db.Taken(err) {
		return nil, hostTaken(*c.Host)
	}
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// apply makes the change c to e and names what it changed.
func (r *Registry) apply(e *Realm, c Change) (changed []string, err error) {
	if c.DisplayName != nil {
		if err := checkDisplayName(*c.DisplayName); err != nil {
			return nil, err
		}
		e.DisplayName = *c.DisplayName
		changed = append(changed, "display_name")
	}
	if c.Host != nil {
		if err := r.checkHost(e.Name, *c.Host); err != nil {
			return nil, err
		}
		e.Host = *c.Host
		changed = append(changed, "host")
	}
	e.Settings, err = e.Settings.with(c.Settings)
	if err != nil {
		return nil, err
	}
	for _, f := range fields {
		if _, ok := c.Settings[f.Name]; ok {
			changed = append(changed, "settings."+f.Name)
		}
	}
	r.place(e)
	return changed, nil
}

// Delete ends a realm for ever: one cut-off on the stream kills every token it
// issued, and its host is free again. The default realm cannot be deleted.
// Deleting a deleted realm waits like the first time and changes nothing.
func (r *Registry) Delete(ctx context.Context, by audit.Actor, name string) error {
	if name == Default {
		return fault.New(fault.Conflict, "realm_needed", "the default realm cannot be deleted")
	}
	if checkName(name) != nil {
		return unknown(name)
	}
	return r.db.Update(ctx, name, func(tx *db.Tx) error {
		found, err := r.inAnyState(tx)
		if err != nil {
			return err
		}
		if found.State == Deleted {
			audit.Barrier(tx)
			return nil
		}
		if err := remove(tx); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "realm.delete", TargetType: "realm", Target: name, Invalidates: true,
			Cut: &audit.Cutoff{Kind: "issuer", ID: found.Issuer}})
		return nil
	})
}

// List returns up to limit active realms by name, beginning behind after, and
// the name to go on behind, or "" at the end.
func (r *Registry) List(ctx context.Context, after string, limit int) (page []*Realm, next string, err error) {
	limit = min(max(limit, 1), 500)
	err = r.db.SystemView(ctx, func(tx *db.Tx) error {
		page, err = r.list(tx, after, limit+1)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if len(page) > limit {
		page = page[:limit]
		next = page[limit-1].Name
	}
	return page, next, nil
}

// place works out where a realm is served.
func (r *Registry) place(e *Realm) {
	switch {
	case e.Host != "":
		e.Issuer, e.Path = "https://"+e.Host, ""
	case e.Name == Default:
		e.Issuer, e.Path = r.base.Issuer, r.base.Path
	default:
		e.Issuer, e.Path = r.base.Issuer+realmsPath+e.Name, r.base.Path+realmsPath+e.Name
	}
}

func (r *Registry) checkHost(name, host string) error {
	if name == Default && host != "" {
		return fault.New(fault.Invalid, "host_invalid", "the default realm's host is the configured issuer's").WithField("host", "comes from the configuration")
	}
	if host != "" && host == r.base.Host {
		return hostTaken(host)
	}
	return checkHost(host)
}

func hostTaken(host string) error {
	return fault.New(fault.Conflict, "host_taken", "host %q belongs to another realm", host).WithField("host", "belongs to another realm")
}

func stale(name string) error {
	return fault.New(fault.Precondition, "version_mismatch", "realm %q has changed since it was read", name)
}

// walkPage is how many realms Walk reads at once.
const walkPage = 100

// Walk does something for one active realm after the other by name, beginning
// behind after. One that fails does not keep the others from their turn. When
// ctx ends it stops and gives the realm that it was at, so that even one that
// never gets done does not hold up those behind it; "" says that all are done.
func (r *Registry) Walk(ctx context.Context, after string, do func(ctx context.Context, name string) error) (next string, err error) {
	var failed []error
	for {
		page, more, err := r.List(ctx, after, walkPage)
		if err != nil {
			return after, errors.Join(append(failed, err)...)
		}
		for _, one := range page {
			after = one.Name
			if err := do(ctx, one.Name); err != nil && ctx.Err() == nil {
				failed = append(failed, fmt.Errorf("realm %s: %w", one.Name, err))
			}
			if ctx.Err() != nil {
				return after, errors.Join(failed...)
			}
		}
		if more == "" {
			return "", errors.Join(failed...)
		}
	}
}
