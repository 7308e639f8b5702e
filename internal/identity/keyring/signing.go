package keyring

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/jose"
)

// State is where a signing key stands in its life.
type State string

// The states of a signing key, in the order it passes them. Revoked may follow
// any other.
const (
	Pending  State = "pending"  // published, not signing yet
	Active   State = "active"   // signs
	Retiring State = "retiring" // published until its last token has expired
	Retired  State = "retired"  // neither signs nor verifies
	Revoked  State = "revoked"  // withdrawn in an emergency; what it signed is dead
)

// SigningKey describes a signing key without its private part.
type SigningKey struct {
	ID         string
	Alg        string
	Generation int64 // counts the keys of one algorithm
	CreatedAt  time.Time
	ActiveFrom time.Time
	RetireAt   time.Time // zero while no successor is known
	RevokedAt  time.Time // zero unless revoked
	Now        State     // as of List
	Thumbprint string    // RFC 7638, SHA-256
	JWK        []byte    // the public key
}

func (k *SigningKey) started(now time.Time) bool { return !now.Before(k.ActiveFrom) }

func (k *SigningKey) ended(now time.Time) bool {
	return !k.RevokedAt.IsZero() || !k.RetireAt.IsZero() && !now.Before(k.RetireAt)
}

// State returns where the key stands at an instant, given the newest generation
// of its algorithm that has begun to sign.
func (k *SigningKey) State(now time.Time, newest int64) State {
	switch {
	case !k.RevokedAt.IsZero():
		return Revoked
	case k.ended(now):
		return Retired
	case !k.started(now):
		return Pending
	case k.Generation == newest:
		return Active
	}
	return Retiring
}

// List returns every signing key the realm ever had, by algorithm, newest first.
func (r *Ring) List(ctx context.Context, realm string) ([]SigningKey, error) {
	var list []SigningKey
	err := r.db.View(ctx, realm, func(tx *db.Tx) error {
		var err error
		list, err = described(tx)
		return err
	})
	return list, err
}

// ByID returns one signing key, or fault.NotFound.
func (r *Ring) ByID(ctx context.Context, realm, keyID string) (SigningKey, error) {
	list, err := r.List(ctx, realm)
	if err != nil {
		return SigningKey{}, err
	}
	return find(list, keyID)
}

// Rotate makes the successor of the key that signs for alg. It is published at
// once and signs after PublishAhead, or immediately if now is set: then relying
// parties that hold an older key set must fetch again. An algorithm without a
// key gets its first, which always signs at once.
func (r *Ring) Rotate(ctx context.Context, by audit.Actor, realm, alg string, now bool) (SigningKey, error) {
	fresh, err := jose.Generate("", alg)
	if err != nil {
		return SigningKey{}, fault.New(fault.Invalid, "algorithm_unknown", "there is no signature algorithm %.20q", alg)
	}
	var made SigningKey
	err = r.db.Update(ctx, realm, func(tx *db.Tx) error {
		list, err := described(tx)
		if err != nil {
			return err
		}
		if p := inState(list, alg, Pending); p != nil {
			return fault.New(fault.Conflict, "rotation_under_way", "signing key %s already waits to take over at %s", p.ID, p.ActiveFrom.Format(time.RFC3339))
		}
		from := tx.Now
		if !now && inState(list, alg, Active) != nil {
			from = from.Add(PublishAhead)
		}
		made, err = r.insert(tx, by, "signing_key.rotate", fresh, list, from)
		return err
	})
	return made, err
}

// Revoke withdraws a key in an emergency: it neither signs nor verifies on any
// node once this returns, leaves the published set, and every token it signed
// is dead. Where it was the one that signs, a new key takes over at once.
func (r *Ring) Revoke(ctx context.Context, by audit.Actor, realm, keyID, reason string) error {
	old, err := r.ByID(ctx, realm, keyID)
	if err != nil {
		return err
	}
	fresh, err := jose.Generate("", old.Alg)
	if err != nil {
		return err
	}
	return r.db.Update(ctx, realm, func(tx *db.Tx) error {
		list, err := described(tx)
		if err != nil {
			return err
		}
		k, err := find(list, keyID)
		if err != nil {
			return err
		}
		if k.Now == Revoked {
			audit.Barrier(tx) // say done only when every node has done it
			return nil
		}
		if err := revokeRow(tx, keyID); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{
			Action: "signing_key.revoke", TargetType: "signing_key", Target: keyID, Invalidates: true,
			Data: map[string]any{"alg": k.Alg, "state": string(k.Now), "reason": reason},
			Cut:  &audit.Cutoff{Kind: "key", ID: keyID},
		})
		if k.Now == Pending {
			return callOff(tx, list, k)
		}
		if k.Now != Active {
			return nil
		}
		// An older key must not come back to sign: a newer one starts now.
		if p := inState(list, k.Alg, Pending); p != nil {
			return r.activate(tx, by, *p)
		}
		if list, err = described(tx); err != nil { // without the key just revoked
			return err
		}
		_, err = r.insert(tx, by, "signing_key.create", fresh, list, tx.Now)
		return err
	})
}

