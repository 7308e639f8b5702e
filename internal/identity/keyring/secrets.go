package keyring

import (
	"context"
	"crypto/rand"
	"strconv"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
)

// Purpose says what a symmetric key is for. A key serves one purpose only.
type Purpose string

// The purposes whose keys Secret returns. They are never rotated, because what
// is derived from them must come out the same again.
const (
	Derive   Purpose = "derive"   // refresh tokens, so that their successors can be computed
	Permute  Purpose = "permute"  // the order of status list indexes
	Pairwise Purpose = "pairwise" // subjects that differ per client
	Nonce    Purpose = "nonce"    // nonces of DPoP proofs, which change with time
)

// sealing is the purpose of the rotating keys behind Sealer.
const sealing Purpose = "seal"

func purposes() []Purpose { return []Purpose{sealing, Derive, Permute, Pairwise, Nonce} }

// Secret returns the realm's 32-byte key for a purpose. Do not change it.
func (r *Ring) Secret(ctx context.Context, realm string, p Purpose) ([]byte, error) {
	k, err := r.keys(ctx, realm)
	if err != nil {
		return nil, err
	}
	key := k.secrets[p]
	if key == nil {
		return nil, fault.New(fault.Internal, "key_unknown", "realm %s has no key to %s", realm, p)
	}
	return key, nil
}

// RotateSealing makes the next sealing key. Opaque tokens already out stay
// valid until they expire, unless kill is set: then every opaque token of the
// realm is dead when this returns.
func (r *Ring) RotateSealing(ctx context.Context, by audit.Actor, realm string, kill bool) error {
	key := randomKey()
	return r.db.Update(ctx, realm, func(tx *db.Tx) error {
		rows, err := secretRows(tx)
		if err != nil {
			return err
		}
		from, until := tx.Now.Add(sealAhead), tx.Now.Add(sealAhead+Lifetime)
		if kill || !hasPurpose(rows, sealing) {
			from, until = tx.Now, tx.Now
		}
		var generation int64
		for _, row := range rows {
			if row.purpose != sealing {
				continue
			}
			generation = max(generation, row.generation)
			if row.retireAt.IsZero() || row.retireAt.After(until) {
				if err := retireSecretAt(tx, row.id, until); err != nil {
					return err
				}
			}
		}
		return r.insertSecret(tx, by, "secret_key.rotate", sealing, generation+1, from, key)
	})
}

// firstSecrets makes whatever symmetric keys the realm lacks.
func (r *Ring) firstSecrets(ctx context.Context, by audit.Actor, realm string) error {
	fresh := map[Purpose][]byte{}
	for _, p := range purposes() {
		fresh[p] = randomKey()
	}
	err := r.db.Update(ctx, realm, func(tx *db.Tx) error {
		rows, err := secretRows(tx)
		if err != nil {
			return err
		}
		for _, p := range purposes() {
			if hasPurpose(rows, p) {
				continue
			}
			if err := r.insertSecret(tx, by, "secret_key.create", p, 1, tx.Now, fresh[p]); err != nil {
				return err
			}
		}
		return nil
	})
	return unlessOvertaken(err)
}

func (r *Ring) insertSecret(tx *db.Tx, by audit.Actor, action string, p Purpose, generation int64, from time.Time, key []byte) error {
	row := secretRow{id: id.New("key", tx.Now), purpose: p, generation: generation, createdAt: tx.Now, activeFrom: from}
	row.sealed = r.box.Seal(key, tx.Realm, "secret_key", row.id, string(p), strconv.FormatInt(generation, 10))
	if err := insertSecretRow(tx, row); err != nil {
		return err
	}
	audit.Append(tx, by, audit.Event{
		Action: action, TargetType: "secret_key", Target: row.id, Invalidates: true,
		Data: map[string]any{"purpose": string(p), "generation": generation},
	})
	return nil
}

func complete(rows []secretRow) bool {
	for _, p := range purposes() {
		if !hasPurpose(rows, p) {
			return false
		}
	}
	return true
}

func hasPurpose(rows []secretRow, p Purpose) bool {
	for _, row := range rows {
		if row.purpose == p {
			return true
		}
	}
	return false
}

func randomKey() []byte {
	key := make([]byte, 32)
	rand.Read(key)
	return key
}
