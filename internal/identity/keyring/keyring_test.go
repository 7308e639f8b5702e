package keyring_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/secret"
)

const realm, neighbour = dbtest.Realm, dbtest.Neighbour

type env struct {
	*audittest.Env
	ring *keyring.Ring
}

// master is the master key of all nodes of a test.
var master = bytes.Repeat([]byte{7}, secret.MasterKeySize)

func newRing(t *testing.T, e *audittest.Env, masterKey []byte) *keyring.Ring {
	t.Helper()
	box, err := secret.NewBox(masterKey)
	if err != nil {
		t.Fatal(err)
	}
	return keyring.New(e.DB, e.Log, box, keyring.Options{})
}

func run(t *testing.T, fn func(t *testing.T, e *env)) {
	audittest.Run(t, func(t *testing.T, a *audittest.Env) {
		e := &env{a, newRing(t, a, master)}
		a.Start(t)
		fn(t, e)
	})
}

func (e *env) signer(t *testing.T, realm, alg string) *jose.Key {
	t.Helper()
	k, err := e.ring.Signer(t.Context(), realm, alg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// published are the key ids of the published set.
func (e *env) published(t *testing.T, realm string) []string {
	t.Helper()
	body, _, err := e.ring.JWKS(t.Context(), realm)
	if err != nil {
		t.Fatal(err)
	}
	set, err := jose.ParseSet(body)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, k := range set {
		ids = append(ids, k.ID)
	}
	return ids
}

func (e *env) state(t *testing.T, id string) keyring.State {
	t.Helper()
	k, err := e.ring.ByID(t.Context(), realm, id)
	if err != nil {
		t.Fatal(err)
	}
	return k.Now
}

func (e *env) rotate(t *testing.T, now bool) keyring.SigningKey {
	t.Helper()
	k, err := e.ring.Rotate(t.Context(), audittest.By, realm, jose.ES256, now)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (e *env) verifies(t *testing.T, token string) bool {
	t.Helper()
	set, err := e.ring.Verifiers(t.Context(), realm)
	if err != nil {
		t.Fatal(err)
	}
	_, err = jose.Verify(token, jose.Want{Typ: []string{"JWT"}, Keys: set})
	return err == nil
}

func sign(t *testing.T, k *jose.Key) string {
	t.Helper()
	token, err := jose.Sign(k, "JWT", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestARealmGetsKeysWhenItNeedsThem(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		for _, alg := range jose.Algorithms() {
			k := e.signer(t, realm, alg)
			if k.Alg != alg || !slices.Contains(e.published(t, realm), k.ID) || !e.verifies(t, sign(t, k)) {
				t.Errorf("the key for %s is %v", alg, k)
			}
			if again := e.signer(t, realm, alg); again.ID != k.ID {
				t.Errorf("%s: another key each time", alg)
			}
		}
		if _, err := e.ring.Signer(t.Context(), realm, "HS256"); !fault.Is(err, fault.Invalid) {
			t.Errorf("HS256: %v", err)
		}
		if err := e.ring.Prepare(t.Context(), audittest.By, neighbour); err != nil {
			t.Fatal(err)
		}
		other := e.signer(t, neighbour, jose.ES256)
		if slices.Contains(e.published(t, realm), other.ID) || len(e.published(t, neighbour)) != 1 || e.verifies(t, sign(t, other)) {
			t.Error("realms share keys")
		}
	})
}

// P-14, JW-08: published for twice the maximum age before it signs, and until
// the last token has expired.
func TestScheduledRotation(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		first := e.signer(t, realm, jose.ES256)
		second := e.rotate(t, false)
		if second.Now != keyring.Pending || e.signer(t, realm, jose.ES256).ID != first.ID {
			t.Fatal("the successor signs before anybody can know it")
		}
		if got := e.published(t, realm); !slices.Contains(got, second.ID) || !slices.Contains(got, first.ID) {
			t.Errorf("published are %v", got)
		}
		if _, err := e.ring.Rotate(t.Context(), audittest.By, realm, jose.ES256, false); !fault.Is(err, fault.Conflict) {
			t.Errorf("a second rotation meanwhile: %v", err)
		}
		e.Clock.Advance(keyring.PublishAhead - time.Millisecond)
		if e.signer(t, realm, jose.ES256).ID != first.ID {
			t.Error("the successor signs too early")
		}
		last := sign(t, e.signer(t, realm, jose.ES256))
		e.Clock.Advance(time.Millisecond)
		if e.signer(t, realm, jose.ES256).ID != second.ID || e.state(t, first.ID) != keyring.Retiring || e.state(t, second.ID) != keyring.Active {
			t.Error("the successor does not sign in time")
		}
		e.Clock.Advance(keyring.Lifetime - time.Millisecond)
		if !e.verifies(t, last) || len(e.published(t, realm)) != 2 {
			t.Error("a key retired before its last token")
		}
		e.Clock.Advance(time.Millisecond)
		if e.verifies(t, last) || len(e.published(t, realm)) != 1 || e.state(t, first.ID) != keyring.Retired {
			t.Error("a key did not retire")
		}
		past, err := e.ring.PastVerifiers(t.Context(), realm)
		if err != nil || past.Find(first.ID, jose.ES256) == nil {
			t.Errorf("an id_token_hint of old does not verify (%v)", err)
		}
	})
}

func TestTickRotatesOnScheduleAndDestroysOldKeys(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		const every = 90 * 24 * time.Hour
		tick := func() {
			t.Helper()
			if err := e.ring.Tick(t.Context(), realm, every); err != nil {
				t.Fatal(err)
			}
		}
		first := e.signer(t, realm, jose.ES256)
		tick()
		e.Clock.Advance(every - keyring.PublishAhead - time.Second)
		tick()
		if n := len(e.published(t, realm)); n != 1 {
			t.Fatalf("%d keys before the time", n)
		}
		e.Clock.Advance(time.Second)
		tick()
		tick()
		if n := len(e.published(t, realm)); n != 2 {
			t.Fatalf("%d keys when a rotation is due", n)
		}
		e.Clock.Advance(keyring.PublishAhead)
		if e.signer(t, realm, jose.ES256).ID == first.ID {
			t.Error("the old key signs after its period")
		}
		if n := e.sealed(t, first.ID); n == 0 {
			t.Error("a retiring key is destroyed already")
		}
		e.Clock.Advance(keyring.Lifetime)
		tick()
		tick()
		if n := e.sealed(t, first.ID); n != 0 {
			t.Error("the private part of a retired key is kept")
		}
		events := e.Events(t, realm)
		count := func(action string) (n int) {
			for _, a := range events {
				if a == action {
					n++
				}
			}
			return n
		}
		// One record for each change (P-12): created, rotated, wiped; the first tick
		// after a month also found the sealing key due.
		if count("signing_key.create") != 1 || count("signing_key.rotate") != 1 || count("signing_key.wipe") != 1 ||
			count("secret_key.rotate") != 1 || count("secret_key.delete") != 1 {
			t.Errorf("events: %v", events)
		}
	})
}

