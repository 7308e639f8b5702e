package once

import (
	"context"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// SeenPerClient bounds how many unexpired keys one client may have remembered
// for one purpose, as counted by each node.
const SeenPerClient = 100_000

// maxQuotas bounds how many clients a node counts for at a time.
const maxQuotas = 10_000

// Key is something that a client may show once, such as the jti of a client
// assertion (RFC 7523, section 3).
type Key struct {
	Purpose Purpose
	Client  string
	Value   string
	// From is the first instant at which it would have been accepted. If the
	// log's current epoch began later, the memory of it may have been lost.
	From time.Time
	// Until is when it is refused in any case, and may be forgotten.
	Until time.Time
}

// Seen remembers a key and reports whether it was, or may have been, seen
// before: true means refuse. So it is accepted once over all nodes, restarts
// and failovers. A client that fills its bound is told to wait.
func (s *Store) Seen(ctx context.Context, realm string, k Key) (bool, error) {
	var told func() (bool, error)
	// Whatever the one statement finds, it is to be committed: so both travel together.
	err := s.db.UpdateHot(ctx, realm, func(tx *db.Tx) error {
		if k.Until.After(tx.Now) {
			if err := s.quota.take(tx, k.Purpose, k.Client, k.Until); err != nil {
				return err
			}
		}
		told = s.AskBurn(tx, k)
		return nil
	})
	if err != nil {
		return true, err
	}
	return told()
}

// AskBurn is [Store.Seen] in the caller's transaction, for values that only this
// program makes: no client can fill the table with them, so there is no bound. It
// does not wait yet.
func (s *Store) AskBurn(tx *db.Tx, k Key) func() (seen bool, err error) {
	if !k.Until.After(tx.Now) {
		return func() (bool, error) { return true, nil }
	}
	noted := note(tx, k)
	return func() (bool, error) {
		fresh, err := noted()
		if err != nil || !fresh {
			return true, err
		}
		// Asked after the statement: an epoch that rose meanwhile counts.
		_, began := s.current()
		return !k.From.After(began), nil
	}
}

// quota counts, per client, what this node let into the table in the current
// window. It starts from what the table holds, so that a restart does not
// grant a second helping.
type quota struct {
	mu      sync.Mutex
	clients map[quotaKey]*allowance
}

type quotaKey struct{ realm, purpose, client string }

type allowance struct {
	used  int64
	until time.Time // when all that was counted has expired
}

func (q *quota) take(tx *db.Tx, p Purpose, client string, until time.Time) error {
	key := quotaKey{tx.Realm, string(p), client}
	q.mu.Lock()
	a := q.clients[key]
	known := a != nil && tx.Now.Before(a.until) && a.used < SeenPerClient
	if known {
		a.used++
		a.until = later(a.until, until)
	}
	q.mu.Unlock()
	if known {
		return nil
	}
	used, err := crowd(tx, p, client, SeenPerClient)
	if err != nil {
		return err
	}
	if used >= SeenPerClient {
		return fault.New(fault.TooMany, "assertions_exhausted", "client %q has too many unexpired assertions; let them expire or make them shorter", client).WithRetry(30 * time.Second)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.clients == nil || len(q.clients) >= maxQuotas {
		q.clients = map[quotaKey]*allowance{}
	}
	q.clients[key] = &allowance{used: used + 1, until: until}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
