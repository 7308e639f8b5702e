package credential_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/secret"
)

func (e env) service(t *testing.T, name string) string {
	t.Helper()
	p, err := e.dir.Create(t.Context(), audittest.By, dbtest.Realm, principal.New{Kind: principal.Service, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return p.ID
}

func (e env) secret(t *testing.T, of string, ttl time.Duration) (credential.Credential, secret.Text) {
	t.Helper()
	c, text, err := e.store.AddSecret(t.Context(), audittest.By, dbtest.Realm, of, "test", ttl)
	if err != nil {
		t.Fatal(err)
	}
	return c, text
}

func (e env) expectSecret(t *testing.T, what, of string, text secret.Text, want string) {
	t.Helper()
	got, err := e.store.CheckSecret(t.Context(), dbtest.Realm, of, text)
	if got != want || want == "" && !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("%s: %q, %v; want %q", what, got, err, want)
	}
}

func TestSecretsAreToldOnceAndKeptAsHash(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		shop, bank := e.service(t, "shop"), e.service(t, "bank")
		c, text := e.secret(t, shop, 0)
		if kept := e.stored(t, c.ID); kept == "" || strings.Contains(kept, string(text)[4:40]) || len(kept) != 43 {
			t.Errorf("kept as %q", kept)
		}
		if !secret.Valid(credential.SecretPrefix, string(text)) {
			t.Errorf("the secret is %q", string(text))
		}
		e.expectSecret(t, "right", shop, text, c.ID)
		e.expectSecret(t, "another client's", bank, text, "")
		e.expectSecret(t, "fresh", shop, secret.New(credential.SecretPrefix), "")
		e.expectSecret(t, "its hash", shop, secret.Text(e.stored(t, c.ID)), "")
		e.expectSecret(t, "empty", shop, "", "")
		if _, err := e.store.CheckSecret(t.Context(), dbtest.Neighbour, shop, text); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("in another realm: %v", err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel() // a query would fail now
		if got, err := e.store.CheckSecret(gone, dbtest.Realm, shop, text); err != nil || got != c.ID {
			t.Errorf("CheckSecret = %v, %v; want it from memory", got, err)
		}
	})
}

func TestTwoSecretsLiveAtATime(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		shop := e.service(t, "shop")
		first, old := e.secret(t, shop, 0)
		second, next := e.secret(t, shop, time.Hour)
		e.expectSecret(t, "the old one", shop, old, first.ID)
		e.expectSecret(t, "the new one", shop, next, second.ID)
		if _, _, err := e.store.AddSecret(t.Context(), audittest.By, dbtest.Realm, shop, "", 0); fault.Code(err) != "secrets_exhausted" {
			t.Errorf("a third = %v, want secrets_exhausted", err)
		}
		for range 2 { // the second time finds it done
			if err := e.store.Revoke(t.Context(), audittest.By, dbtest.Realm, first.ID, "test"); err != nil {
				t.Fatal(err)
			}
		}
		e.expectSecret(t, "the revoked one", shop, old, "")
		if _, err := e.store.Live(t.Context(), dbtest.Realm, first.ID); !fault.Is(err, fault.Forbidden) {
			t.Errorf("Live of the revoked one = %v, want forbidden", err)
		}
		e.Clock.Advance(time.Hour)
		e.expectSecret(t, "the expired one", shop, next, "")
		if _, err := e.store.Live(t.Context(), dbtest.Realm, second.ID); !fault.Is(err, fault.Forbidden) {
			t.Errorf("Live of the expired one = %v, want forbidden", err)
		}
		third, text := e.secret(t, shop, 0)
		e.expectSecret(t, "one made after it was looked for in vain", shop, text, third.ID)
		all, err := e.store.List(t.Context(), dbtest.Realm, shop)
		if err != nil || len(all) != 1 || all[0].ID != third.ID {
			t.Errorf("List = %+v, %v", all, err)
		}
	})
}

func TestSecretsMadeAtOnceAreStillTwo(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		shop := e.service(t, "shop")
		var made atomic.Int32
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				_, _, err := e.store.AddSecret(t.Context(), audittest.By, dbtest.Realm, shop, "", 0)
				switch {
				case err == nil:
					made.Add(1)
				case !fault.Is(err, fault.Conflict):
					t.Errorf("AddSecret = %v", err)
				}
			})
		}
		wg.Wait()
		if made.Load() != 2 {
			t.Errorf("%d secrets were made, want 2", made.Load())
		}
	})
}