// sealed is how many bytes of a private key are stored.
func (e *env) sealed(t *testing.T, id string) int {
	t.Helper()
	var n int
	err := e.DB.View(t.Context(), realm, func(tx *db.Tx) error {
		sealed, err := db.One(tx, db.Scalar[[]byte], `SELECT sealed FROM signing_keys WHERE realm = $1 AND id = $2`, tx.Realm, id)
		n = len(sealed)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// P-14: an emergency ends a key everywhere at once.
func TestRevokedKeysNeitherSignNorVerify(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		var cut []*audit.Cutoff
		older := e.signer(t, realm, jose.ES256)
		e.rotate(t, true) // older is retiring and must not come back
		stolen := e.signer(t, realm, jose.ES256)
		token := sign(t, stolen)
		if err := e.ring.Revoke(t.Context(), audittest.By, realm, stolen.ID, "stolen"); err != nil {
			t.Fatal(err)
		}
		if e.verifies(t, token) || slices.Contains(e.published(t, realm), stolen.ID) || e.state(t, stolen.ID) != keyring.Revoked || e.sealed(t, stolen.ID) != 0 {
			t.Error("a revoked key still counts")
		}
		now := e.signer(t, realm, jose.ES256)
		if now.ID == stolen.ID || now.ID == older.ID || !e.verifies(t, sign(t, now)) {
			t.Errorf("after the emergency signs %v", now)
		}
		if past, _ := e.ring.PastVerifiers(t.Context(), realm); past.Find(stolen.ID, jose.ES256) != nil {
			t.Error("a revoked key verifies hints")
		}
		all, _, err := e.Log.Query(t.Context(), realm, audit.Filter{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			if r.Cut != nil {
				cut = append(cut, r.Cut)
			}
		}
		if len(cut) != 1 || cut[0].Kind != "key" || cut[0].ID != stolen.ID {
			t.Errorf("cut-offs: %v", cut)
		}
		if err := e.ring.Revoke(t.Context(), audittest.By, realm, stolen.ID, "again"); err != nil {
			t.Errorf("revoking once more: %v", err)
		}
		if err := e.ring.Revoke(t.Context(), audittest.By, neighbour, now.ID, "not yours"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a neighbour revokes: %v", err)
		}
		if err := e.ring.Revoke(t.Context(), audittest.By, realm, "key_unknown", ""); !fault.Is(err, fault.NotFound) {
			t.Errorf("an unknown key: %v", err)
		}
	})
}

func TestRevocationDuringARotation(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		first := e.signer(t, realm, jose.ES256)
		pending := e.rotate(t, false)
		if err := e.ring.Revoke(t.Context(), audittest.By, realm, first.ID, ""); err != nil {
			t.Fatal(err)
		}
		if got := e.signer(t, realm, jose.ES256).ID; got != pending.ID {
			t.Errorf("the published successor should take over at once, not %s", got)
		}
		next := e.rotate(t, false)
		if err := e.ring.Revoke(t.Context(), audittest.By, realm, next.ID, ""); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(keyring.Lifetime + time.Hour)
		if got := e.signer(t, realm, jose.ES256).ID; got != pending.ID {
			t.Errorf("a key whose successor was revoked must go on, but %s signs", got)
		}
	})
}

