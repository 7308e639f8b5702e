package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

func TestGroupsHoldMembersAndNoCircles(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		u := e.Person(t, realm.Default, "ada@example.com")
		outer := must[wire.Group](t, w.call(t, "admin", "POST", "/groups", wire.GroupCreate{Name: "engineering"}))
		inner := must[wire.Group](t, w.call(t, "admin", "POST", "/groups", wire.GroupCreate{Name: "compilers"}))
		put := func(group, member string) *httptest.ResponseRecorder {
			return w.call(t, "admin", "PUT", "/groups/"+group+"/members/"+member, wire.MemberPut{})
		}
		must[struct{}](t, put(outer.ID, inner.ID))
		must[struct{}](t, put(inner.ID, u.ID))
		must[struct{}](t, put(inner.ID, u.ID)) // again: nothing changes
		refused(t, "a circle", put(inner.ID, outer.ID), 409, "group_cycle")
		refused(t, "nobody", put(inner.ID, "usr_00000000000000000000000000"), 404, "")
		page := must[wire.Page[wire.Member]](t, w.call(t, "viewer", "GET", "/groups/"+inner.ID+"/members", nil))
		if len(page.Items) != 1 || page.Items[0].ID != u.ID || page.Items[0].Kind != "person" || page.Items[0].Name != "Ada Example" {
			t.Errorf("got %+v", page.Items)
		}
		in := must[wire.Page[wire.Member]](t, w.call(t, "viewer", "GET", "/users/"+u.ID+"/memberships", nil))
		if len(in.Items) != 1 || in.Items[0].ID != inner.ID {
			t.Errorf("got %+v", in.Items)
		}
		must[struct{}](t, w.call(t, "admin", "DELETE", "/groups/"+inner.ID+"/members/"+u.ID, nil))
		must[struct{}](t, w.call(t, "admin", "DELETE", "/groups/"+outer.ID, nil))
		refused(t, "a deleted group", w.call(t, "viewer", "GET", "/groups/"+outer.ID, nil), 404, "group_not_found")
		refused(t, "a group as organization", w.call(t, "viewer", "GET", "/organizations/"+inner.ID, nil), 404, "organization_not_found")
	})
}

