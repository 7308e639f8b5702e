package registration

import (
	"context"
	"errors"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/realm"
)

// sweepChunk is how many registrations one sweep looks at.
const sweepChunk = 500

// Sweep deletes clients that registered themselves and to whom nobody gave
// anything for as long as the realm allows. It returns how many registrations
// it looked at.
func (r *Registry) Sweep(ctx context.Context, rl *realm.Realm) (int64, error) {
	since := r.db.Now().Add(-rl.Settings.RegistrationUnused)
	var list []string
	err := r.db.View(ctx, rl.Name, func(tx *db.Tx) (err error) {
		list, err = idle(tx, db.At(since), sweepChunk)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, id := range list {
		if err := r.sweepOne(ctx, rl.Name, id); err != nil {
			return 0, err
		}
	}
	err = r.db.UpdateRC(ctx, rl.Name, func(tx *db.Tx) error {
		_, err := sweepTokens(tx, db.At(tx.Now.Add(-initialKept)))
		return err
	})
	return int64(len(list)), err
}

// sweepOne deletes one client unless it was ever given something: a client in
// use is looked at again after the same time.
func (r *Registry) sweepOne(ctx context.Context, name, id string) error {
	used, gone := false, false
	err := r.db.Update(ctx, name, func(tx *db.Tx) error {
		_, err := client.ByIDTx(tx, id)
		if gone = fault.Is(err, fault.NotFound); gone {
			return remove(tx, id) // an operator deleted the client
		}
		if err != nil {
			return err
		}
		if used, err = grant.UsedTx(tx, id); err != nil || !used {
			return err
		}
		return kept(tx, id)
	})
	if err != nil || used || gone {
		return err
	}
	err = r.grants.DeleteClient(ctx, audit.System, name, id, 0, func(tx *db.Tx) error {
		used, err := grant.UsedTx(tx, id)
		if err == nil && used {
			return errInUse
		}
		if err == nil {
			err = remove(tx, id)
		}
		return err
	})
	if fault.Is(err, fault.NotFound) || errors.Is(err, errInUse) {
		return nil
	}
	return err
}

// errInUse stops the deletion of a client that was just given something.
var errInUse = errors.New("the client was just given something")
