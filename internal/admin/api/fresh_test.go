package api_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/admin/api"
	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
)

// signedIn makes a token of a person for the admin API, as of a sign-in of an
// age, and keeps it under name.
func (w *world) signedIn(t *testing.T, name, person, acr string, age time.Duration) {
	t.Helper()
	ctx, audience := context.Background(), apptest.Issuer+wire.Path
	slot, err := w.Grants.Reserve(ctx, realm.Default, grant.ForGrants)
	if err != nil {
		t.Fatal(err)
	}
	var g *grant.Grant
	err = w.DB.Update(ctx, realm.Default, func(tx *db.Tx) (err error) {
		g, _, err = w.Grants.CreateTx(tx, audit.System, slot, grant.New{Kind: grant.Authorization, Principal: person, Client: "cardea-cli", Offline: true,
			Scopes: []string{wire.Scope}, Audience: []string{audience}, ACR: acr, AMR: []string{"pwd"}, AuthTime: tx.Now.Add(-age)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := w.Tokens.Issue(ctx, audit.System, token.Request{Grant: g, Scopes: []string{wire.Scope}, Audience: []string{audience}})
	if err != nil {
		t.Fatal(err)
	}
	w.tokens[name] = issued.Access
}

// AD-04: what is dangerous takes two factors, and recently; and the answer tells
// the client which sign-in would do.
func TestDangerousOperationsTakeAStrongRecentSignIn(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		ada := w.Person(t, realm.Default, "ada@example.com")
		if _, err := w.Operators.Assign(t.Context(), audit.System, realm.Default, ada.ID, 0, operator.Owner); err != nil {
			t.Fatal(err)
		}
		w.signedIn(t, "good", ada.ID, "aal2", time.Minute)
		w.signedIn(t, "strong", ada.ID, "aal3", 14*time.Minute)
		w.signedIn(t, "weak", ada.ID, "aal1", time.Minute)
		w.signedIn(t, "old", ada.ID, "aal2", 16*time.Minute)
		link := func(who string) int { return w.call(t, who, "POST", "/users/"+ada.ID+"/password-link", nil).Code }
		for who, want := range map[string]int{"good": 200, "strong": 200, "owner": 200, "weak": 401, "old": 401} {
			if got := link(who); got != want {
				t.Errorf("%s: %d, want %d", who, got, want)
			}
			if got := w.call(t, who, "GET", "/users", nil).Code; got != 200 {
				t.Errorf("%s reads: %d", who, got)
			}
			if got := w.call(t, who, "POST", "/events/verify", nil).Code; got != 200 { // it may take hours
				t.Errorf("%s verifies: %d", who, got)
			}
		}
		rec := w.call(t, "old", "POST", "/signing-keys", wire.SigningKeyRotate{Algorithm: "ES256"})
		if got := rec.Header().Get("WWW-Authenticate"); rec.Code != http.StatusUnauthorized || !strings.Contains(got, `error="insufficient_user_authentication"`) ||
			!strings.Contains(got, `, acr_values="aal2", max_age="900"`) || !strings.HasPrefix(got, "Bearer ") {
			t.Errorf("%d, challenge %q", rec.Code, got)
		}
		// Least of all what decides about it.
		lax := wire.RealmUpdate{Settings: &wire.RealmSettings{OperatorACR: "aal1", OperatorFresh: "1h"}}
		for who, want := range map[string]int{"weak": 401, "old": 401} {
			if got := w.call(t, who, "PATCH", "/realm", lax).Code; got != want {
				t.Errorf("%s lets the realm ask for less: %d, want %d", who, got, want)
			}
		}
		re, err := w.Realms.ByName(t.Context(), realm.Default)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Realms.Update(t.Context(), audit.System, realm.Default, re.Version, realm.Change{Settings: map[string]any{"operator_acr": "aal1", "operator_fresh": "1h"}}); err != nil {
			t.Fatal(err)
		}
		if weak, old := link("weak"), link("old"); weak != 200 || old != 200 {
			t.Errorf("where the realm asks for less: %d and %d", weak, old)
		}
	})
}

// Whatever makes a secret, an operator or trust is dangerous; reading never is.
func TestDangerIsDeclared(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	var named []string
	for _, o := range e.API.Operations() {
		if o.Dangerous() {
			named = append(named, o.ID)
		}
		reads := o.Method == http.MethodGet
		if reads && o.Dangerous() {
			t.Errorf("%s only reads", o.ID)
		}
		if o.Class == api.Secret && !o.Dangerous() && (o.ID != "verify-events" || o.Event != api.NoEvent) {
			t.Errorf("%s makes or shows a secret", o.ID)
		}
		// A realm that asks for less asks for nothing; what is deleted is made no more.
		if (o.Event == "realm.update" || o.Event == "principal.delete") && !o.Dangerous() {
			t.Errorf("%s is not dangerous", o.ID)
		}
		if !reads && !o.Dangerous() && slices.Contains([]operator.Permission{operator.OperatorsWrite, operator.RealmsWrite, operator.KeysWrite, operator.IncidentsClose}, o.Permission) {
			t.Errorf("%s is not dangerous", o.ID)
		}
	}
	for _, id := range api.DangerousIDs() {
		if !slices.Contains(named, id) {
			t.Errorf("there is no operation %s", id)
		}
	}
}