func TestOrganizationsAndServices(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		u := e.Person(t, realm.Default, "ada@example.com")
		o := must[wire.Organization](t, w.call(t, "admin", "POST", "/organizations", wire.OrganizationCreate{Name: "acme", DisplayName: "Acme Inc."}))
		must[struct{}](t, w.call(t, "admin", "PUT", "/organizations/"+o.ID+"/members/"+u.ID, wire.MemberPut{Relation: "employee"}))
		page := must[wire.Page[wire.Member]](t, w.call(t, "viewer", "GET", "/organizations/"+o.ID+"/members", nil))
		if len(page.Items) != 1 || page.Items[0].Relation != "employee" {
			t.Errorf("got %+v", page.Items)
		}
		s := must[wire.Service](t, w.call(t, "admin", "POST", "/services", wire.ServiceCreate{Name: "billing", Owner: u.ID}))
		if s.Owner != u.ID {
			t.Errorf("got %+v", s)
		}
		name := "Billing"
		s = must[wire.Service](t, w.call(t, "admin", "PATCH", "/services/"+s.ID, wire.ServiceUpdate{DisplayName: &name}, "If-Match", `"1"`))
		if s.DisplayName != "Billing" || s.Version != 2 {
			t.Errorf("got %+v", s)
		}
		if got := must[wire.Service](t, w.call(t, "admin", "POST", "/services/"+s.ID+"/suspend", nil)); got.State != "suspended" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestClientLivesThroughTheAPI(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		made := must[wire.ClientWithSecret](t, w.call(t, "admin", "POST", "/clients", wire.ClientCreate{ID: "shop", ClientSettings: wire.ClientSettings{
			Name: "Shop", Type: "web", RedirectURIs: []string{"https://shop.example/cb"}, Scopes: []string{"openid"}}}))
		if made.Client.ID != "shop" || made.Secret == "" || !made.Client.Enabled || made.Client.TokenEndpointAuthMethod != "client_secret_basic" {
			t.Errorf("got %+v", made)
		}
		p := refused(t, "a dangerous redirect", w.call(t, "admin", "POST", "/clients", wire.ClientCreate{ClientSettings: wire.ClientSettings{
			Name: "Bad", Type: "web", RedirectURIs: []string{"javascript:alert(1)"}}}), 400, "")
		if p.Errors["redirect_uris"] == "" && p.Errors["redirect_uris[0]"] == "" {
			t.Errorf("the field is not named: %+v", p.Errors)
		}
		settings := made.Client.ClientSettings
		settings.PKCEOptional = true
		changed := must[wire.ClientWithSecret](t, w.call(t, "admin", "PUT", "/clients/shop", settings, "If-Match", `"1"`))
		if len(changed.Client.Relaxed) == 0 || changed.Secret != "" {
			t.Errorf("got %+v", changed)
		}
		refused(t, "a stale version", w.call(t, "admin", "PUT", "/clients/shop", settings, "If-Match", `"1"`), 412, "version_mismatch")

		secrets := must[wire.Page[wire.Credential]](t, w.call(t, "viewer", "GET", "/clients/shop/secrets", nil))
		if len(secrets.Items) != 1 {
			t.Fatalf("got %+v", secrets.Items)
		}
		refused(t, "another client's secret", w.call(t, "admin", "DELETE", "/clients/cardea-cli/secrets/"+secrets.Items[0].ID, nil), 403, "rights_exceeded")
		refused(t, "another client's secret, as owner", w.call(t, "owner", "DELETE", "/clients/cardea-cli/secrets/"+secrets.Items[0].ID, nil), 404, "credential_not_found")
		must[struct{}](t, w.call(t, "admin", "DELETE", "/clients/shop/secrets/"+secrets.Items[0].ID, nil))
		if got := must[wire.Client](t, w.call(t, "admin", "POST", "/clients/shop/disable", nil)); got.Enabled {
			t.Error("still enabled")
		}
		if got := must[wire.Client](t, w.call(t, "admin", "POST", "/clients/shop/enable", nil)); !got.Enabled {
			t.Error("still disabled")
		}
		must[struct{}](t, w.call(t, "admin", "DELETE", "/clients/shop", nil))
		refused(t, "a deleted client", w.call(t, "viewer", "GET", "/clients/shop", nil), 404, "client_not_found")
		refused(t, "its id again", w.call(t, "admin", "POST", "/clients", wire.ClientCreate{ID: "shop", ClientSettings: wire.ClientSettings{Name: "Shop", Type: "service"}}), 409, "client_id_taken")
		refused(t, "a built-in client", w.call(t, "owner", "DELETE", "/clients/cardea-cli", nil), 409, "client_built_in")
	})
}

// Every setting of a client and of a realm crosses the wire, under one name.
func TestWireTypesKnowEverySetting(t *testing.T) {
	domain, onWire := reflect.TypeFor[client.Settings](), names(reflect.TypeFor[wire.ClientSettings]())
	for i := range domain.NumField() {
		name, _, _ := strings.Cut(domain.Field(i).Tag.Get("json"), ",")
		if !onWire[name] {
			t.Errorf("client setting %s is not in the API", name)
		}
	}
	if domain.NumField() != len(onWire) {
		t.Errorf("the API has %d client settings, the core %d", len(onWire), domain.NumField())
	}
	inAPI := names(reflect.TypeFor[wire.RealmSettings]())
	for _, f := range realm.Fields() {
		if !inAPI[f.Name] {
			t.Errorf("realm setting %s is not in the API", f.Name)
		}
		delete(inAPI, f.Name)
	}
	for name := range inAPI {
		t.Errorf("the API has a realm setting %s that there is not", name)
	}
}

