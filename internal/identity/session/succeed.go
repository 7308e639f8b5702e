package session

import (
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// SucceedTx lets somebody stay signed in with one browser who, in the same
// transaction, made all their sessions dead: a session takes the place of another
// until when that one could have lived, under a new secret. p is what it rests
// on. The other one ends.
func (s *Store) SucceedTx(tx *db.Tx, by audit.Actor, settings realm.Settings, old *Session, p Proof, reason string) (Begun, error) {
	text := secret.New(SecretPrefix)
	e := *old
	e.ID, e.CreatedAt = id.New("ses", tx.Now), tx.Now
	if err := e.prove(tx, settings, text, p); err != nil {
		return Begun{}, err
	}
	if _, err := s.EndTx(tx, by, old.ID, reason); err != nil {
		return Begun{}, err
	}
	if err := insert(tx, &e); err != nil {
		return Begun{}, err
	}
	audit.Append(tx, by, audit.Event{Action: "session.succeed", TargetType: "session", Target: e.ID,
		Data: map[string]any{"principal": e.Principal, "credential": e.Credential, "replaces": old.ID, "acr": e.ACR}, Invalidates: true})
	return Begun{&e, text}, nil
}
