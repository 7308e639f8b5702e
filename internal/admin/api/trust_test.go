package api_test

import (
	"reflect"
	"slices"
	"testing"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/identity/trust"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

func issuerSettings(t *testing.T, issuer string) wire.TrustedIssuerSettings {
	t.Helper()
	key, err := jose.Generate("k1", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return wire.TrustedIssuerSettings{Name: "Login", Issuer: issuer, JWKS: string(jose.Set{key.Public()}.JSON()), Algorithms: []string{"ES256"},
		Uses: []string{"token_exchange", "id_jag"}, Audiences: []string{"https://api.example"}, Scopes: []string{"read"}, LinkByEmail: true, MaxLife: 60}
}

// AD-01: whom the realm believes is read by viewers and decided by admins, comes
// back as it was set, and leaves its events.
func TestTrustedIssuersLiveThroughTheAPI(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		full := issuerSettings(t, "https://login.example")
		made := must[wire.TrustedIssuer](t, w.call(t, "admin", "POST", "/trusted-issuers", full))
		if !reflect.DeepEqual(made.TrustedIssuerSettings, full) || made.Version != 1 || len(made.Relaxed) != 1 {
			t.Errorf("sent %+v\n got %+v", full, made)
		}
		refused(t, "twice", w.call(t, "admin", "POST", "/trusted-issuers", full), 409, "issuer_taken")
		bad := full
		bad.Issuer, bad.Scopes = "https://other.example", []string{"cardea:admin"}
		refused(t, "the administration's scope", w.call(t, "admin", "POST", "/trusted-issuers", bad), 400, "invalid_issuer_settings")
		refused(t, "by the helpdesk", w.call(t, "helpdesk", "POST", "/trusted-issuers", full), 403, "not_permitted")
		full.LinkByEmail, full.Uses = false, nil
		refused(t, "an old version", w.call(t, "admin", "PUT", "/trusted-issuers/"+made.ID, full, "If-Match", `"7"`), 412, "version_mismatch")
		changed := must[wire.TrustedIssuer](t, w.call(t, "admin", "PUT", "/trusted-issuers/"+made.ID, full, "If-Match", `"1"`))
		if changed.Version != 2 || changed.Uses != nil || len(changed.Relaxed) != 0 {
			t.Errorf("got %+v", changed)
		}
		if page := must[wire.Page[wire.TrustedIssuer]](t, w.call(t, "viewer", "GET", "/trusted-issuers", nil)); len(page.Items) != 1 || page.Items[0].ID != made.ID {
			t.Errorf("got %+v", page)
		}
		ada := e.Person(t, realm.Default, "ada@example.com")
		path := "/trusted-issuers/" + made.ID + "/subjects"
		link := must[wire.TrustedSubject](t, w.call(t, "admin", "POST", path, wire.TrustedSubjectCreate{Subject: "s-1", Principal: ada.ID}))
		if page := must[wire.Page[wire.TrustedSubject]](t, w.call(t, "viewer", "GET", path, nil)); len(page.Items) != 1 || page.Items[0] != link {
			t.Errorf("got %+v", page)
		}
		// Whoever could speak for an owner would be one.
		refused(t, "an owner", w.call(t, "admin", "POST", path, wire.TrustedSubjectCreate{Subject: "s-2", Principal: w.owner.ID}), 403, "")
		owned := must[wire.TrustedSubject](t, w.call(t, "owner", "POST", path, wire.TrustedSubjectCreate{Subject: "s-2", Principal: w.owner.ID}))
		refused(t, "an owner's link", w.call(t, "admin", "DELETE", path+"/"+owned.ID, nil), 403, "")
		must[struct{}](t, w.call(t, "owner", "DELETE", "/users/"+ada.ID, nil))
		if page := must[wire.Page[wire.TrustedSubject]](t, w.call(t, "viewer", "GET", path, nil)); len(page.Items) != 1 || page.Items[0].ID != owned.ID {
			t.Errorf("what a deleted user was called elsewhere is kept: %+v", page)
		}
		must[struct{}](t, w.call(t, "admin", "DELETE", "/trusted-issuers/"+made.ID, nil))
		refused(t, "after deletion", w.call(t, "viewer", "GET", "/trusted-issuers/"+made.ID, nil), 404, "issuer_not_found")
		var actions []string
		for _, ev := range must[wire.Page[wire.Event]](t, w.call(t, "viewer", "GET", "/events?target="+made.ID, nil)).Items {
			actions = append(actions, ev.Action)
		}
		slices.Sort(actions)
		if want := []string{"trusted_issuer.create", "trusted_issuer.delete", "trusted_issuer.link", "trusted_issuer.link", "trusted_issuer.unlink", "trusted_issuer.unlink", "trusted_issuer.update"}; !slices.Equal(actions, want) {
			t.Errorf("events %q, want %q", actions, want)
		}
	})
}

// Every setting of a trusted issuer crosses the wire, under one name.
func TestWireTypesKnowEverySettingOfAnIssuer(t *testing.T) {
	core, onWire := names(reflect.TypeFor[trust.Settings]()), names(reflect.TypeFor[wire.TrustedIssuerSettings]())
	if !reflect.DeepEqual(core, onWire) {
		t.Errorf("the core has %v, the API %v", core, onWire)
	}
}
