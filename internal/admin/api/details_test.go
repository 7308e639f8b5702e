package api_test

import (
	"strings"
	"testing"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/app/apptest"
)

func TestAuthorizationDetailTypesLiveThroughTheAPI(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		const path = "/authorization-detail-types/urn:example:payment"
		good := wire.AuthorizationDetailTypePut{Schema: `{"required":["amount"]}`, Words: map[string]string{"en": "Pay {amount}", "de": "{amount} zahlen"}}
		made := must[wire.AuthorizationDetailType](t, w.call(t, "admin", "PUT", path, good))
		if made.Type != "urn:example:payment" || made.Version != 1 || made.Words["de"] != "{amount} zahlen" {
			t.Errorf("got %+v", made)
		}
		refused(t, "by a viewer", w.call(t, "viewer", "PUT", path, good), 403, "")
		refused(t, "a stale version", w.call(t, "admin", "PUT", path, good, "If-Match", `"7"`), 412, "version_mismatch")
		p := refused(t, "a bad type", w.call(t, "admin", "PUT", path, wire.AuthorizationDetailTypePut{Schema: "[]", Words: map[string]string{"en": "{"}}), 400, "authorization_detail_type_invalid")
		if p.Errors["schema"] == "" || p.Errors["words.en"] == "" {
			t.Errorf("the fields are not named: %+v", p.Errors)
		}
		good.Words = map[string]string{"en": "Send {amount}"}
		if changed := must[wire.AuthorizationDetailType](t, w.call(t, "admin", "PUT", path, good, "If-Match", `"1"`)); changed.Version != 2 || len(changed.Words) != 1 {
			t.Errorf("got %+v", changed)
		}
		if got := must[wire.AuthorizationDetailType](t, w.call(t, "viewer", "GET", path, nil)); got.Words["en"] != "Send {amount}" {
			t.Errorf("got %+v", got)
		}
		if page := must[wire.Page[wire.AuthorizationDetailType]](t, w.call(t, "viewer", "GET", "/authorization-detail-types", nil)); len(page.Items) != 1 {
			t.Errorf("got %+v", page)
		}
		must[struct{}](t, w.call(t, "admin", "DELETE", path, nil))
		refused(t, "after its end", w.call(t, "viewer", "GET", path, nil), 404, "authorization_detail_type_unknown")
	})
}

// A profile that clients contradict is refused, and the clients are named.
func TestProfilesThroughTheAPI(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		web := wire.ClientSettings{Name: "Shop", Type: "web", RedirectURIs: []string{"https://shop.example/cb"}, Scopes: []string{"openid"}, Profile: "fapi2"}
		p := refused(t, "a client that contradicts its profile", w.call(t, "admin", "POST", "/clients", wire.ClientCreate{ID: "shop", ClientSettings: web}), 400, "")
		if !strings.Contains(p.Errors["token_endpoint_auth_method"], "private_key_jwt") {
			t.Errorf("the field is not named: %+v", p.Errors)
		}
		web.Profile = ""
		must[wire.ClientWithSecret](t, w.call(t, "admin", "POST", "/clients", wire.ClientCreate{ID: "shop", ClientSettings: web}))
		p = refused(t, "a realm that its clients contradict", w.call(t, "owner", "PATCH", "/realm", wire.RealmUpdate{Settings: &wire.RealmSettings{Profile: "fapi2"}}), 400, "profile_contradicted")
		if !strings.Contains(p.Errors["settings.profile"], ": token_endpoint_auth_method must be one of private_key_jwt") {
			t.Errorf("the client is not named: %+v", p.Errors)
		}
		if got := must[wire.Realm](t, w.call(t, "owner", "PATCH", "/realm", wire.RealmUpdate{Settings: &wire.RealmSettings{Profile: "mcp"}})); got.Settings.Profile != "mcp" {
			t.Errorf("got %+v", got.Settings)
		}
	})
}
