package approval

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/secret"
)

// Outcome is what a client is told when it asks how its request went. The zero
// value refuses.
type Outcome int

// The outcomes. Only Ready lets the caller go on to [Store.ConsumeTx], and only
// OK to what follows.
const (
	Unknown Outcome = iota // no such code of this client
	Waiting                // nobody has decided
	Hasty                  // nor that, and the client asked too early: Wait has grown
	Ready                  // approved and not used
	OK                     // used up by this very call
	Refused                // denied
	Expired                // its time was over before it was used, or its epoch is
	Reused                 // it was used before: revoke what Issued names
)

// Slower is how much longer a client must wait from then on when it has asked
// too early (RFC 8628, section 3.5).
const Slower = 5 * time.Second

// early is how much too early a question may come without being called so:
// timers and networks are not exact.
const early = 250 * time.Millisecond

// Poll answers a client's question how its request went, and notes that it
// asked. Whether it asked too early is decided by the statement that notes it,
// by the database's time: the same on all nodes.
func (s *Store) Poll(ctx context.Context, realm string, k Kind, client, code string) (r *Request, o Outcome, err error) {
	hash := secret.Hash(code)
	err = s.db.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		r, err = poll(tx, k, client, hash, s.epoch())
		if err == nil {
			o = Waiting
			if r.hasty {
				o = Hasty
			}
			return nil
		}
		if !db.Missing(err) {
			return err
		}
		r, o, err = s.look(tx, k, client, hash)
		return err
	})
	return r, o, err
}

// ConsumeTx uses an approved request up for the grant that will be issued. Of
// any number of attempts one gets OK. A refusal is an outcome and not an error,
// so that the caller can leave a mark in the same transaction.
func (s *Store) ConsumeTx(tx *db.Tx, k Kind, client, code, issues string) (*Request, Outcome, error) {
	hash := secret.Hash(code)
	r, err := consume(tx, k, client, hash, issues, s.epoch())
	if err == nil {
		return r, OK, nil
	}
	if !db.Missing(err) {
		return nil, Unknown, err
	}
	r, o, err := s.look(tx, k, client, hash)
	if o == Ready {
		o = Unknown // the statement above decides, not this reading
	}
	return r, o, err
}

// look says what stands against a request that is not pending, or not as the
// statements before would have it.
func (s *Store) look(tx *db.Tx, k Kind, client string, hash []byte) (*Request, Outcome, error) {
	r, err := byHash(tx, k, client, hash)
	switch {
	case db.Missing(err):
		return nil, Unknown, nil
	case err != nil:
		return nil, Unknown, err
	case r.State == Consumed:
		return r, Reused, nil
	case r.State == Denied:
		return r, Refused, nil
	case r.epoch != s.epoch() || !tx.Now.Before(r.Expires):
		return r, Expired, nil
	case r.State == Approved:
		return r, Ready, nil
	}
	return r, Waiting, nil // decided or asked about by somebody else at this moment
}