func TestNothingIsBornOfTheDead(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		shop := e.service(t, "shop")
		c, _ := e.secret(t, shop, 0)
		if err := e.dir.Suspend(t.Context(), audittest.By, dbtest.Realm, shop, "test"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := e.store.AddSecret(t.Context(), audittest.By, dbtest.Realm, shop, "", 0); !fault.Is(err, fault.Forbidden) {
			t.Errorf("a secret for the suspended = %v, want forbidden", err)
		}
		if err := e.store.Revoke(t.Context(), audittest.By, dbtest.Realm, c.ID, "test"); err != nil {
			t.Fatal(err)
		}
		err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error { _, err := credential.LiveTx(tx, c.ID); return err })
		if !fault.Is(err, fault.Forbidden) {
			t.Errorf("LiveTx of the revoked = %v, want forbidden", err)
		}
		for _, id := range []string{"", "crd_00000000000000000000000000", "x"} {
			if _, err := e.store.Live(t.Context(), dbtest.Realm, id); !fault.Is(err, fault.NotFound) {
				t.Errorf("Live(%q) = %v, want not found", id, err)
			}
			if err := e.store.Revoke(t.Context(), audittest.By, dbtest.Realm, id, "test"); !fault.Is(err, fault.NotFound) {
				t.Errorf("Revoke(%q) = %v, want not found", id, err)
			}
		}
	})
}

func jwks(t *testing.T, keys ...*jose.Key) []byte {
	t.Helper()
	var set jose.Set
	for _, k := range keys {
		set = append(set, k.Public())
	}
	return set.JSON()
}

func mustKey(t *testing.T, id, alg string) *jose.Key {
	t.Helper()
	k, err := jose.Generate(id, alg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestPublicKeysFollowTheKeySet(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		shop := e.service(t, "shop")
		a, b, c := mustKey(t, "a", jose.ES256), mustKey(t, "", jose.EdDSA), mustKey(t, "c", jose.ES256)
		kids := func() (all []string) {
			t.Helper()
			keys, err := e.store.Keys(t.Context(), dbtest.Realm, shop)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range keys {
				if k.Key.ID != k.Name || k.Principal != shop {
					t.Errorf("key %+v", k)
				}
				all = append(all, k.Name)
			}
			slices.Sort(all)
			return all
		}
		if got := kids(); len(got) != 0 {
			t.Errorf("before: %v", got)
		}
		if _, err := e.store.SetKeys(t.Context(), audittest.By, dbtest.Realm, shop, jwks(t, a, b)); err != nil {
			t.Fatal(err)
		}
		want := []string{"a", b.Public().Thumbprint()}
		slices.Sort(want)
		if got := kids(); !slices.Equal(got, want) {
			t.Errorf("keys %v, want %v", got, want)
		}
		keys, _ := e.store.Keys(t.Context(), dbtest.Realm, shop)
		var idOfA string
		for _, k := range keys {
			if k.Name == "a" {
				idOfA = k.Credential.ID
			}
		}
		revoked, err := e.store.SetKeys(t.Context(), audittest.By, dbtest.Realm, shop, jwks(t, a, c))
		if err != nil || len(revoked) != 1 || revoked[0] == idOfA {
			t.Errorf("SetKeys = %v, %v; want the one credential that was left out", revoked, err)
		}
		if got := kids(); !slices.Equal(got, []string{"a", "c"}) {
			t.Errorf("keys %v, want a and c", got)
		}
	})
}

func TestKeySetsOfNoUseAreRefused(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		shop := e.service(t, "shop")
		a := mustKey(t, "a", jose.ES256)
		var many []*jose.Key
		for i := range 11 {
			many = append(many, mustKey(t, fmt.Sprint(i), jose.ES256))
		}
		for what, text := range map[string]string{
			"no JSON":       "{",
			"no keys":       `{"keys":[]}`,
			"a secret":      `{"keys":[{"kty":"oct","k":"AAAA","alg":"HS256"}]}`,
			"one kid twice": string(jwks(t, a, mustKey(t, "a", jose.ES256))),
			"too many":      string(jwks(t, many...)),
			"a long kid":    string(jwks(t, mustKey(t, strings.Repeat("x", 121), jose.ES256))),
		} {
			if _, err := e.store.SetKeys(t.Context(), audittest.By, dbtest.Realm, shop, []byte(text)); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s = %v, want it refused", what, err)
			}
		}
	})
}

