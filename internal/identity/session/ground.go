package session

import (
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// Ground is what a session stands on: asked for once in a transaction, and held
// until its end.
type Ground struct {
	tx       *db.Tx
	who      string
	life     func() (principal.Life, error)
	proofs   map[string]func() (credential.Credential, error)
	last     func() (*credential.Visit, error)
	remember func(habit string) error
	habit    string
}

// AskGround asks for a principal and credentials of theirs, without waiting yet.
// Where a session is to begin it also notes the browser with the given mark.
func AskGround(tx *db.Tx, who, browser string, credentials ...string) *Ground {
	g := &Ground{tx: tx, who: who, life: principal.AskLive(tx, who), proofs: map[string]func() (credential.Credential, error){}}
	for _, id := range credentials {
		g.ask(id)
	}
	g.last, g.remember = credential.AskRemember(tx, who, browser)
	return g
}

// Holds says that a credential is held already, and is what held returns.
func (g *Ground) Holds(id string, held func() (credential.Credential, error)) { g.proofs[id] = held }

func (g *Ground) ask(id string) func() (credential.Credential, error) {
	if g.proofs[id] == nil {
		g.proofs[id] = credential.AskLive(g.tx, id)
	}
	return g.proofs[id]
}

// Life is that of the principal, as principal.LiveTx.
func (g *Ground) Life() (principal.Life, error) { return g.life() }

// Credential is one that was asked for, as credential.LiveTx.
func (g *Ground) Credential(id string) (credential.Credential, error) { return g.ask(id)() }

// Visit is the last sign-in of the browser that was noted to the account.
func (g *Ground) Visit() (*credential.Visit, error) { return g.last() }

// Notes has a habit be noted with the browser, where a session begins.
func (g *Ground) Notes(habit string) { g.habit = habit }

// of returns the ground that was asked for in this transaction for a principal, or
// asks for it.
func (g *Ground) of(tx *db.Tx, who, browser, proof string) *Ground {
	if g == nil || g.tx != tx || g.who != who {
		return AskGround(tx, who, browser, proof)
	}
	return g
}
