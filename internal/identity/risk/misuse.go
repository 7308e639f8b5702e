package risk

import (
	"context"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/realm"
)

// Misused looks at a refresh token that should not have come. It is for
// grant.Store.SetOnMisuse: it runs in the transaction that refuses the token, and
// what it returns after that has committed.
func (g *Guard) Misused(tx *db.Tx, by audit.Actor, rl *realm.Realm, m grant.Misuse) (after func(context.Context, error) error, err error) {
	return g.later(tx, by, rl, m.Grant.Principal, refresh, fact{keyed: m.Keyed, unused: m.Unused}, map[string]string{"client": m.Grant.Client})
}

// CounterTx looks at the signature counter of a passkey that did not go up, in
// the transaction that notes it.
func (g *Guard) CounterTx(tx *db.Tx, by audit.Actor, rl *realm.Realm, principal, credential string, before, now int64) (after func(context.Context, error) error, err error) {
	return g.later(tx, by, rl, principal, passkey, fact{old: before, new: now}, map[string]string{"credential": credential})
}

// later has what was found while nobody signs in acted upon: a step-up is
// demanded of the next sign-in.
func (g *Guard) later(tx *db.Tx, by audit.Actor, rl *realm.Realm, who string, k kind, f fact, args map[string]string) (after func(context.Context, error) error, err error) {
	s := g.scene(tx.Now, k, by)
	s.fact = f
	found := s.look(g.limits)
	if who == "" || len(found) == 0 {
		return nil, nil
	}
	p, err := lockPerson(tx, who)
	if err != nil {
		return nil, err
	}
	revoked := false
	for _, one := range found {
		for k, v := range args {
			one.Args[k] = v
		}
		done := actionFor(rl.Settings, one.Detector)
		if done == Off || !p.again(tx.Now, one.Detector) {
			continue
		}
		if _, ended, err := g.raise(tx, by, rl.Settings, signal{Finding: one, principal: who, shown: networkOf(by.IP)}); err != nil {
			return nil, err
		} else if ended {
			revoked = true
		}
		if done == StepUp {
			if err := demandProof(tx, who, one.Detector); err != nil {
				return nil, err
			}
		}
	}
	if err := writePerson(tx, who, p); err != nil {
		return nil, err
	}
	if !revoked {
		return nil, nil
	}
	return func(ctx context.Context, err error) error { return g.finish(ctx, by, rl.Name, who, err) }, nil
}
