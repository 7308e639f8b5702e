package credential

import (
	"context"
	"slices"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/jose"
)

// maxKeys bounds the public keys of one principal, and so what an assertion
// without a key id may cost.
const maxKeys = 10

// RegisteredKey is a public key that a principal signs its assertions with
// (RFC 7523). The credential's name is the key's id.
type RegisteredKey struct {
	Credential
	Key *jose.PublicKey
}

// SetKeys makes the keys of a JSON Web Key Set those of the principal: new ones
// are added, missing ones revoked, equal ones kept. It returns the ids of the
// revoked credentials, whose descendants package grant ends.
func (s *Store) SetKeys(ctx context.Context, by audit.Actor, realm, principal string, jwks []byte) (revoked []string, err error) {
	err = s.db.Update(ctx, realm, func(tx *db.Tx) error {
		revoked, err = SetKeysTx(tx, by, principal, jwks)
		return err
	})
	return revoked, err
}

// SetKeysTx is SetKeys within a transaction, which must be serializable.
func SetKeysTx(tx *db.Tx, by audit.Actor, principal string, jwks []byte) (revoked []string, err error) {
	set, err := ParseKeys(jwks)
	if err != nil {
		return nil, err
	}
	all, err := living(tx, principal)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if c.Type != PublicKey {
			continue
		}
		i := slices.IndexFunc(set, func(k *jose.PublicKey) bool { return string(k.JWK()) == c.data })
		if i >= 0 {
			set = slices.Delete(set, i, i+1)
			continue
		}
		if err := RevokeTx(tx, by, c.ID, "key removed"); err != nil {
			return nil, err
		}
		revoked = append(revoked, c.ID)
	}
	for _, k := range set {
		c := Credential{Principal: principal, Type: PublicKey, Name: k.ID, data: string(k.JWK())}
		if _, err := create(tx, by, c, ""); err != nil {
			return nil, err
		}
	}
	return revoked, nil
}

// AddKeySetTx notes the URL at which a principal publishes its keys, in place of
// the one it had, so that what it obtains with them hangs on a credential that
// can be revoked. An empty URL only ends the old one. Fetching is the business
// of whoever authenticates the client. The transaction must be serializable.
func AddKeySetTx(tx *db.Tx, by audit.Actor, principal, url string) (Credential, error) {
	if len(url) > 1000 {
		return Credential{}, fault.New(fault.Invalid, "jwks_uri_invalid", "the URL of a key set has at most 1000 characters").WithField("jwks_uri", "at most 1000 characters")
	}
	all, err := living(tx, principal)
	if err != nil {
		return Credential{}, err
	}
	for _, c := range all {
		if c.Type != KeySet {
			continue
		}
		if c.data == url {
			return c, nil
		}
		if err := RevokeTx(tx, by, c.ID, "key set replaced"); err != nil {
			return Credential{}, err
		}
	}
	if url == "" {
		return Credential{}, nil
	}
	return create(tx, by, Credential{Principal: principal, Type: KeySet, Name: "jwks_uri", data: url}, "")
}

// ParseKeys reads a JSON Web Key Set as SetKeys accepts it: 1 to 10 public
// signature keys with different ids. A key without an id gets its RFC 7638
// thumbprint for one.
func ParseKeys(jwks []byte) (jose.Set, error) {
	refuse := func(why string) (jose.Set, error) {
		return nil, fault.New(fault.Invalid, "jwks_invalid", "the JSON Web Key Set is not usable: %s", why).WithField("jwks", why)
	}
	set, err := jose.ParseSet(jwks)
	if err != nil {
		return refuse(err.Error())
	}
	if len(set) == 0 || len(set) > maxKeys {
		return refuse("it must hold 1 to 10 keys for signatures")
	}
	ids := map[string]bool{}
	for i, k := range set {
		if k.ID == "" {
			k = k.Named(k.Thumbprint())
			set[i] = k
		}
		if ids[k.ID] {
			return refuse("two keys have the same kid")
		}
		if err := checkName(k.ID); err != nil {
			return refuse("a kid is longer than 120 printable characters")
		}
		ids[k.ID] = true
	}
	return set, nil
}

// Keys returns the living public keys of a principal, from memory.
func (s *Store) Keys(ctx context.Context, realm, principal string) ([]RegisteredKey, error) {
	keys, err := s.keychain(ctx, realm, principal)
	if err != nil {
		return nil, err
	}
	now := s.db.Now()
	return slices.DeleteFunc(slices.Clone(keys.public), func(k RegisteredKey) bool { return !k.alive(now) }), nil
}

// KeySet returns the living key set URL of a principal, from memory, or
// fault.NotFound.
func (s *Store) KeySet(ctx context.Context, realm, principal string) (Credential, error) {
	keys, err := s.keychain(ctx, realm, principal)
	if err != nil {
		return Credential{}, err
	}
	if !keys.keySet.alive(s.db.Now()) {
		return Credential{}, unknown("jwks_uri")
	}
	return keys.keySet, nil
}

// keychain is what a client may authenticate with.
type keychain struct {
	secrets []hashedSecret
	shared  []SharedSecret
	public  []RegisteredKey
	keySet  Credential
}

func (k *keychain) size() int { return 256 + 512*(len(k.secrets)+len(k.shared)) + 3072*len(k.public) }

func (s *Store) keychain(ctx context.Context, realm, principal string) (*keychain, error) {
	return s.byOwn.Get(realm, principal, func() (*keychain, error) {
		all, err := s.List(ctx, realm, principal)
		if err != nil {
			return nil, err
		}
		chain := new(keychain)
		for _, c := range all {
			switch c.Type {
			case ClientSecret:
				hashed, err := readHashed(c)
				if err != nil {
					return nil, err
				}
				chain.secrets = append(chain.secrets, hashed)
			case SealedSecret:
				shared, err := s.open(realm, c)
				if err != nil {
					return nil, err
				}
				chain.shared = append(chain.shared, shared)
			case KeySet:
				chain.keySet = c
			case PublicKey:
				key, err := jose.ParseJWK([]byte(c.data))
				if err != nil || key == nil {
					return nil, fault.New(fault.Internal, "key_unreadable", "public key %s cannot be read", c.ID)
				}
				chain.public = append(chain.public, RegisteredKey{c, key})
			}
		}
		return chain, nil
	})
}
