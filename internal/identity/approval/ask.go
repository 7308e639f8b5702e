package approval

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/secret"
)

// New describes a request to be decided.
type New struct {
	Kind    Kind
	Client  string
	Subject string
	Asked
	// Token is the client's own secret with which it is told the answer, in the
	// modes in which it is told.
	Token secret.Text
	Life  time.Duration
	Wait  time.Duration // the least time between two polls at first
}

// Begun is a request with the one telling of its codes.
type Begun struct {
	ID       string
	Code     secret.Text // the client's
	UserCode string      // as people read it; "" where a subject is known
	Life     time.Duration
	Wait     time.Duration
}

// codeTries is how often a user code may be taken before we give up. Of 20^8
// codes a million would have to be pending for one try in 25,000 to fail.
const codeTries = 5

// How many requests may wait for one person: of one client, and of all. More
// would tire whoever has to tell which of them is right.
const (
	mostOfClient = 5
	mostOfAll    = 20
)

// Ask begins a request. One without a subject gets a user code.
func (s *Store) Ask(ctx context.Context, realm string, n New) (Begun, error) {
	b := Begun{Code: secret.New(n.Kind.Prefix()), Life: n.Life, Wait: n.Wait}
	for range codeTries {
		code := ""
		if n.Subject == "" {
			code = newUserCode()
		}
		free, begin := false, s.db.UpdateRC
		if n.Subject != "" {
			begin = s.db.Update // what is counted must not change meanwhile
		}
		err := begin(ctx, realm, func(tx *db.Tx) (err error) {
			r := Request{ID: id.New("apr", tx.Now), Kind: n.Kind, Client: n.Client, Subject: n.Subject, Asked: n.Asked, Wait: n.Wait,
				Expires: tx.Now.Add(n.Life), epoch: s.epoch()}
			b.ID = r.ID
			if n.Subject != "" {
				if err := room(tx, n, s.epoch()); err != nil {
					return err
				}
			}
			if n.Token != "" {
				if r.sealed, err = s.seal(tx.Realm, r.ID, Secrets{Code: string(b.Code), Token: string(n.Token)}); err != nil {
					return err
				}
			}
			if free, err = insert(tx, r, secret.Hash(string(b.Code)), codeHash(code)); err != nil || !free {
				return err
			}
			return each(s.onAsk, tx, &r)
		})
		if err != nil {
			return Begun{}, err
		}
		if free {
			b.UserCode = ShowCode(code)
			return b, nil
		}
	}
	return Begun{}, fault.New(fault.Unavailable, "user_codes_taken", "no user code is free; try again").WithRetry(time.Second)
}

// room refuses a request of which too many wait.
func room(tx *db.Tx, n New, epoch int64) error {
	ofClient, all, err := countOpen(tx, n.Subject, n.Client, epoch, mostOfAll)
	if err != nil {
		return err
	}
	if ofClient >= mostOfClient || all >= mostOfAll {
		return fault.New(fault.TooMany, "approvals_open", "too many requests wait for this person; let them be decided or end").WithRetry(30 * time.Second)
	}
	return nil
}