func TestKeysAreRetiredByHand(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		first := e.signer(t, realm, jose.ES256)
		if err := e.ring.Retire(t.Context(), audittest.By, realm, first.ID); !fault.Is(err, fault.Conflict) {
			t.Errorf("the key that signs: %v", err)
		}
		token := sign(t, first)
		pending := e.rotate(t, false)
		if err := e.ring.Retire(t.Context(), audittest.By, realm, pending.ID); err != nil { // calls the rotation off
			t.Fatal(err)
		}
		e.Clock.Advance(keyring.PublishAhead + keyring.Lifetime + time.Hour)
		if e.signer(t, realm, jose.ES256).ID != first.ID || len(e.published(t, realm)) != 1 {
			t.Error("the rotation was not called off")
		}
		e.rotate(t, true)
		if !e.verifies(t, token) {
			t.Error("a rotated key does not verify")
		}
		if err := e.ring.Retire(t.Context(), audittest.By, realm, first.ID); err != nil {
			t.Fatal(err)
		}
		if e.verifies(t, token) || e.sealed(t, first.ID) != 0 {
			t.Error("a retired key still counts")
		}
		list, err := e.ring.List(t.Context(), realm)
		if err != nil || len(list) != 3 || list[0].Now != keyring.Active {
			t.Errorf("list: %v, %v", list, err)
		}
		for _, k := range list {
			if k.Thumbprint == "" || !json.Valid(k.JWK) || strings.Contains(string(k.JWK), `"d"`) {
				t.Errorf("key %s shows %s", k.ID, k.JWK)
			}
		}
	})
}

