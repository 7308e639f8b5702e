package api_test

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/realm"
)

const idempotencyKey = `"8e03978e-40d5-43e8-bc93-6894a57f9324"`

// A request that makes a secret and whose answer was lost is sent again with its
// key: it makes nothing new, and the secret is told again, for ten minutes. Run do
// in Answers.again too to see it fail.
func TestARepeatedRequestMakesNoSecondSecret(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		long := realm.Change{Settings: map[string]any{"access_token_ttl": "2h"}}
		if _, err := e.Realms.Update(t.Context(), audit.System, realm.Default, 0, long); err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, e)
		shop := wire.ClientCreate{ClientSettings: wire.ClientSettings{Name: "Shop", Type: "web", RedirectURIs: []string{"https://shop.example/cb"}, Scopes: []string{"openid"}}}
		send := func(who, path string, body any, key string) *httptest.ResponseRecorder {
			return w.call(t, who, "POST", path, body, "Idempotency-Key", key)
		}
		first := send("admin", "/clients", shop, idempotencyKey)
		made := must[wire.ClientWithSecret](t, first)
		again := send("admin", "/clients", shop, idempotencyKey)
		if again.Code != 201 || again.Body.String() != first.Body.String() || again.Header().Get("ETag") != first.Header().Get("ETag") || made.Secret == "" {
			t.Errorf("again: %d %s, want %s", again.Code, again.Body, first.Body)
		}
		path := "/clients/" + made.Client.ID + "/secrets"
		secret := must[wire.ClientSecret](t, send("admin", path, wire.ClientSecretCreate{ExpiresIn: 60}, idempotencyKey))
		if got := must[wire.ClientSecret](t, send("admin", path, wire.ClientSecretCreate{ExpiresIn: 60}, idempotencyKey)); got.ID != secret.ID || got.Secret != secret.Secret {
			t.Errorf("again %+v, want %+v", got, secret)
		}
		if all := must[wire.Page[wire.Credential]](t, w.call(t, "admin", "GET", path, nil)); len(all.Items) != 2 {
			t.Errorf("%d secrets, want the first and one more", len(all.Items))
		}
		refused(t, "other content", send("admin", path, wire.ClientSecretCreate{ExpiresIn: 61}, idempotencyKey), 409, "idempotency_key_reused")
		refused(t, "a short key", send("admin", path, wire.ClientSecretCreate{}, `"1"`), 422, "invalid_request")
		refused(t, "the key of another operator", send("owner", path, wire.ClientSecretCreate{ExpiresIn: 60}, idempotencyKey), 409, "secrets_exhausted")
		refused(t, "without the right", send("viewer", path, wire.ClientSecretCreate{ExpiresIn: 60}, idempotencyKey), 403, "not_permitted")
		err := e.DB.View(t.Context(), realm.Default, func(tx *db.Tx) error {
			rows, err := db.All(tx, db.Scalar[string], `SELECT payload FROM once WHERE realm = $1`, tx.Realm)
			if len(rows) != 2 || strings.Contains(strings.Join(rows, ""), made.Secret) || strings.Contains(strings.Join(rows, ""), secret.Secret) {
				t.Errorf("the database tells the secrets: %v", rows)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(once.AnswerKept + time.Second)
		refused(t, "after ten minutes", send("admin", path, wire.ClientSecretCreate{ExpiresIn: 60}, idempotencyKey), 409, "idempotency_key_old")
	})
}

// Of the same request sent many times at once, one makes the secret.
func TestARepeatedRequestAtTheSameTime(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		shop := wire.ClientCreate{ClientSettings: wire.ClientSettings{Name: "Shop", Type: "service"}}
		var mu sync.Mutex
		ids := map[string]bool{}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				rec := w.call(t, "admin", "POST", "/clients", shop, "Idempotency-Key", idempotencyKey)
				if rec.Code == 503 { // another one is at it
					return
				}
				made := must[wire.ClientWithSecret](t, rec)
				mu.Lock()
				defer mu.Unlock()
				ids[made.Client.ID+made.Secret] = true
			})
		}
		wg.Wait()
		if len(ids) != 1 {
			t.Errorf("%d clients were made, want 1", len(ids))
		}
	})
}