func names(t reflect.Type) map[string]bool {
	out := map[string]bool{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		out[name] = true
	}
	return out
}

// What is set of a client comes back as it was set.
func TestClientSettingsSurviveTheRoundTrip(t *testing.T) {
	w := newWorld(t, apptest.Start(t, db.SQLite))
	full := wire.ClientSettings{Name: "Full", Type: "web", ResourceServer: true, Identifiers: []string{"https://api.example"}, RedirectURIs: []string{"https://a.example/cb"},
		PostLogoutRedirectURIs: []string{"https://a.example/"}, GrantTypes: []string{"authorization_code", "client_credentials", "refresh_token"}, ResponseModes: []string{"query"},
		Scopes: []string{"openid", "x"}, Resources: []string{"https://r.example"}, TokenEndpointAuthMethod: "client_secret_post", AccessTokenFormat: "opaque",
		AccessTokenSignedResponseAlg: "EdDSA", IDTokenSignedResponseAlg: "RS256", UserInfoSignedResponseAlg: "PS256", IntrospectionSignedResponseAlg: "ES256", OpenIDDefaults: true,
		SubjectType: "pairwise", SectorIdentifier: "a.example", FirstParty: true, PKCEOptional: true, LegacyAssertionAudience: false, IntrospectAny: true, DefaultMaxAge: 60, RequireAuthTime: true,
		AccessTokenTTL: 61, IDTokenTTL: 62, RefreshIdleTTL: 63, RefreshAbsoluteTTL: 64, Contacts: []string{"ops@a.example"}, ClientURI: "https://a.example", PolicyURI: "https://a.example/p", TermsURI: "https://a.example/t"}
	made := must[wire.ClientWithSecret](t, w.call(t, "owner", "POST", "/clients", wire.ClientCreate{ClientSettings: full}))
	if got := made.Client.ClientSettings; !reflect.DeepEqual(got, full) {
		t.Errorf("sent %+v\n got %+v", full, got)
	}
}

func TestSigningKeysRotate(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		before := must[wire.Page[wire.SigningKey]](t, w.call(t, "viewer", "GET", "/signing-keys", nil))
		next := must[wire.SigningKey](t, w.call(t, "admin", "POST", "/signing-keys", wire.SigningKeyRotate{Algorithm: "ES256"}))
		if next.State != "pending" {
			t.Errorf("got %+v", next)
		}
		refused(t, "twice", w.call(t, "admin", "POST", "/signing-keys", wire.SigningKeyRotate{Algorithm: "ES256"}), 409, "rotation_under_way")
		must[struct{}](t, w.call(t, "admin", "POST", "/signing-keys/"+next.ID+"/retire", nil))
		got := must[wire.SigningKey](t, w.call(t, "viewer", "GET", "/signing-keys/"+next.ID, nil))
		after := must[wire.Page[wire.SigningKey]](t, w.call(t, "viewer", "GET", "/signing-keys", nil))
		if got.State != "retired" || len(after.Items) != len(before.Items)+1 {
			t.Errorf("got %+v among %d", got, len(after.Items))
		}
	})
}

func TestRevokedSigningKeyEndsTheTokensItSigned(t *testing.T) {
	w := newWorld(t, apptest.Start(t, db.SQLite))
	keys := must[wire.Page[wire.SigningKey]](t, w.call(t, "owner", "GET", "/signing-keys", nil))
	for _, k := range keys.Items {
		if k.State == "active" && k.Algorithm == "ES256" {
			must[struct{}](t, w.call(t, "owner", "POST", "/signing-keys/"+k.ID+"/revoke", nil))
		}
	}
	refused(t, "a token of the revoked key", w.call(t, "owner", "GET", "/me", nil), 401, "invalid_token")
}

