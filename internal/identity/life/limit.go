package life

import (
	"context"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

// How many letters strangers can have sent, for one purpose, to one address or
// person: enough for somebody whose mail is slow, too few to flood a mailbox.
const (
	letterLimit  = 5
	letterWindow = time.Hour
)

// admitAsker is admit for what anybody can ask for. The letters that a browser
// asks for which the person has signed in with are counted apart, so that
// strangers use up none of them; there are few such browsers.
func admitAsker(tx *db.Tx, w what, person, browser string) (bool, error) {
	known, err := credential.KnownBrowserTx(tx, person, browser)
	if err != nil {
		return false, err
	}
	return admit(tx, w, strings.TrimSpace(person+" "+known))
}

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
