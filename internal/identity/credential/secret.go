package credential

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/secret"
)

// SecretPrefix begins every client secret, so that scanners know a leaked one.
const SecretPrefix = "cdk_"

// maxSecrets is how many secrets of one principal live at a time: the one in
// use and the one that replaces it.
const maxSecrets = 2

// AddSecret makes a client secret for a principal. The text is told this once;
// only its hash is kept. ttl 0 means that it does not expire.
func (s *Store) AddSecret(ctx context.Context, by audit.Actor, realm, principal, name string, ttl time.Duration) (c Credential, text secret.Text, err error) {
	err = s.db.Update(ctx, realm, func(tx *db.Tx) error {
		c, text, err = AddSecretTx(tx, by, principal, name, ttl)
		return err
	})
	if err != nil {
		return Credential{}, "", err
	}
	return c, text, nil
}

// AddSecretTx is AddSecret within a transaction, which must be serializable.
func AddSecretTx(tx *db.Tx, by audit.Actor, principal, name string, ttl time.Duration) (Credential, secret.Text, error) {
	return addSecret(tx, by, Credential{Principal: principal, Type: ClientSecret, Name: name}, ttl, func(_ string, text secret.Text) string { return hashed(string(text)) })
}

// addSecret makes a secret of c's type; keep says how it is stored.
func addSecret(tx *db.Tx, by audit.Actor, c Credential, ttl time.Duration, keep func(id string, text secret.Text) string) (Credential, secret.Text, error) {
	if err := checkName(c.Name); err != nil {
		return Credential{}, "", err
	}
	if ttl < 0 {
		return Credential{}, "", fault.New(fault.Invalid, "expiry_invalid", "a secret expires in the future").WithField("expires_in", "lies in the future")
	}
	n, err := countLiving(tx, c.Principal, c.Type)
	if err != nil {
		return Credential{}, "", err
	}
	if n >= maxSecrets {
		return Credential{}, "", fault.New(fault.Conflict, "secrets_exhausted", "two secrets live at a time; revoke one before making the next")
	}
	text := secret.New(SecretPrefix)
	c.ID = id.New("crd", tx.Now)
	c.data = keep(c.ID, text)
	if ttl > 0 {
		c.ExpiresAt = tx.Now.Add(ttl)
	}
	c, err = create(tx, by, c, "")
	return c, text, err
}

// hashed is how a secret is kept: it has 256 random bits, so there is nothing
// to guess.
func hashed(text string) string { return base64.RawURLEncoding.EncodeToString(secret.Hash(text)) }

// hashedSecret is a client secret as it is held in memory.
type hashedSecret struct {
	Credential
	hash []byte
}

func readHashed(c Credential) (hashedSecret, error) {
	hash, err := base64.RawURLEncoding.DecodeString(c.data)
	if err != nil {
		return hashedSecret{}, fault.New(fault.Internal, "secret_unreadable", "the hash of secret %s cannot be read", c.ID)
	}
	return hashedSecret{c, hash}, nil
}

// maxSecretText bounds what is hashed to be compared. A secret of another shape
// than ours has no hash among the stored ones.
const maxSecretText = 256

// CheckSecret finds which living secret of a principal text is, from memory, and
// returns the id of the credential. A wrong one is fault.Unauthenticated.
func (s *Store) CheckSecret(ctx context.Context, realm, principal string, text secret.Text) (id string, err error) {
	wrong := func() error {
		return fault.New(fault.Unauthenticated, "secret_wrong", "the secret is not one of this client")
	}
	if len(text) > maxSecretText {
		return "", wrong()
	}
	keys, err := s.keychain(ctx, realm, principal)
	if err != nil {
		return "", err
	}
	given, now := secret.Hash(string(text)), s.db.Now()
	for i := range keys.secrets {
		if c := &keys.secrets[i]; secret.Equal(c.hash, given) && c.alive(now) {
			return c.ID, nil
		}
	}
	return "", wrong()
}