func TestSessionsEnd(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		ctx, u := context.Background(), e.Person(t, realm.Default, "ada@example.com")
		r, err := e.Passwords.Check(ctx, audit.System, realm.Default, credential.Attempt{Identifier: "ada@example.com", Password: secret.Text(apptest.Password)})
		if err != nil {
			t.Fatal(err)
		}
		var begun []session.Begun
		for range 2 {
			b, err := e.Sessions.Begin(ctx, audit.System, realm.Default, session.New{Principal: u.ID, Credential: r.Credential, ACR: "1", AMR: []string{"pwd"}, IP: "192.0.2.1", UserAgent: "test"})
			if err != nil {
				t.Fatal(err)
			}
			begun = append(begun, b)
		}
		page := must[wire.Page[wire.Session]](t, w.call(t, "viewer", "GET", "/sessions?user="+u.ID, nil))
		if len(page.Items) != 2 || page.Items[0].IP != "192.0.2.1" {
			t.Fatalf("got %+v", page.Items)
		}
		if rec := w.call(t, "viewer", "GET", "/sessions/"+begun[0].ID, nil); strings.Contains(rec.Body.String(), string(begun[0].Secret)[4:]) {
			t.Error("the session's secret is told")
		}
		must[struct{}](t, w.call(t, "helpdesk", "DELETE", "/sessions/"+begun[0].ID, nil))
		ended := must[wire.Session](t, w.call(t, "viewer", "GET", "/sessions/"+begun[0].ID, nil))
		if ended.EndedAt == nil || ended.EndReason == "" {
			t.Errorf("got %+v", ended)
		}
		must[struct{}](t, w.call(t, "helpdesk", "POST", "/users/"+u.ID+"/sign-out", nil))
		if page := must[wire.Page[wire.Session]](t, w.call(t, "viewer", "GET", "/sessions?user="+u.ID, nil)); len(page.Items) != 0 {
			t.Errorf("got %+v", page.Items)
		}
		if page := must[wire.Page[wire.Session]](t, w.call(t, "viewer", "GET", "/sessions?ended=true&user="+u.ID, nil)); len(page.Items) != 2 {
			t.Errorf("got %+v", page.Items)
		}
	})
}

func TestGrantIsRevokedAtOnce(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		me := must[wire.Me](t, w.call(t, "viewer", "GET", "/me", nil))
		page := must[wire.Page[wire.Grant]](t, w.call(t, "owner", "GET", "/grants?principal="+me.Principal, nil))
		if len(page.Items) != 1 || page.Items[0].Kind != "standing" {
			t.Fatalf("got %+v", page.Items)
		}
		refused(t, "two filters", w.call(t, "owner", "GET", "/grants?principal=a&client=b", nil), 400, "filter_invalid")
		must[struct{}](t, w.call(t, "helpdesk", "DELETE", "/grants/"+page.Items[0].ID, nil))
		refused(t, "a token of the revoked grant", w.call(t, "viewer", "GET", "/me", nil), 401, "invalid_token")
		got := must[wire.Grant](t, w.call(t, "owner", "GET", "/grants/"+page.Items[0].ID, nil))
		if got.RevokedAt == nil {
			t.Errorf("got %+v", got)
		}
	})
}

