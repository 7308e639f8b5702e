package life

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// SuspendingTx tells, in the transaction of a principal's suspension and before
// it, a person about it. The sign-in page tells nobody.
func (d *Desk) SuspendingTx(tx *db.Tx, id string) error {
	p, err := principal.ByIDTx(tx, id)
	if err != nil || p.Kind != principal.Person || p.State != principal.Active {
		return err
	}
	return d.tell(tx, p, "suspended", time.Time{})
}

// Activate lets a suspended principal act again, and tells a person so.
func (d *Desk) Activate(ctx context.Context, by audit.Actor, realm, id string) error {
	return d.DB.Update(ctx, realm, func(tx *db.Tx) error {
		woken, err := principal.ActivateTx(tx, by, id)
		if err != nil || !woken {
			return err
		}
		p, err := principal.ByIDTx(tx, id)
		if err != nil || p.Kind != principal.Person {
			return err
		}
		return d.tell(tx, p, "activated", time.Time{})
	})
}