func TestAKeySetURLIsACredentialToo(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		shop := e.service(t, "shop")
		set := func(url string) (c credential.Credential) {
			t.Helper()
			err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
				c, err = credential.AddKeySetTx(tx, audittest.By, shop, url)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		first := set("https://shop.example/jwks")
		if again := set("https://shop.example/jwks"); again.ID != first.ID {
			t.Error("the same URL made another credential")
		}
		second := set("https://shop.example/keys")
		if _, err := e.store.Live(t.Context(), dbtest.Realm, first.ID); !fault.Is(err, fault.Forbidden) {
			t.Errorf("the replaced one lives: %v", err)
		}
		if got, err := e.store.KeySet(t.Context(), dbtest.Realm, shop); err != nil || got.ID != second.ID {
			t.Errorf("KeySet = %v, %v", got.ID, err)
		}
		set("")
		if _, err := e.store.KeySet(t.Context(), dbtest.Realm, shop); !fault.Is(err, fault.NotFound) {
			t.Errorf("KeySet after its removal = %v, want not found", err)
		}
	})
}

func TestARevocationOnOneNodeHoldsOnTheOther(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		far := newEnv(t, e.Node(t))
		shop := e.service(t, "shop")
		c, text := e.secret(t, shop, 0)
		far.expectSecret(t, "before", shop, text, c.ID)
		if _, err := far.store.Live(t.Context(), dbtest.Realm, c.ID); err != nil {
			t.Fatal(err)
		}
		if err := e.store.Revoke(t.Context(), audittest.By, dbtest.Realm, c.ID, "test"); err != nil {
			t.Fatal(err)
		}
		far.expectSecret(t, "after", shop, text, "")
		if _, err := far.store.Live(t.Context(), dbtest.Realm, c.ID); !fault.Is(err, fault.Forbidden) {
			t.Errorf("Live on the other node = %v, want forbidden", err)
		}
	})
}

// CL-01: a secret that a client signs with is kept sealed, opens in its own row
// alone, and is counted and ended like any other.
func TestSharedSecretsAreKeptSealed(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		shop, bank := e.service(t, "shop"), e.service(t, "bank")
		c, text, err := e.store.AddSealedSecret(t.Context(), audittest.By, dbtest.Realm, shop, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		kept := e.stored(t, c.ID)
		if kept == "" || strings.Contains(kept, string(text)[4:]) {
			t.Errorf("kept as %q", kept)
		}
		got, err := e.store.SharedSecrets(t.Context(), dbtest.Realm, shop)
		if err != nil || len(got) != 1 || got[0].Text != text || got[0].ID != c.ID {
			t.Errorf("read: %v %v", got, err)
		}
		e.expectSecret(t, "shown as a secret", shop, text, "")
		// Moved to another principal's row it does not open.
		moved, _, err := e.store.AddSealedSecret(t.Context(), audittest.By, dbtest.Realm, bank, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		err = e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE credentials SET data = $3 WHERE realm = $1 AND id = $2`, tx.Realm, moved.ID, kept)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.store.SharedSecrets(t.Context(), dbtest.Realm, bank); err == nil {
			t.Errorf("another's sealed secret: %v", got)
		}
		if _, _, err := e.store.AddSealedSecret(t.Context(), audittest.By, dbtest.Realm, shop, "", time.Hour); err != nil {
			t.Fatal(err)
		}
		if _, _, err := e.store.AddSealedSecret(t.Context(), audittest.By, dbtest.Realm, shop, "", 0); fault.Code(err) != "secrets_exhausted" {
			t.Errorf("a third: %v", err)
		}
		e.Clock.Advance(time.Hour)
		if got, err := e.store.SharedSecrets(t.Context(), dbtest.Realm, shop); err != nil || len(got) != 1 {
			t.Errorf("after one expired: %v %v", got, err)
		}
		if err := e.store.Revoke(t.Context(), audittest.By, dbtest.Realm, c.ID, "test"); err != nil {
			t.Fatal(err)
		}
		if got, err := e.store.SharedSecrets(t.Context(), dbtest.Realm, shop); err != nil || len(got) != 0 {
			t.Errorf("after the other was revoked: %v %v", got, err)
		}
	})
}
