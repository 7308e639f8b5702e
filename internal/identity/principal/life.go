package principal

import (
	"context"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// Live returns a principal from memory if it may act now: it is active and not
// expired, and so are its owners. Otherwise the error is fault.Forbidden, or
// fault.NotFound if there never was one.
func (d *Directory) Live(ctx context.Context, realm, id string) (Life, error) {
	return chain(id, d.db.Now(), func(id string) (*Principal, error) { return d.Cached(ctx, realm, id) })
}

// PeekLive is Live for a transaction, which must not wait for another one: it
// reports false unless all that it takes is in memory and alive.
func (d *Directory) PeekLive(realm, id string, now time.Time) (Life, bool) {
	life, err := chain(id, now, func(id string) (*Principal, error) {
		p, ok := d.cached.Peek(realm, id)
		if !ok {
			return nil, unknown(id)
		}
		return p, nil
	})
	return life, err == nil
}

// LiveTx is Live for what is to be born below the principal in this
// transaction, and keeps the era.
func LiveTx(tx *db.Tx, id string) (Life, error) { return AskLive(tx, id)() }

// AskLive asks for what LiveTx returns, without waiting yet. The answer may be
// looked at more than once.
func AskLive(tx *db.Tx, id string) func() (Life, error) {
	answer := askFlagged(tx, id)
	return sync.OnceValues(func() (Life, error) {
		flags := false
		life, err := chain(id, tx.Now, func(link string) (p *Principal, err error) {
			if link != id {
				return byID(tx, link)
			}
			p, flags, err = answer()
			return p, err
		})
		life.Flagged = flags
		return life, err
	})
}

// chain walks from a principal up to its last owner.
func chain(id string, now time.Time, read func(id string) (*Principal, error)) (Life, error) {
	var life Life
	for next, links := id, 0; next != ""; links++ {
		if links > maxOwners {
			return Life{}, dead(id)
		}
		p, err := read(next)
		if err != nil {
			return Life{}, err
		}
		if p.State != Active || !p.ExpiresAt.IsZero() && !now.Before(p.ExpiresAt) {
			return Life{}, dead(id)
		}
		if !p.ExpiresAt.IsZero() && (life.Until.IsZero() || p.ExpiresAt.Before(life.Until)) {
			life.Until = p.ExpiresAt
		}
		if life.Principal == nil {
			life.Principal = p
			life.Era = p.Signouts
		} else {
			life.Owners = append(life.Owners, p.ID)
		}
		life.Era += p.Life
		next = p.Owner
	}
	return life, nil
}

// livingOwners counts the owners from id upward, id included, all of them alive.
func livingOwners(tx *db.Tx, id string) (int, error) {
	n := 0
	_, err := chain(id, tx.Now, func(id string) (*Principal, error) {
		n++
		return byID(tx, id)
	})
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return 0, invalid("owner", "is not a living principal")
	}
	return n, err
}

// checkOwner refuses an owner below id, or so far up that a chain through id
// gets longer than owners may.
func checkOwner(tx *db.Tx, id, owner string) error {
	if owner == "" {
		return nil
	}
	above, err := livingOwners(tx, owner)
	if err != nil {
		return err
	}
	below, loops, err := ownedBelow(tx, id, owner)
	if err != nil {
		return err
	}
	if loops {
		return invalid("owner", "is owned by the principal itself")
	}
	if above+below > maxOwners {
		return invalid("owner", "chains have at most 8 links")
	}
	return nil
}

// OwnedBelow lists the ids of everything that a principal owns, directly or
// through others, whatever its state: what dies with it.
func (d *Directory) OwnedBelow(ctx context.Context, realm, id string) (ids []string, err error) {
	err = d.db.View(ctx, realm, func(tx *db.Tx) error {
		ids, err = ownedIDs(tx, id)
		return err
	})
	return ids, err
}

// own makes owner the owner of p, so that the era rises: sums over the owners
// that were there before must not return.
func (p *Principal) own(tx *db.Tx, owner string) error {
	before, err := eraOf(tx, p.Owner)
	if err != nil {
		return err
	}
	after, err := eraOf(tx, owner)
	if err != nil {
		return err
	}
	p.Owner = owner
	p.Life += max(before-after, 0) + 1
	return nil
}

// eraOf sums the lives of a principal and its owners, whatever their state.
func eraOf(tx *db.Tx, id string) (era int64, err error) {
	for links := 0; id != "" && links <= maxOwners; links++ {
		p, err := byID(tx, id)
		if err != nil {
			return 0, err
		}
		era, id = era+p.Life, p.Owner
	}
	return era, nil
}

