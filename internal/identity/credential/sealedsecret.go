package credential

import (
	"context"
	"encoding/base64"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/secret"
)

// SharedSecret is a living secret that both its client and we can compute with.
type SharedSecret struct {
	Credential
	Text secret.Text
}

// AddSealedSecretTx makes a secret as AddSecretTx does, for a client that never
// shows it but signs with it (client_secret_jwt). It is kept sealed under the
// master key: whoever has that and the database can act as the client. The
// transaction must be serializable.
func (s *Store) AddSealedSecretTx(tx *db.Tx, by audit.Actor, principal, name string, ttl time.Duration) (Credential, secret.Text, error) {
	return addSecret(tx, by, Credential{Principal: principal, Type: SealedSecret, Name: name}, ttl, func(id string, text secret.Text) string {
		return base64.RawURLEncoding.EncodeToString(s.box.Seal([]byte(string(text)), sealedPlace(tx.Realm, principal, id)...))
	})
}

// AddSealedSecret is AddSealedSecretTx in a transaction of its own.
func (s *Store) AddSealedSecret(ctx context.Context, by audit.Actor, realm, principal, name string, ttl time.Duration) (c Credential, text secret.Text, err error) {
	err = s.db.Update(ctx, realm, func(tx *db.Tx) error {
		c, text, err = s.AddSealedSecretTx(tx, by, principal, name, ttl)
		return err
	})
	if err != nil {
		return Credential{}, "", err
	}
	return c, text, nil
}

// SharedSecrets returns the living sealed secrets of a principal, from memory.
func (s *Store) SharedSecrets(ctx context.Context, realm, principal string) ([]SharedSecret, error) {
	keys, err := s.keychain(ctx, realm, principal)
	if err != nil {
		return nil, err
	}
	now := s.db.Now()
	return slices.DeleteFunc(slices.Clone(keys.shared), func(x SharedSecret) bool { return !x.alive(now) }), nil
}

// open reads a sealed secret. It opens only in the row that it was made for.
func (s *Store) open(realm string, c Credential) (SharedSecret, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(c.data)
	if err == nil {
		var text []byte
		if text, err = s.box.Open(sealed, sealedPlace(realm, c.Principal, c.ID)...); err == nil {
			return SharedSecret{c, secret.Text(text)}, nil
		}
	}
	return SharedSecret{}, fault.New(fault.Internal, "secret_unreadable", "secret %s cannot be opened: %s", c.ID, err)
}

func sealedPlace(realm, principal, id string) []string {
	return []string{realm, "credential", principal, id}
}
