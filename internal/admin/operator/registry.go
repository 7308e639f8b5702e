package operator

import (
	"context"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/once"
	who "github.com/cardea-id/cardea/internal/identity/principal"
)

// Registry knows the operators of every realm. Roles are answered from memory;
// the event log keeps that memory right on every node.
type Registry struct {
	db        *db.DB
	once      *once.Store
	passwords *credential.Passwords
	clients   *client.Registry
	roles     *cache.Cache[Operator]
}

// New returns the registry. Call it before the log is started.
func New(d *db.DB, log *audit.Log, links *once.Store, passwords *credential.Passwords, clients *client.Registry) *Registry {
	r := &Registry{db: d, once: links, passwords: passwords, clients: clients,
		roles: cache.New("operators", 4<<20, 1<<20, func(Operator) int { return 256 })}
	log.Follow("operators", r.follow, r.roles.DropAll)
	return r
}

// follow drops what an event makes stale.
func (r *Registry) follow(e audit.Record) {
	switch {
	case strings.HasPrefix(e.Action, "operator."):
		r.roles.Drop(e.Realm, e.Target)
	case strings.HasPrefix(e.Action, "realm."):
		r.roles.DropRealm(e.Target)
	}
}

// ByPrincipal finds an operator, from memory. It is fault.NotFound for a
// principal that is none.
func (r *Registry) ByPrincipal(ctx context.Context, realm, principal string) (Operator, error) {
	o, err := r.roles.Get(realm, principal, func() (o Operator, err error) {
		err = r.db.View(ctx, realm, func(tx *db.Tx) error {
			o, err = byPrincipal(tx, principal)
			if db.Missing(err) {
				o, err = Operator{Realm: realm, Principal: principal}, nil // remembered as nobody
			}
			return err
		})
		return o, err
	})
	if err == nil && o.Role == "" {
		return Operator{}, unknown(principal)
	}
	return o, err
}

// List returns up to limit operators after the principal in cursor, and the
// cursor of the next page, "" at the end.
func (r *Registry) List(ctx context.Context, realm, cursor string, limit int) (page []Operator, next string, err error) {
	return db.Page(ctx, r.db, realm, limit, 500, func(tx *db.Tx, limit int) ([]Operator, error) { return list(tx, cursor, limit) },
		func(o Operator) string { return o.Principal })
}

// Assign makes principal an operator with the given role, or changes the role
// it has. Nobody gives or takes rights that they do not have themselves, and
// the last owner who can still sign in stays one. If version is not 0 and not
// the operator's, nothing changes and the error is fault.Precondition.
func (r *Registry) Assign(ctx context.Context, by audit.Actor, realm, principal string, version int64, role Role) (o Operator, err error) {
	err = r.db.Update(ctx, realm, func(tx *db.Tx) error {
		o, err = r.AssignTx(tx, by, principal, version, role)
		return err
	})
	return o, err
}

// AssignTx is Assign within a transaction.
func (r *Registry) AssignTx(tx *db.Tx, by audit.Actor, principal string, version int64, role Role) (Operator, error) {
	if !role.Valid() {
		return Operator{}, fault.New(fault.Invalid, "role_unknown", "there is no role %q", string(role)).WithField("role", "owner, admin, helpdesk, viewer or application")
	}
	if err := remember(tx); err != nil {
		return Operator{}, err
	}
	if living, err := alive(tx, principal); err != nil {
		return Operator{}, err
	} else if !living {
		return Operator{}, fault.New(fault.NotFound, "principal_not_found", "there is no active principal %q", principal)
	}
	old, err := byPrincipal(tx, principal)
	if err != nil && !db.Missing(err) {
		return Operator{}, err
	}
	if version != 0 && version != old.Version {
		return Operator{}, fault.New(fault.Precondition, "version_mismatch", "operator %q has changed since it was read", principal)
	}
	if err := mayChange(tx, by, old.Role, role); err != nil {
		return Operator{}, err
	}
	if old.Role == role {
		audit.Barrier(tx)
		return old, nil
	}
	if old.Role == Owner {
		if err := r.KeepOwner(tx, principal); err != nil {
			return Operator{}, err
		}
	}
	if old.Role == "" {
		_, err = insert(tx, principal, role)
	} else {
		_, err = change(tx, principal, old.Version, role)
	}
	if err != nil {
		return Operator{}, err
	}
	audit.Append(tx, by, audit.Event{Action: "operator.assign", TargetType: "operator", Target: principal, Invalidates: true,
		Data: map[string]any{"role": string(role), "former_role": string(old.Role)}})
	return byPrincipal(tx, principal)
}