// Suspend stops a principal, and all it owns, from doing anything until it is
// activated again. It is a death: callers end what hangs on the principal
// afterwards, which package grant does in one call.
func (d *Directory) Suspend(ctx context.Context, by audit.Actor, realm, id, reason string) error {
	return d.db.Update(ctx, realm, func(tx *db.Tx) error { return SuspendTx(tx, by, id, reason) })
}

// SuspendTx is Suspend within a transaction. A principal that is suspended
// already stays so, and the commit waits as for the first time.
func SuspendTx(tx *db.Tx, by audit.Actor, id, reason string) error {
	p, err := undeleted(tx, id, 0)
	if err != nil {
		return err
	}
	if p.State == Suspended {
		audit.Barrier(tx)
		return nil
	}
	if err := setState(tx, id, Suspended, 1); err != nil {
		return err
	}
	audit.Append(tx, by, audit.Event{Action: "principal.suspend", TargetType: string(p.Kind), Target: id,
		Data: map[string]any{"reason": reason}, Invalidates: true, Cut: cut(id)})
	return nil
}

// SignOut is the action of the event that [EndEraTx] appends.
const SignOut = "principal.sign_out"

// EndEraTx makes dead all that was born of a principal so far, in the
// transaction of whatever demands it, such as a new password. It is a death
// that leaves the principal alive: what hangs on it is found and ended
// afterwards, which package grant does, but is dead whether or not that
// happens. What the principal owns is not touched.
func EndEraTx(tx *db.Tx, by audit.Actor, id, reason string) error {
	p, err := undeleted(tx, id, 0)
	if err != nil {
		return err
	}
	if err := signOut(tx, id); err != nil {
		return err
	}
	audit.Append(tx, by, audit.Event{Action: SignOut, TargetType: string(p.Kind), Target: id,
		Data: map[string]any{"reason": reason}, Invalidates: true, Cut: cut(id)})
	return nil
}

// cut refuses every token of a principal that was minted before.
func cut(id string) *audit.Cutoff { return &audit.Cutoff{Kind: "principal", ID: id} }

// Activate lets a suspended principal act again. What was ended by the
// suspension stays ended.
func (d *Directory) Activate(ctx context.Context, by audit.Actor, realm, id string) error {
	return d.db.Update(ctx, realm, func(tx *db.Tx) error {
		_, err := ActivateTx(tx, by, id)
		return err
	})
}

// ActivateTx is Activate within a transaction. It reports whether the principal
// was not active before.
func ActivateTx(tx *db.Tx, by audit.Actor, id string) (bool, error) {
	p, err := undeleted(tx, id, 0)
	if err != nil || p.State == Active {
		return false, err
	}
	if err := setState(tx, id, Active, 0); err != nil {
		return false, err
	}
	audit.Append(tx, by, audit.Event{Action: "principal.activate", TargetType: string(p.Kind), Target: id, Invalidates: true})
	return true, nil
}

// Delete ends a principal for ever and erases its personal data: names,
// addresses, profile and memberships. Its id stays taken. Like Suspend it is a
// death whose descendants package grant ends.
func (d *Directory) Delete(ctx context.Context, by audit.Actor, realm, id string) error {
	return d.db.Update(ctx, realm, func(tx *db.Tx) error { return DeleteTx(tx, by, id) })
}

// DeleteTx is Delete within a transaction. A principal that is deleted already
// stays so, and the commit waits as for the first time.
func DeleteTx(tx *db.Tx, by audit.Actor, id string) error {
	p, err := byID(tx, id)
	if err != nil {
		return err
	}
	if p.State == Deleted {
		audit.Barrier(tx)
		return nil
	}
	if err := bury(tx, id); err != nil {
		return err
	}
	audit.Append(tx, by, audit.Event{Action: "principal.delete", TargetType: string(p.Kind), Target: id, Invalidates: true, Cut: cut(id)})
	return nil
}

// flagsAtOnce is how many flags one transaction looks at.
const flagsAtOnce = 100

// Unflag clears the flags of those for whom still says that there is nothing to be
// looked for any more. The triggers of risk_holds and departures set the flag, in the
// transactions that write there. What is committed before still runs is seen by it,
// and what is committed later sets the flag again: the row that both write is held.
func (d *Directory) Unflag(ctx context.Context, realm string, still func(tx *db.Tx, id string) (bool, error)) error {
	for after, more := "", true; more; {
		var ids []string
		err := d.db.UpdateRC(ctx, realm, func(tx *db.Tx) (err error) {
			if ids, err = lockFlagged(tx, after, flagsAtOnce); err != nil {
				return err
			}
			for _, id := range ids {
				kept, err := still(tx, id)
				if err == nil && !kept {
					err = unflag(tx, id)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if more = len(ids) == flagsAtOnce; more {
			after = ids[flagsAtOnce-1]
		}
	}
	return nil
}
