package keyring

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// Tick does what falls due with time in a realm: it starts the rotation of keys
// that have signed for longer than every (at least MinRotation), rotates the
// sealing key, and destroys the private part of keys that have retired. Call it
// about once an hour from any node; several at once do no harm. Keys change
// state by the clock alone, so a late Tick delays rotations and nothing else.
func (r *Ring) Tick(ctx context.Context, realm string, every time.Duration) error {
	every = max(every, MinRotation)
	signing, secrets, err := r.read(ctx, realm)
	if err != nil {
		return err
	}
	now := r.db.Now()
	if err := r.rotateDue(ctx, realm, signing, now.Add(PublishAhead-every)); err != nil {
		return err
	}
	if sealingDue(secrets, now) {
		if err := r.RotateSealing(ctx, audit.System, realm, false); err != nil {
			return err
		}
	}
	for _, row := range signing {
		if len(row.sealed) > 0 && row.ended(now) {
			return r.wipe(ctx, realm)
		}
	}
	for _, row := range secrets {
		if len(row.sealed) > 0 && !row.retireAt.IsZero() && !now.Before(row.retireAt) {
			return r.wipe(ctx, realm)
		}
	}
	return nil
}

// rotateDue rotates every algorithm whose newest key began before an instant.
func (r *Ring) rotateDue(ctx context.Context, realm string, rows []signingRow, before time.Time) error {
	newest := map[string]time.Time{}
	for _, row := range rows { // a pending successor is the newest and not due
		if row.RevokedAt.IsZero() && len(row.sealed) > 0 && row.ActiveFrom.After(newest[row.Alg]) {
			newest[row.Alg] = row.ActiveFrom
		}
	}
	for alg, from := range newest {
		if from.After(before) {
			continue
		}
		if _, err := r.Rotate(ctx, audit.System, realm, alg, false); err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

func sealingDue(rows []secretRow, now time.Time) bool {
	var newest time.Time
	for _, row := range rows {
		if row.purpose == sealing && row.activeFrom.After(newest) {
			newest = row.activeFrom
		}
	}
	return !newest.IsZero() && now.Sub(newest) >= sealPeriod
}

// wipe destroys what must not be used again, so that a later theft of database
// and master key cannot sign with keys that once counted.
func (r *Ring) wipe(ctx context.Context, realm string) error {
	return r.db.Update(ctx, realm, func(tx *db.Tx) error {
		rows, err := signingRows(tx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if len(row.sealed) == 0 || !row.ended(tx.Now) {
				continue
			}
			if err := wipeSigning(tx, row.ID); err != nil {
				return err
			}
			audit.Append(tx, audit.System, audit.Event{
				Action: "signing_key.wipe", TargetType: "signing_key", Target: row.ID, Invalidates: true,
				Data: map[string]any{"alg": row.Alg, "retired_at": row.RetireAt.Format(time.RFC3339)},
			})
		}
		return r.dropSecrets(tx)
	})
}

// dropSecrets deletes sealing keys that open nothing any more.
func (r *Ring) dropSecrets(tx *db.Tx) error {
	rows, err := secretRows(tx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.retireAt.IsZero() || tx.Now.Before(row.retireAt) {
			continue
		}
		if err := deleteSecret(tx, row.id); err != nil {
			return err
		}
		audit.Append(tx, audit.System, audit.Event{
			Action: "secret_key.delete", TargetType: "secret_key", Target: row.id, Invalidates: true,
			Data: map[string]any{"purpose": string(row.purpose), "generation": row.generation},
		})
	}
	return nil
}