// Retire takes a key out of the published set before its time: a retiring one,
// whose remaining tokens stop verifying, or a pending one, whose rotation is
// called off. The key that signs must be rotated or revoked instead.
func (r *Ring) Retire(ctx context.Context, by audit.Actor, realm, keyID string) error {
	return r.db.Update(ctx, realm, func(tx *db.Tx) error {
		list, err := described(tx)
		if err != nil {
			return err
		}
		k, err := find(list, keyID)
		if err != nil {
			return err
		}
		switch k.Now {
		case Active:
			return fault.New(fault.Conflict, "key_active", "signing key %s signs; rotate or revoke it instead", keyID)
		case Retired, Revoked:
			audit.Barrier(tx)
			return nil
		case Pending:
			if err := callOff(tx, list, k); err != nil {
				return err
			}
		}
		if err := retireRow(tx, keyID); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{
			Action: "signing_key.retire", TargetType: "signing_key", Target: keyID, Invalidates: true,
			Data: map[string]any{"alg": k.Alg, "state": string(k.Now)},
		})
		return nil
	})
}

// callOff lets the key that signs go on without end, now that its successor
// will not come.
func callOff(tx *db.Tx, list []SigningKey, pending SigningKey) error {
	if a := inState(list, pending.Alg, Active); a != nil {
		return retireRowAt(tx, a.ID, time.Time{})
	}
	return nil
}

// makeFirst makes the first key of an algorithm, active at once, unless there is
// one that signs.
func (r *Ring) makeFirst(ctx context.Context, by audit.Actor, realm, alg string) error {
	fresh, err := jose.Generate("", alg)
	if err != nil {
		return err
	}
	err = r.db.Update(ctx, realm, func(tx *db.Tx) error {
		list, err := described(tx)
		if err != nil || inState(list, alg, Active) != nil {
			return err
		}
		_, err = r.insert(tx, by, "signing_key.create", fresh, list, tx.Now)
		return err
	})
	return unlessOvertaken(err)
}

// unlessOvertaken forgives that another node made the key first.
func unlessOvertaken(err error) error {
	if fault.Code(err) == codeOvertaken {
		return nil
	}
	return err
}

// insert writes a new key of the next generation and lets the others of its
// algorithm retire when their last tokens have expired.
func (r *Ring) insert(tx *db.Tx, by audit.Actor, action string, fresh *jose.Key, list []SigningKey, from time.Time) (SigningKey, error) {
	k := SigningKey{ID: id.New("key", tx.Now), Alg: fresh.Alg, Generation: 1, CreatedAt: tx.Now, ActiveFrom: from}
	for _, o := range list {
		if o.Alg != k.Alg {
			continue
		}
		k.Generation = max(k.Generation, o.Generation+1)
		if o.RetireAt.IsZero() && o.RevokedAt.IsZero() {
			if err := retireRowAt(tx, o.ID, from.Add(Lifetime)); err != nil {
				return k, err
			}
		}
	}
	der, err := fresh.PKCS8()
	if err != nil {
		return k, err
	}
	pub := fresh.Public().Named(k.ID)
	k.JWK, k.Thumbprint, k.Now = pub.JWK(), pub.Thumbprint(), Active
	if from.After(tx.Now) {
		k.Now = Pending
	}
	if err := insertSigning(tx, k, r.box.Seal(der, signingPlace(tx.Realm, k)...)); err != nil {
		return k, err
	}
	audit.Append(tx, by, audit.Event{
		Action: action, TargetType: "signing_key", Target: k.ID, Invalidates: true,
		Data: map[string]any{"alg": k.Alg, "generation": k.Generation, "active_from": from.Format(time.RFC3339), "thumbprint": k.Thumbprint},
	})
	return k, nil
}

// activate lets a pending key sign at once and moves the retirement of those
// before it accordingly.
func (r *Ring) activate(tx *db.Tx, by audit.Actor, p SigningKey) error {
	if err := activateRow(tx, p.ID); err != nil {
		return err
	}
	audit.Append(tx, by, audit.Event{
		Action: "signing_key.activate", TargetType: "signing_key", Target: p.ID, Invalidates: true,
		Data: map[string]any{"alg": p.Alg},
	})
	return nil
}

// described reads all signing keys with their state as of the transaction.
func described(tx *db.Tx) ([]SigningKey, error) {
	rows, err := signingRows(tx)
	if err != nil {
		return nil, err
	}
	newest := map[string]int64{}
	for _, row := range rows {
		if len(row.sealed) > 0 && row.started(tx.Now) && !row.ended(tx.Now) {
			newest[row.Alg] = max(newest[row.Alg], row.Generation)
		}
	}
	list := make([]SigningKey, 0, len(rows))
	for _, row := range rows {
		k := row.SigningKey
		k.Now = k.State(tx.Now, newest[k.Alg])
		k.JWK = []byte(row.public)
		if pub, err := jose.ParseJWK(k.JWK); err == nil && pub != nil {
			k.Thumbprint = pub.Thumbprint()
		}
		list = append(list, k)
	}
	return list, nil
}

func inState(list []SigningKey, alg string, s State) *SigningKey {
	for i := range list {
		if list[i].Alg == alg && list[i].Now == s {
			return &list[i]
		}
	}
	return nil
}

func find(list []SigningKey, keyID string) (SigningKey, error) {
	for _, k := range list {
		if k.ID == keyID {
			return k, nil
		}
	}
	return SigningKey{}, fault.New(fault.NotFound, "signing_key_unknown", "there is no signing key %.40q", keyID)
}
