package life

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/action"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/letter"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

// dueAtOnce is how many accounts one call of DeleteDue deletes.
const dueAtOnce = 100

// Leaves reports whether people of a realm may delete their account.
func (d *Desk) Leaves(r *realm.Realm) bool { return r.Settings.AccountDeletion == realm.On }

// Leave has a person's account deleted when the realm's time to think it over is
// up, and tells when that is. Until then it is dormant: everything is signed out
// now, and whoever signs in has to [Desk.Stay] first.
func (d *Desk) Leave(ctx context.Context, by audit.Actor, r *realm.Realm, id string) (due time.Time, err error) {
	if !d.Leaves(r) {
		return time.Time{}, NotOffered()
	}
	err = d.DB.Update(ctx, r.Name, func(tx *db.Tx) error {
		p, err := principal.ByIDTx(tx, id)
		if err != nil {
			return err
		}
		if err := d.keep(tx, by, id); err != nil {
			return err
		}
		due = tx.Now.Add(r.Settings.DeletionGrace)
		if err := insertDeparture(tx, id, due); err != nil {
			return err
		}
		if due, err = departureOf(tx, id); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "principal.leave", TargetType: string(principal.Person), Target: id, Data: map[string]any{"due": due.Format(time.RFC3339)}})
		if err := principal.EndEraTx(tx, by, id, "account to be deleted"); err != nil {
			return err
		}
		return d.tell(tx, p, "deletion_asked", due)
	})
	return due, d.Grants.FinishSignOut(ctx, by, r.Name, id, "account to be deleted", err)
}

// keep refuses to end somebody who must stay.
func (d *Desk) keep(tx *db.Tx, by audit.Actor, id string) error {
	if d.Keep == nil {
		return nil
	}
	return d.Keep(tx, by, id)
}

// tell sends a letter about the person's own account, where they can be reached.
func (d *Desk) tell(tx *db.Tx, p *principal.Principal, kind string, until time.Time) error {
	to := reachable(p, "")
	if to == "" || !d.Mail() {
		return nil
	}
	l := letter.Letter{Kind: kind, Principal: p.ID, To: to}
	if !until.IsZero() {
		l.Data = map[string]string{"until": until.Format(time.RFC3339)}
	}
	return d.Send(tx, l)
}

// Leaving tells when a person's account is to be deleted; the zero time: it is
// not.
func (d *Desk) Leaving(ctx context.Context, realm, id string) (due time.Time, err error) {
	err = d.DB.Glance(ctx, realm, func(tx *db.Tx) error {
		due, err = departureOf(tx, id)
		return err
	})
	return due, err
}

// AskLeaving asks for what Leaving tells, in a transaction and without waiting yet.
func (d *Desk) AskLeaving(tx *db.Tx, id string) func() (due time.Time, err error) {
	return askDeparture(tx, id)
}

// LeavesTx reports whether a person's account is to be deleted.
func LeavesTx(tx *db.Tx, id string) (bool, error) {
	due, err := departureOf(tx, id)
	return !due.IsZero(), err
}

// dormant refuses somebody whose account is to be deleted.
func dormant(tx *db.Tx, id string) error {
	due, err := departureOf(tx, id)
	if err != nil || due.IsZero() {
		return err
	}
	return fault.New(fault.Forbidden, "account_leaving", "the account is to be deleted; its owner keeps it by signing in")
}

// Stay lets a person who has just proved who they are keep their account. When
// the time is up it is fault.Forbidden, also where nothing was deleted yet.
func (d *Desk) Stay(ctx context.Context, by audit.Actor, realm, id string) error {
	return d.DB.Update(ctx, realm, func(tx *db.Tx) error {
		due, err := departureOf(tx, id)
		if err != nil || due.IsZero() {
			return err
		}
		if !tx.Now.Before(due) {
			return fault.New(fault.Forbidden, "account_deleted", "the time to keep the account is over")
		}
		if _, err := deleteDeparture(tx, id); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "principal.stay", TargetType: string(principal.Person), Target: id})
		p, err := principal.ByIDTx(tx, id)
		if err != nil {
			return err
		}
		return d.tell(tx, p, "deletion_cancelled", time.Time{})
	})
}

// DeleteDue deletes accounts whose time is up, and reports how many. Whoever
// must stay by then, such as a realm's last owner, stays for as long as that is so.
func (d *Desk) DeleteDue(ctx context.Context, realm string) (n int64, err error) {
	var all []departure
	err = d.DB.View(ctx, realm, func(tx *db.Tx) error {
		all, err = dueDepartures(tx, dueAtOnce)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, one := range all {
		err := d.deleteDue(ctx, realm, one.person)
		if fault.Is(err, fault.Conflict) {
			continue
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (d *Desk) deleteDue(ctx context.Context, realm, id string) error {
	return d.delete(ctx, audit.System, realm, id, "deleted by its owner", func(tx *db.Tx) error {
		due, err := departureOf(tx, id)
		if err != nil {
			return err
		}
		if due.IsZero() || tx.Now.Before(due) {
			return fault.New(fault.Conflict, "account_kept", "its owner came back")
		}
		if err := d.keep(tx, audit.System, id); err != nil {
			return err
		}
		p, err := principal.ByIDTx(tx, id)
		if err != nil || p.State == principal.Deleted || reachable(p, "") == "" || !d.Mail() {
			return err
		}
		return d.Send(tx, letter.Letter{Kind: "deleted", To: reachable(p, ""), Locale: p.Locale})
	})
}

// forget ends, in the transaction of a person's end, what is on its way for them.
func (d *Desk) forget(tx *db.Tx, id string) error {
	for _, k := range []action.Kind{setPassword(0), verifyEmail, changeEmail, undoEmail} {
		if err := d.Links.EndTx(tx, k, id); err != nil {
			return err
		}
	}
	_, err := deleteDeparture(tx, id)
	return err
}

// Delete ends a principal for ever at once, with what it has open: what is left
// is a tombstone without personal data. guard runs first in its transaction.
func (d *Desk) Delete(ctx context.Context, by audit.Actor, realm, id, reason string, guard grant.Guard) error {
	return d.delete(ctx, by, realm, id, reason, guard)
}

func (d *Desk) delete(ctx context.Context, by audit.Actor, realm, id, reason string, guard grant.Guard) error {
	err := d.Grants.DeletePrincipal(ctx, by, realm, id, reason, func(tx *db.Tx) error {
		if guard != nil {
			if err := guard(tx); err != nil {
				return err
			}
		}
		for _, forget := range d.Forget {
			if err := forget(tx, by, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || d.Erase == nil {
		return err
	}
	return d.Erase(ctx, by, realm, id)
}
