package risk

import (
	"context"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// Disown is what somebody sets off who says that something at their account was
// not them. By one commit every session and grant is dead, the password opens
// nothing but its own replacement, no browser is believed any more, the next
// sign-in asks for a factor, or a code by mail where there is none, and an incident
// is open: whoever else knows the password does not replace it. first, which may be
// nil, runs before in the same transaction: its error stops all.
func (g *Guard) Disown(ctx context.Context, by audit.Actor, realm, person string, first func(tx *db.Tx) error) error {
	err := g.DB.Update(ctx, realm, func(tx *db.Tx) error {
		if first != nil {
			if err := first(tx); err != nil {
				return err
			}
		}
		if err := credential.CompromisedTx(tx, by, person); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err := disbelieve(tx, person); err != nil {
			return err
		}
		if err := demandProof(tx, person, NotMe); err != nil {
			return err
		}
		if err := principal.EndEraTx(tx, by, person, NotMe); err != nil {
			return err
		}
		_, err := Open(tx, by, Report{Principal: person, Finding: NotMine()})
		return err
	})
	return g.Grants.FinishSignOut(ctx, by, realm, person, NotMe, err)
}

// Restored is the alarm of a person who took back an address that somebody else
// gave their account: no browser is believed any more, and an incident is open.
// No factor is asked for, since there may be none but a thief's.
func Restored(tx *db.Tx, by audit.Actor, person string) error {
	if err := disbelieve(tx, person); err != nil {
		return err
	}
	_, err := Open(tx, by, Report{Principal: person, Finding: Finding{Detector: NotMe, Reason: "risk.restored", Args: map[string]string{}}})
	return err
}

// disbelieve has no browser pass for one that signed in before. Where they signed in
// from stays remembered.
func disbelieve(tx *db.Tx, person string) error {
	if err := gather(tx, person); err != nil {
		return err
	}
	return credential.DisbelieveTx(tx, person)
}