// Remove takes every right from an operator, by the rules of [Registry.Assign].
// A principal that has none, any more or ever, is no error, and the commit
// waits like the first time; one that never was is fault.NotFound.
func (r *Registry) Remove(ctx context.Context, by audit.Actor, realm, principal string, version int64) error {
	return r.db.Update(ctx, realm, func(tx *db.Tx) error {
		old, err := byPrincipal(tx, principal)
		if db.Missing(err) {
			audit.Barrier(tx)
			return known(tx, principal)
		}
		if err == nil {
			err = remember(tx)
		}
		if err != nil {
			return err
		}
		if version != 0 && version != old.Version {
			return fault.New(fault.Precondition, "version_mismatch", "operator %q has changed since it was read", principal)
		}
		if err := mayChange(tx, by, old.Role, ""); err != nil {
			return err
		}
		if old.Role == Owner {
			if err := r.KeepOwner(tx, principal); err != nil {
				return err
			}
		}
		if _, err := remove(tx, principal); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "operator.remove", TargetType: "operator", Target: principal, Invalidates: true,
			Data: map[string]any{"former_role": string(old.Role)}})
		return nil
	})
}

func known(tx *db.Tx, principal string) error {
	_, err := who.ByIDTx(tx, principal)
	if fault.Is(err, fault.NotFound) {
		return unknown(principal)
	}
	return err
}

// mayChange refuses a change from one role to another by an actor whose own
// role, as it is in this transaction, does not cover both.
func mayChange(tx *db.Tx, by audit.Actor, from, to Role) error {
	if by.Kind == "system" {
		return nil
	}
	actor, err := byPrincipal(tx, by.ID)
	if err != nil && !db.Missing(err) {
		return err
	}
	if !actor.Role.May(OperatorsWrite) || from != "" && !actor.Role.Covers(from) || to != "" && !actor.Role.Covers(to) {
		return fault.New(fault.Forbidden, "rights_exceeded", "nobody can give or take rights that they do not have themselves")
	}
	return nil
}

// KeepOwner refuses with fault.Conflict when principal is the realm's last
// owner who can still sign in. Whoever suspends or deletes a principal asks in
// the same transaction.
func (r *Registry) KeepOwner(tx *db.Tx, principal string) error {
	all, err := owners(tx)
	if err != nil {
		return err
	}
	among := false
	for _, other := range all {
		if other == principal {
			among = true
			continue
		}
		living, err := alive(tx, other)
		if err != nil {
			return err
		}
		if living {
			return nil
		}
	}
	if !among {
		return nil
	}
	return fault.New(fault.Conflict, "last_owner", "%s is the realm's last owner; make somebody else an owner first", principal)
}

// ForgetTx takes every right from a principal that is deleted in the same
// transaction. Ask [Registry.GuardTx] first.
func (r *Registry) ForgetTx(tx *db.Tx, by audit.Actor, principal string) error {
	old, err := byPrincipal(tx, principal)
	if db.Missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := remove(tx, principal); err != nil {
		return err
	}
	audit.Append(tx, by, audit.Event{Action: "operator.remove", TargetType: "operator", Target: principal, Invalidates: true,
		Data: map[string]any{"former_role": string(old.Role), "reason": "deleted"}})
	return nil
}

// alive reports whether a principal can act, and holds it so until the commit.
func alive(tx *db.Tx, id string) (bool, error) {
	_, err := who.LiveTx(tx, id)
	if fault.Is(err, fault.Forbidden) || fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// GuardTx refuses, in the transaction of a principal's death, to end an
// operator with rights that by lacks, and the last owner.
func (r *Registry) GuardTx(tx *db.Tx, by audit.Actor, principal string) error {
	target, err := byPrincipal(tx, principal)
	if db.Missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := remember(tx); err != nil {
		return err
	}
	if by.Kind != "system" {
		actor, err := byPrincipal(tx, by.ID)
		if err != nil && !db.Missing(err) {
			return err
		}
		if !actor.Role.Covers(target.Role) {
			return exceeded(principal)
		}
	}
	return r.KeepOwner(tx, principal)
}

// MayTouch refuses with fault.Forbidden when principal is an operator with
// rights that by lacks: whoever could change how an owner signs in would be
// one.
func (r *Registry) MayTouch(ctx context.Context, by audit.Actor, realm, principal string) error {
	target, err := r.ByPrincipal(ctx, realm, principal)
	if fault.Is(err, fault.NotFound) || by.Kind == "system" {
		return nil
	}
	if err != nil {
		return err
	}
	actor, err := r.ByPrincipal(ctx, realm, by.ID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if !actor.Role.Covers(target.Role) {
		return exceeded(principal)
	}
	return nil
}

func exceeded(principal string) error {
	return fault.New(fault.Forbidden, "rights_exceeded", "%s has rights that you do not have", principal)
}

func unknown(principal string) error {
	return fault.New(fault.NotFound, "operator_not_found", "%q is not an operator", principal)
}
