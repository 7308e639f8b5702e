package letter

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

// How many letters of a kind anybody can have written to one address: enough for
// somebody whose mail is slow, too few to flood a mailbox.
const (
	askedLimit  = 5
	askedWindow = time.Hour
	sweepChunk  = 1000
)

// SendAskedTx is SendTx for letters that anybody can ask for who knows an
// address, which n must name. They are counted before they are written, exactly
// over all nodes, and above the limit none is: it reports whether one was. The
// letters that a browser asks for which its owner has signed in with, named by
// asker, are counted apart: strangers who ask, asker "", use up none of them.
func (l *Letters) SendAskedTx(tx *db.Tx, n Letter, asker string) (bool, error) {
	key := principal.Canonical(n.To)
	if asker != "" {
		key += " " + asker
	}
	count, err := countLetter(tx, n.Kind, secret.Hash(key), tx.Now.Add(-askedWindow))
	if err != nil || count > askedLimit {
		return false, err
	}
	return true, l.SendTx(tx, n)
}

// Collect forgets counts that no longer matter, and reports how many rows went.
func (l *Letters) Collect(ctx context.Context, realm string) (n int64, err error) {
	err = l.DB.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		n, err = sweepQuota(tx, tx.Now.Add(-askedWindow), sweepChunk)
		return err
	})
	return n, err
}
