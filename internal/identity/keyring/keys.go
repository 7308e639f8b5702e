package keyring

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/jose"
)

// keys is all that one realm has, opened and ready for use.
type keys struct {
	signing []loaded // by algorithm and generation
	sealers []sealKey
	secrets map[Purpose][]byte
	bytes   int

	now atomic.Pointer[view]
}

// loaded is a signing key with its parts parsed; private is nil once it may
// not sign again.
type loaded struct {
	SigningKey
	public  *jose.PublicKey
	private *jose.Key
}

// view is what the keys amount to from one change of state to the next, so that
// a request only compares two instants.
type view struct {
	from, until time.Time
	signers     map[string]*jose.Key
	set, past   jose.Set
	body        []byte
	etag        []string // the value of a header
	sealer      *Sealer
}

// view returns the view for an instant. Instants of neighbouring requests may
// be slightly out of order around a change; each gets its own.
func (k *keys) view(now time.Time) *view {
	if v := k.now.Load(); v != nil && !now.Before(v.from) && now.Before(v.until) {
		return v
	}
	v := k.viewAt(now)
	k.now.Store(v)
	return v
}

func (k *keys) viewAt(now time.Time) *view {
	v := &view{from: now, until: now.Add(24 * time.Hour), signers: map[string]*jose.Key{}}
	change := func(t time.Time) {
		if !t.IsZero() && t.After(now) && t.Before(v.until) {
			v.until = t
		}
	}
	for i := range k.signing {
		s := &k.signing[i]
		change(s.ActiveFrom)
		change(s.RetireAt)
		if s.RevokedAt.IsZero() {
			v.past = append(v.past, s.public)
		}
		switch s.State(now, k.newest(s.Alg, now)) {
		case Active:
			v.signers[s.Alg] = s.private
			v.set = append(v.set, s.public)
		case Pending, Retiring:
			v.set = append(v.set, s.public)
		}
	}
	v.sealer = newSealer(k.sealers, now, change)
	v.body = v.set.JSON()
	sum := sha256.Sum256(v.body)
	v.etag = []string{`"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	return v
}

// newest is the generation of alg that signs at an instant; zero if none does.
func (k *keys) newest(alg string, now time.Time) int64 {
	var g int64
	for i := range k.signing {
		if s := &k.signing[i]; s.Alg == alg && s.private != nil && s.started(now) && !s.ended(now) {
			g = max(g, s.Generation)
		}
	}
	return g
}

// load reads a realm's keys, making the symmetric ones if there are none.
func (r *Ring) load(ctx context.Context, realm string) (*keys, error) {
	for range 3 {
		signing, secrets, err := r.read(ctx, realm)
		if err != nil {
			return nil, err
		}
		if complete(secrets) {
			return r.open(realm, signing, secrets)
		}
		if err := r.firstSecrets(ctx, audit.System, realm); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("keys of realm %q cannot be made", realm)
}

func (r *Ring) read(ctx context.Context, realm string) (signing []signingRow, secrets []secretRow, err error) {
	err = r.db.View(ctx, realm, func(tx *db.Tx) error {
		if signing, err = signingRows(tx); err != nil {
			return err
		}
		secrets, err = secretRows(tx)
		return err
	})
	return signing, secrets, err
}

// open unseals what the rows hold.
func (r *Ring) open(realm string, signing []signingRow, secrets []secretRow) (*keys, error) {
	k := &keys{secrets: map[Purpose][]byte{}, bytes: 2048}
	for _, row := range signing {
		l, err := r.openSigning(realm, row)
		if err != nil {
			return nil, err
		}
		k.signing = append(k.signing, l)
		k.bytes += 2*len(row.public) + 4*len(row.sealed) + 1024
	}
	for _, row := range secrets {
		plain, err := r.box.Open(row.sealed, realm, "secret_key", row.id, string(row.purpose), strconv.FormatInt(row.generation, 10))
		if err != nil {
			return nil, fmt.Errorf("secret key %s of realm %s: %w", row.id, realm, err)
		}
		k.bytes += 1024
		if row.purpose != sealing {
			k.secrets[row.purpose] = plain
			continue
		}
		s, err := newSealKey(row, plain)
		if err != nil {
			return nil, err
		}
		k.sealers = append(k.sealers, s)
	}
	return k, nil
}

func (r *Ring) openSigning(realm string, row signingRow) (loaded, error) {
	l := loaded{SigningKey: row.SigningKey}
	var err error
	if l.public, err = jose.ParseJWK([]byte(row.public)); err != nil || l.public == nil {
		return l, fmt.Errorf("signing key %s of realm %s: stored public key is not usable", row.ID, realm)
	}
	if len(row.sealed) == 0 {
		return l, nil
	}
	der, err := r.box.Open(row.sealed, signingPlace(realm, row.SigningKey)...)
	if err != nil {
		return l, fmt.Errorf("signing key %s of realm %s: %w", row.ID, realm, err)
	}
	if l.private, err = jose.ParseKey(row.ID, row.Alg, der); err != nil {
		return l, fmt.Errorf("signing key %s of realm %s: %w", row.ID, realm, err)
	}
	// The public part is stored in clear, so that someone who can write the
	// table might publish a key of their own: it must match what was sealed.
	if !l.private.Public().Equal(l.public) {
		return l, fmt.Errorf("signing key %s of realm %s: public and private key do not belong together", row.ID, realm)
	}
	return l, nil
}

// signingPlace binds a sealed private key to its row.
func signingPlace(realm string, k SigningKey) []string {
	return []string{realm, "signing_key", k.ID, k.Alg, strconv.FormatInt(k.Generation, 10)}
}
