package api_test

import (
	"context"
	"strings"
	"testing"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
)

// CL-06: the token with which clients register is told once, and lists say how
// often it was used.
func TestInitialAccessTokens(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		made := must[wire.InitialAccessTokenCreated](t, w.call(t, "owner", "POST", "/initial-access-tokens", wire.InitialAccessTokenCreate{Name: "portal", Uses: 3, ExpiresIn: 60}))
		if !strings.HasPrefix(made.Token, "cdi_") || made.MaxUses != 3 || made.Name != "portal" {
			t.Errorf("%+v", made)
		}
		answer := w.call(t, "owner", "GET", "/initial-access-tokens", nil)
		if strings.Contains(answer.Body.String(), made.Token) {
			t.Error("the list tells the token")
		}
		list := must[wire.Page[wire.InitialAccessToken]](t, answer)
		if len(list.Items) != 1 || list.Items[0].ID != made.ID || list.Items[0].Uses != 0 || list.Items[0].RevokedAt != nil {
			t.Errorf("%+v", list)
		}
		if got := w.call(t, "owner", "DELETE", "/initial-access-tokens/"+made.ID, nil); got.Code >= 300 {
			t.Errorf("%d %s", got.Code, got.Body)
		}
		if list := must[wire.Page[wire.InitialAccessToken]](t, w.call(t, "owner", "GET", "/initial-access-tokens", nil)); list.Items[0].RevokedAt == nil {
			t.Errorf("%+v", list)
		}
		for name, bad := range map[string]wire.InitialAccessTokenCreate{"no use": {ExpiresIn: 60}, "no end": {Uses: 1}, "years": {Uses: 1, ExpiresIn: 1 << 30}} {
			if got := w.call(t, "owner", "POST", "/initial-access-tokens", bad); got.Code != 400 && got.Code != 422 {
				t.Errorf("%s: %d %s", name, got.Code, got.Body)
			}
		}
	})
}

// A client whose id is an address is named by its service. What it is, its
// document says; operators end it.
func TestClientsOfDocumentsAreNamedByTheirService(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		made, err := e.Clients.Create(context.Background(), audit.System, realm.Default, client.Draft{ID: "https://far.example/client.json", Source: client.FromDocument,
			Settings: client.Settings{Name: "Far", Type: client.SPA, RedirectURIs: []string{"https://far.example/cb"}, Scopes: []string{"openid"}}})
		if err != nil {
			t.Fatal(err)
		}
		at := "/clients/" + made.Principal
		shown := must[wire.Client](t, w.call(t, "owner", "GET", at, nil))
		if shown.ID != made.ID || shown.Source != "document" {
			t.Errorf("%+v", shown)
		}
		refused(t, "changing it", w.call(t, "owner", "PUT", at, shown.ClientSettings), 409, "client_from_document")
		if got := must[wire.Client](t, w.call(t, "owner", "POST", at+"/disable", nil)); got.Enabled {
			t.Errorf("disabled: %+v", got)
		}
		if got := must[wire.Client](t, w.call(t, "owner", "POST", at+"/enable", nil)); !got.Enabled {
			t.Errorf("enabled: %+v", got)
		}
		if got := w.call(t, "owner", "DELETE", at, nil); got.Code >= 300 {
			t.Errorf("%d %s", got.Code, got.Body)
		}
		if _, err := e.Clients.ByID(context.Background(), realm.Default, made.ID); err == nil {
			t.Error("it is there after its end")
		}
	})
}
