package life

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

// How many letters strangers can have sent, for one purpose, to one address or
// person: enough for somebody whose mail is slow, too few to flood a mailbox.
const (
	letterLimit  = 5
	letterWindow = time.Hour
)

// admit counts a letter before it is written, exactly on all nodes together, and
// reports whether it may be sent. key is an address or a person's id.
func admit(tx *db.Tx, w what, key string) (bool, error) {
	n, err := countLetter(tx, w, secret.Hash(principal.Canonical(key)), tx.Now.Add(-letterWindow))
	return n <= letterLimit, err
}

// Collect forgets what no longer matters: counts of letters, and invitations that
// ended long ago. It reports how many rows went.
func (d *Desk) Collect(ctx context.Context, realm string) (n int64, err error) {
	err = d.DB.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		if n, err = sweepLimits(tx, tx.Now.Add(-letterWindow)); err != nil {
			return err
		}
		for _, sweep := range []func(*db.Tx) (int64, error){endExpired, sweepInvitations} {
			more, err := sweep(tx)
			if err != nil {
				return err
			}
			n += more
		}
		return nil
	})
	return n, err
}
