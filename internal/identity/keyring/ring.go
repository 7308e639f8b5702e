// Package keyring owns a realm's keys: those that sign its tokens, those that
// seal its opaque tokens, and those from which it derives values. It makes
// them, publishes them before they are used, rotates, retires and revokes them.
//
// Private keys are stored sealed under the master key and bound to their row.
// Whoever can write these tables but lacks the master key can stop a realm from
// signing, but cannot sign as it.
package keyring

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/secret"
)

// The times that rotation keeps. Relying parties that honour JWKSMaxAge never
// meet a signature by a key they have not seen (P-14).
const (
	// JWKSMaxAge is how long others may keep the published keys.
	JWKSMaxAge = 300 * time.Second
	// PublishAhead is how long a key is published before it signs.
	PublishAhead = 2 * JWKSMaxAge
	// Lifetime is how long a key stays published after it last signed: the
	// longest life the settings allow a token, and an hour for clocks.
	Lifetime = 25 * time.Hour
	// sealAhead is how long a sealing key waits before it seals, so that every
	// node can open what it seals.
	sealAhead = time.Minute
	// sealPeriod is how long a sealing key seals.
	sealPeriod = 30 * 24 * time.Hour
)

// MinRotation is the shortest period for scheduled rotation.
const MinRotation = 24 * time.Hour

// Ring holds the keys of every realm, in memory once they were needed. Its
// methods that take a context may open a transaction: call them before yours.
type Ring struct {
	db    *db.DB
	box   *secret.Box
	cache *cache.Cache[*keys]
	first sync.Mutex // one key of an algorithm is made at a time: RSA keys cost a tenth of a second
}

// Options tune a Ring.
type Options struct {
	MaxBytes int64 // memory for keys of all realms; zero means 64 MiB
}

// New returns the ring over d. It follows log, so make it before log starts.
func New(d *db.DB, log *audit.Log, box *secret.Box, o Options) *Ring {
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	r := &Ring{db: d, box: box}
	r.cache = cache.New("keys", o.MaxBytes, o.MaxBytes, func(k *keys) int { return k.bytes })
	log.Follow("keyring", func(rec audit.Record) {
		if strings.HasPrefix(rec.Action, "signing_key.") || strings.HasPrefix(rec.Action, "secret_key.") {
			r.cache.DropRealm(rec.Realm)
		}
	}, r.cache.DropAll)
	return r
}

// Signer returns the key that signs for alg now. A realm that has none yet gets
// one at once; only then does this write.
func (r *Ring) Signer(ctx context.Context, realm, alg string) (*jose.Key, error) {
	key, err := r.active(ctx, realm, alg)
	if key != nil || err != nil {
		return key, err
	}
	if !jose.Known(alg) {
		return nil, fault.New(fault.Invalid, "algorithm_unknown", "there is no signature algorithm %.20q", alg)
	}
	r.first.Lock()
	defer r.first.Unlock()
	for range 3 { // another request made it, or another node is quicker
		if key, err = r.active(ctx, realm, alg); key != nil || err != nil {
			return key, err
		}
		if err := r.makeFirst(ctx, audit.System, realm, alg); err != nil {
			return nil, err
		}
	}
	return nil, fault.New(fault.Unavailable, "key_unavailable", "no key for %s is active in realm %s", alg, realm)
}

// active returns the key that signs for alg now, or nil.
func (r *Ring) active(ctx context.Context, realm, alg string) (*jose.Key, error) {
	k, err := r.keys(ctx, realm)
	if err != nil {
		return nil, err
	}
	return k.view(r.db.Now()).signers[alg], nil
}

// Verifiers returns the public keys whose signatures count now: the active one
// of each algorithm, those about to be, and those that signed tokens which may
// still be alive.
func (r *Ring) Verifiers(ctx context.Context, realm string) (jose.Set, error) {
	k, err := r.keys(ctx, realm)
	if err != nil {
		return nil, err
	}
	return k.view(r.db.Now()).set, nil
}

// PastVerifiers returns Verifiers and the retired keys, but no revoked one: for
// an id_token_hint, which may be older than any token that still counts.
func (r *Ring) PastVerifiers(ctx context.Context, realm string) (jose.Set, error) {
	k, err := r.keys(ctx, realm)
	if err != nil {
		return nil, err
	}
	return k.view(r.db.Now()).past, nil
}

// JWKS returns the published key set and its entity tag, as the value of a header,
// both ready to send. They are shared: do not change them.
func (r *Ring) JWKS(ctx context.Context, realm string) (body []byte, etag []string, err error) {
	k, err := r.keys(ctx, realm)
	if err != nil {
		return nil, nil, err
	}
	v := k.view(r.db.Now())
	return v.body, v.etag, nil
}

// Prepare makes the first keys of a realm, as its creation does so that the
// first request finds them. Keys that are there already stay.
func (r *Ring) Prepare(ctx context.Context, by audit.Actor, realm string) error {
	if err := r.firstSecrets(ctx, by, realm); err != nil {
		return err
	}
	return r.makeFirst(ctx, by, realm, jose.ES256)
}

func (r *Ring) keys(ctx context.Context, realm string) (*keys, error) {
	return r.cache.Get(realm, "keys", func() (*keys, error) {
		// Others wait for the same load, so it outlives the request that began it.
		return r.load(context.WithoutCancel(ctx), realm)
	})
}