func TestRealmsAreMadeChangedAndDeleted(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		made := must[wire.RealmCreated](t, w.call(t, "owner", "POST", "/realms", wire.RealmCreate{Name: "acme", Settings: wire.RealmSettings{AccessTokenTTL: "5m", GuessLimit: 5}}))
		if made.Realm.Issuer != apptest.Issuer+"/realms/acme" || !strings.HasPrefix(made.Setup.URL, made.Realm.Issuer+"/setup?link=cdl_") ||
			made.Realm.Settings.AccessTokenTTL != "5m" || made.Realm.Settings.GuessLimit != 5 || made.Realm.Settings.CodeTTL == "" {
			t.Errorf("got %+v", made)
		}
		refused(t, "the same again", w.call(t, "owner", "POST", "/realms", wire.RealmCreate{Name: "acme"}), 409, "")
		p := refused(t, "a bad setting", w.call(t, "owner", "PATCH", "/realms/acme", wire.RealmUpdate{Settings: &wire.RealmSettings{AccessTokenTTL: "forever"}}), 400, "settings_invalid")
		if p.Errors["settings.access_token_ttl"] == "" {
			t.Errorf("got %+v", p.Errors)
		}
		changed := must[wire.Realm](t, w.call(t, "owner", "PATCH", "/realms/acme", wire.RealmUpdate{Settings: &wire.RealmSettings{SessionIdle: "1h"}}))
		if changed.Settings.SessionIdle != "1h" || changed.Settings.AccessTokenTTL != "5m" {
			t.Errorf("got %+v", changed.Settings)
		}
		must[wire.Realm](t, w.call(t, "owner", "PATCH", "/realms/acme", wire.RealmUpdate{Settings: &wire.RealmSettings{ApprovalWebhook: "https://tell.example/me"}}))
		changed = must[wire.Realm](t, w.call(t, "owner", "PATCH", "/realms/acme", wire.RealmUpdate{Settings: &wire.RealmSettings{SessionIdle: "2h"}, Reset: []string{"approval_webhook", "access_token_ttl"}}))
		if changed.Settings.ApprovalWebhook != "" || changed.Settings.AccessTokenTTL != "10m" || changed.Settings.SessionIdle != "2h" {
			t.Errorf("after a reset: %+v", changed.Settings)
		}
		refused(t, "a reset of what is no setting", w.call(t, "owner", "PATCH", "/realms/acme", wire.RealmUpdate{Reset: []string{"nonsense"}}), 400, "settings_invalid")
		if rec := w.call(t, "owner", "DELETE", "/realms/acme", nil); rec.Code != http.StatusNoContent {
			t.Errorf("delete: %d %s", rec.Code, rec.Body)
		}
		refused(t, "a deleted realm", w.call(t, "owner", "GET", "/realms/acme", nil), 404, "")
		refused(t, "the default realm", w.call(t, "owner", "DELETE", "/realms/default", nil), 409, "")
		refused(t, "set-up of a realm that was set up", w.call(t, "owner", "POST", "/realms/"+apptest.Neighbour+"/setup-link", nil), 409, "setup_closed")
		own := must[wire.Realm](t, w.call(t, "viewer", "GET", "/realm", nil))
		if own.Name != realm.Default || own.Settings.AccessTokenTTL == "" {
			t.Errorf("got %+v", own)
		}
	})
}

// Every change of the API leaves the event that its declaration names, with
// the operator as its actor.
func TestChangesLeaveTheirEvents(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		u := must[wire.User](t, w.call(t, "owner", "POST", "/users", wire.UserCreate{Username: "ada"}))
		e.Clock.Advance(time.Second)
		must[struct{}](t, w.call(t, "owner", "DELETE", "/users/"+u.ID, nil))
		page := must[wire.Page[wire.Event]](t, w.call(t, "viewer", "GET", "/events?target="+u.ID, nil))
		if len(page.Items) != 2 || page.Items[0].Action != "principal.delete" || page.Items[1].Action != "principal.create" {
			t.Fatalf("got %+v", page.Items)
		}
		for _, ev := range page.Items {
			if ev.Actor.ID != w.owner.ID || ev.Actor.Client == "" || ev.Actor.IP == "" {
				t.Errorf("%s by %+v", ev.Action, ev.Actor)
			}
		}
		if v := must[wire.LogVerified](t, w.call(t, "admin", "POST", "/events/verify", nil)); !v.Intact || v.Size == 0 {
			t.Errorf("got %+v", v)
		}
		if page := must[wire.Page[wire.Event]](t, w.call(t, "viewer", "GET", "/events?action=principal.&limit=1", nil)); len(page.Items) != 1 || page.Next == "" {
			t.Errorf("got %+v", page)
		}
	})
}