func TestKeysRestUnderTheMasterKey(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		k := e.signer(t, realm, jose.ES256)
		der, err := k.PKCS8()
		if err != nil {
			t.Fatal(err)
		}
		derive, err := e.ring.Secret(t.Context(), realm, keyring.Derive)
		if err != nil {
			t.Fatal(err)
		}
		err = e.DB.View(t.Context(), realm, func(tx *db.Tx) error {
			for _, q := range []string{`SELECT sealed FROM signing_keys WHERE realm = $1`, `SELECT sealed FROM secret_keys WHERE realm = $1`} {
				rows, err := db.All(tx, db.Scalar[[]byte], q, tx.Realm)
				if err != nil {
					return err
				}
				for _, r := range rows {
					if bytes.Contains(r, der[len(der)-64:]) || bytes.Contains(r, derive) {
						t.Error("a key is stored in clear")
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}

		// A row does not open in another place: not in another realm, not as another key.
		for _, move := range []string{
			`INSERT INTO signing_keys SELECT 'neighbour', id, alg, generation, public, sealed, created_at, active_from, retire_at, revoked_at FROM signing_keys WHERE realm = $1`,
			`INSERT INTO secret_keys SELECT 'neighbour', id, purpose, generation, sealed, created_at, active_from, retire_at FROM secret_keys WHERE realm = $1`,
		} {
			err := e.DB.Update(t.Context(), realm, func(tx *db.Tx) error {
				_, err := tx.Exec(move, tx.Realm)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if k, err := e.ring.Signer(t.Context(), neighbour, jose.ES256); err == nil {
			t.Errorf("a neighbour signs with %v", k)
		}
	})
}

func TestAnotherMasterKeyOpensNothing(t *testing.T) {
	audittest.Run(t, func(t *testing.T, a *audittest.Env) {
		right, wrong := newRing(t, a, master), newRing(t, a, bytes.Repeat([]byte{8}, secret.MasterKeySize))
		a.Start(t)
		if _, err := right.Signer(t.Context(), realm, jose.ES256); err != nil {
			t.Fatal(err)
		}
		if _, err := wrong.Signer(t.Context(), realm, jose.ES256); err == nil || !strings.Contains(err.Error(), "master key") {
			t.Errorf("another master key: %v", err)
		}
	})
}

// Whoever can write the table must not be able to publish a key of their own.
func TestAPublicKeyThatDoesNotBelongIsRefused(t *testing.T) {
	audittest.Run(t, func(t *testing.T, a *audittest.Env) {
		first, later := newRing(t, a, master), newRing(t, a, master)
		a.Start(t)
		k, err := first.Signer(t.Context(), realm, jose.ES256)
		if err != nil {
			t.Fatal(err)
		}
		mine, err := jose.Generate(k.ID, jose.ES256)
		if err != nil {
			t.Fatal(err)
		}
		err = a.DB.Update(t.Context(), realm, func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE signing_keys SET public = $1 WHERE realm = $2`, string(mine.Public().JWK()), tx.Realm)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if body, _, err := later.JWKS(t.Context(), realm); err == nil {
			t.Errorf("published: %s", body)
		}
	})
}

// roomy is plain as Seal takes it.
func roomy(plain []byte) []byte { return append(make([]byte, keyring.SealHead), plain...) }

func TestSealing(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		sealer := func(realm string) *keyring.Sealer {
			t.Helper()
			s, err := e.ring.Sealer(t.Context(), realm)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		plain := []byte("what an opaque token says")
		sealed := sealer(realm).Seal(roomy(plain), realm, "access")
		if got, err := sealer(realm).Open(sealed, realm, "access"); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("opens as %q, %v", got, err)
		}
		if len(sealed) != len(plain)+keyring.SealOverhead || bytes.Equal(sealed, sealer(realm).Seal(roomy(plain), realm, "access")) {
			t.Error("sealed text has the wrong size, or is the same each time")
		}
		refused := func(name string, s *keyring.Sealer, sealed []byte, place ...string) {
			t.Helper()
			if got, err := s.Open(sealed, place...); !errors.Is(err, keyring.ErrUnsealable) {
				t.Errorf("%s: opens as %q, %v", name, got, err)
			}
		}
		refused("another place", sealer(realm), sealed, realm, "refresh")
		refused("a place cut elsewhere", sealer(realm), sealed, realm+"access")
		refused("no place", sealer(realm), sealed)
		refused("another realm", sealer(neighbour), sealed, realm, "access")
		for i := range sealed { // JW-09: any change
			changed := bytes.Clone(sealed)
			changed[i] ^= 1
			refused("a changed byte", sealer(realm), changed, realm, "access")
			refused("a shorter text", sealer(realm), sealed[:i], realm, "access")
		}
		refused("a longer text", sealer(realm), append(bytes.Clone(sealed), 0), realm, "access")

		// Rotation keeps what is out, then lets it go.
		if err := e.ring.RotateSealing(t.Context(), audittest.By, realm, false); err != nil {
			t.Fatal(err)
		}
		if s := sealer(realm).Seal(roomy(plain)); s[4] != sealed[4] {
			t.Error("the next sealing key is used before other nodes can know it")
		}
		e.Clock.Advance(2 * time.Minute)
		if s := sealer(realm).Seal(roomy(plain)); s[4] == sealed[4] {
			t.Error("the next sealing key is not used")
		}
		if _, err := sealer(realm).Open(sealed, realm, "access"); err != nil {
			t.Errorf("after a rotation: %v", err)
		}
		e.Clock.Advance(keyring.Lifetime)
		refused("a key long rotated", sealer(realm), sealed, realm, "access")

		// In an emergency everything is dead at once.
		sealed = sealer(realm).Seal(roomy(plain), realm, "access")
		other := sealer(neighbour).Seal(roomy(plain), neighbour)
		if err := e.ring.RotateSealing(t.Context(), audittest.By, realm, true); err != nil {
			t.Fatal(err)
		}
		refused("a killed key", sealer(realm), sealed, realm, "access")
		if _, err := sealer(realm).Open(sealer(realm).Seal(roomy(plain))); err != nil {
			t.Errorf("after an emergency: %v", err)
		}
		if _, err := sealer(neighbour).Open(other, neighbour); err != nil {
			t.Errorf("the neighbour noticed: %v", err)
		}
	})
}

func TestSecretsStayAndDifferByPurposeAndRealm(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		seen := map[string]bool{}
		for _, r := range []string{realm, neighbour} {
			for _, p := range []keyring.Purpose{keyring.Derive, keyring.Permute, keyring.Pairwise} {
				k, err := e.ring.Secret(t.Context(), r, p)
				if err != nil || len(k) != 32 || seen[string(k)] {
					t.Errorf("%s %s: %d bytes, seen %v, %v", r, p, len(k), seen[string(k)], err)
				}
				seen[string(k)] = true
			}
		}
		if err := e.ring.RotateSealing(t.Context(), audittest.By, realm, true); err != nil {
			t.Fatal(err)
		}
		again, err := e.ring.Secret(t.Context(), realm, keyring.Pairwise)
		if err != nil || !seen[string(again)] {
			t.Errorf("the pairwise key changed (%v)", err)
		}
		if k, err := e.ring.Secret(t.Context(), realm, "seal"); err == nil {
			t.Errorf("the sealing key is given away: %x", k)
		}
	})
}

// Many requests of a new realm, on two nodes where the database allows, make
// one key.
func TestTheFirstKeyIsMadeOnce(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		rings := []*keyring.Ring{e.ring}
		if e.DB.Engine() == db.Postgres {
			other := e.Node(t)
			rings = append(rings, newRing(t, other, master))
			other.Start(t)
		}
		var mu sync.Mutex
		ids := map[string]bool{}
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				k, err := rings[i%len(rings)].Signer(context.Background(), realm, jose.EdDSA)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				ids[k.ID] = true
			})
		}
		wg.Wait()
		if len(ids) != 1 {
			t.Errorf("%d keys: %v", len(ids), ids)
		}
	})
}

// A revocation on one node holds on the other when it is acknowledged (P-09).
func TestAnotherNodeLetsGoOfARevokedKey(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		other := e.Node(t)
		ring := newRing(t, other, master)
		other.Start(t)
		for range 5 {
			k, err := ring.Signer(t.Context(), realm, jose.ES256)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.ring.Revoke(t.Context(), audittest.By, realm, k.ID, ""); err != nil {
				t.Fatal(err)
			}
			set, err := ring.Verifiers(t.Context(), realm)
			if err != nil || set.Find(k.ID, jose.ES256) != nil {
				t.Fatalf("the other node still believes the key (%v)", err)
			}
			if next, err := ring.Signer(t.Context(), realm, jose.ES256); err != nil || next.ID == k.ID {
				t.Fatalf("the other node signs with %v, %v", next, err)
			}
		}
	})
}

func BenchmarkSigner(b *testing.B) {
	a := audittest.New(b, dbtest.Open(b, db.SQLite))
	box, err := secret.NewBox(master)
	if err != nil {
		b.Fatal(err)
	}
	ring := keyring.New(a.DB, a.Log, box, keyring.Options{})
	a.Start(b)
	b.Run("signer", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ring.Signer(b.Context(), realm, jose.ES256); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("seal and open", func(b *testing.B) {
		s, err := ring.Sealer(b.Context(), realm)
		if err != nil {
			b.Fatal(err)
		}
		plain := make([]byte, 200)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Open(s.Seal(roomy(plain), realm), realm); err != nil {
				b.Fatal(err)
			}
		}
	})
}
