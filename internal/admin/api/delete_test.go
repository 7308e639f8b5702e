package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/credential/passkeytest"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

// gone is something to delete, and what never was; "" where there is only one.
type gone struct{ path, never string }

// deletable makes one thing for each DELETE of the API, by operation id.
func (w *world) deletable(t *testing.T) map[string]gone {
	t.Helper()
	ctx := context.Background()
	create := func(path string, body any) string {
		t.Helper()
		return must[struct {
			ID string `json:"id"`
		}](t, w.call(t, "owner", "POST", path, body)).ID
	}
	put := func(path string, body any) { t.Helper(); must[any](t, w.call(t, "owner", "PUT", path, body)) }
	const nobody = "_00000000000000000000000000"
	ada, bob := w.Person(t, realm.Default, "ada@example.com"), w.Person(t, realm.Default, "bob@example.com")
	must[wire.User](t, w.call(t, "owner", "POST", "/users/"+ada.ID+"/emails", wire.Email{Address: "second@example.com"}))
	group, organization := create("/groups", wire.GroupCreate{Name: "g"}), create("/organizations", wire.OrganizationCreate{Name: "o"})
	put("/groups/"+group+"/members/"+ada.ID, wire.MemberPut{})
	put("/organizations/"+organization+"/members/"+ada.ID, wire.MemberPut{})
	put("/operators/"+ada.ID, wire.OperatorPut{Role: "viewer"})
	web := wire.ClientSettings{Name: "Shop", Type: "web", RedirectURIs: []string{"https://shop.example/cb"}, Scopes: []string{"openid"}}
	must[any](t, w.call(t, "owner", "POST", "/clients", wire.ClientCreate{ID: "shop", ClientSettings: web}))
	made := must[wire.ClientWithSecret](t, w.call(t, "owner", "POST", "/clients", wire.ClientCreate{ID: "keeps", ClientSettings: web}))
	secrets := must[wire.Page[wire.Credential]](t, w.call(t, "owner", "GET", "/clients/keeps/secrets", nil))
	robot := must[wire.ClientWithSecret](t, w.call(t, "owner", "POST", "/clients", wire.ClientCreate{ID: "robot", ClientSettings: wire.ClientSettings{Name: "Robot", Type: "service"}}))
	robots := must[wire.Page[wire.Credential]](t, w.call(t, "owner", "GET", "/services/"+robot.Client.Principal+"/credentials", nil))
	must[any](t, w.call(t, "owner", "POST", "/realms", wire.RealmCreate{Name: "acme"}))
	proofs, err := w.Credentials.List(ctx, realm.Default, bob.ID)
	if err != nil || len(proofs) == 0 {
		t.Fatal(proofs, err)
	}
	begun, err := w.Sessions.Begin(ctx, audit.System, realm.Default, session.New{Principal: bob.ID, Credential: proofs[0].ID, ACR: "1", AMR: []string{"pwd"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Grants.Remember(ctx, audit.System, realm.Default, bob.ID, made.Client.ID, []string{"openid"}); err != nil {
		t.Fatal(err)
	}
	slot, err := w.Grants.Reserve(ctx, realm.Default, grant.ForGrants)
	if err != nil {
		t.Fatal(err)
	}
	var given *grant.Grant
	if err := w.DB.Update(ctx, realm.Default, func(tx *db.Tx) (err error) {
		given, _, err = w.Grants.CreateTx(tx, audit.System, slot, grant.New{Kind: grant.Authorization, Principal: bob.ID, Client: made.Client.ID,
			Offline: true, Refresh: true, Scopes: []string{"openid"}, Audience: []string{"https://api.example"}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	key, err := jose.Generate("k", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	issuer := func(name string) string {
		return create("/trusted-issuers", wire.TrustedIssuerSettings{Issuer: name, JWKS: string(jose.Set{key.Public()}.JSON())})
	}
	login := issuer("https://login.example")
	link := create("/trusted-issuers/"+login+"/subjects", wire.TrustedSubjectCreate{Subject: "s-1", Principal: bob.ID})
	put("/authorization-detail-types/payment", wire.AuthorizationDetailTypePut{Schema: "{}", Words: map[string]string{"en": "Pay"}})
	return map[string]gone{
		"revoke-user-credential":           {"/users/" + bob.ID + "/credentials/" + w.passkey(t, bob.ID), "/users/" + bob.ID + "/credentials/crd" + nobody},
		"delete-authorization-detail-type": {"/authorization-detail-types/payment", "/authorization-detail-types/nothing"},
		"delete-trusted-issuer":            {"/trusted-issuers/" + issuer("https://other.example"), "/trusted-issuers/tis" + nobody},
		"unlink-trusted-subject":           {"/trusted-issuers/" + login + "/subjects/" + link, "/trusted-issuers/" + login + "/subjects/crd" + nobody},
		"remove-email":                     {"/users/" + ada.ID + "/emails/second@example.com", "/users/" + ada.ID + "/emails/no-address"},
		"revoke-consent":                   {"/users/" + bob.ID + "/consents/keeps", "/users/" + bob.ID + "/consents/nothing"},
		"remove-group-member":              {"/groups/" + group + "/members/" + ada.ID, "/groups/" + group + "/members/usr" + nobody},
		"remove-organization-member":       {"/organizations/" + organization + "/members/" + ada.ID, "/organizations/" + organization + "/members/usr" + nobody},
		"delete-group":                     {"/groups/" + create("/groups", wire.GroupCreate{Name: "h"}), "/groups/grp" + nobody},
		"delete-organization":              {"/organizations/" + create("/organizations", wire.OrganizationCreate{Name: "p"}), "/organizations/org" + nobody},
		"delete-service":                   {"/services/" + create("/services", wire.ServiceCreate{Name: "s"}), "/services/svc" + nobody},
		"revoke-service-credential":        {"/services/" + robot.Client.Principal + "/credentials/" + robots.Items[0].ID, "/services/" + robot.Client.Principal + "/credentials/crd" + nobody},
		"delete-client":                    {"/clients/shop", "/clients/nothing"},
		"revoke-client-secret":             {"/clients/keeps/secrets/" + secrets.Items[0].ID, "/clients/keeps/secrets/crd" + nobody},
		"end-session":                      {"/sessions/" + begun.ID, "/sessions/ses" + nobody},
		"revoke-grant":                     {"/grants/" + given.ID, "/grants/gnt" + nobody},
		"delete-realm":                     {"/realms/acme", "/realms/nothing"},
		"remove-operator":                  {"/operators/" + ada.ID, "/operators/usr" + nobody},
		"revoke-initial-access-token":      {"/initial-access-tokens/" + create("/initial-access-tokens", wire.InitialAccessTokenCreate{Uses: 1, ExpiresIn: 60}), "/initial-access-tokens/iat" + nobody},
		"withdraw-invitation":              {"/invitations/" + must[wire.InvitationSent](t, w.call(t, "owner", "POST", "/invitations", wire.InvitationCreate{Email: "guest@example.com"})).Invitation.ID, "/invitations/inv" + nobody},
		"withdraw-terms":                   {"/terms/" + create("/terms", wire.TermsCreate{Document: "terms", Version: "1", Title: "Terms", Text: "Be kind."}), "/terms/trm" + nobody},
		"delete-fact-source":               {"/access/sources/" + create("/access/sources", wire.FactSourcePut{FactSourceSettings: wire.FactSourceSettings{Name: "crm", Kind: "http", URL: "https://crm.example/facts"}}), "/access/sources/nothing"},
		"cancel-fact-import":               {"/access/imports/" + create("/access/imports", wire.FactImportCreate{Name: "facts"}), "/access/imports/imp" + nobody},
		"unfollow-policy":                  {"/access/policy/source", ""},
		"delete-user":                      {"/users/" + create("/users", wire.UserCreate{Username: "carl"}), "/users/usr" + nobody},
	}
}

// passkey gives somebody a passkey.
func (w *world) passkey(t *testing.T, person string) string {
	t.Helper()
	re, err := w.Realms.ByName(t.Context(), realm.Default)
	if err != nil {
		t.Fatal(err)
	}
	who, err := w.People.ByID(t.Context(), realm.Default, person)
	if err != nil {
		t.Fatal(err)
	}
	options, err := w.Passkeys.CreationOptions(t.Context(), re, who, "browser")
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := w.Passkeys.Register(t.Context(), audit.System, realm.Default, credential.NewPasskey{Principal: person, Browser: "browser", Name: "Phone", Answer: passkeytest.New(re.Issuer).Create(options)})
	if err != nil {
		t.Fatal(err)
	}
	return c.ID
}

// RFC 9110, section 9.2.2: a DELETE whose answer was lost is sent again and
// succeeds, leaving no second event; what never was is not found. Remove the
// branch of what is gone from any of the cores to see its line fail.
func TestEveryDeleteCanBeRepeated(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		things := w.deletable(t)
		for _, o := range e.API.Operations() {
			if o.Method != http.MethodDelete {
				continue
			}
			x, ok := things[o.ID]
			if !ok {
				t.Errorf("%s is not tried", o.ID)
				continue
			}
			if x.never != "" {
				refused(t, o.ID+" of what never was", w.call(t, "owner", "DELETE", x.never, nil), 404, "")
			}
			first := w.call(t, "owner", "DELETE", x.path, nil)
			if first.Code >= 300 {
				t.Errorf("%s: %d %s", o.ID, first.Code, first.Body)
				continue
			}
			before := w.changes(t)
			again := w.call(t, "owner", "DELETE", x.path, nil)
			if again.Code != first.Code || again.Body.String() != first.Body.String() {
				t.Errorf("%s again: %d %s, want %d %s", o.ID, again.Code, again.Body, first.Code, first.Body)
			}
			if after := w.changes(t); after != before {
				t.Errorf("%s again left %d events", o.ID, after-before)
			}
		}
	})
}

// changes counts the events so far, without those that decisions were written down.
func (w *world) changes(t *testing.T) (n int) {
	t.Helper()
	for _, r := range append(w.Events(t, realm.Default), w.Events(t, "acme")...) {
		if r.Action != "decision.segment" {
			n++
		}
	}
	return n
}

// A repeated deletion asks for the same right as the first.
func TestARepeatedDeleteNeedsTheRight(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		for id, x := range w.deletable(t) {
			if w.call(t, "owner", "DELETE", x.path, nil).Code >= 300 || strings.HasPrefix(x.path, "/realms") {
				continue
			}
			refused(t, id, w.call(t, "viewer", "DELETE", x.path, nil), 403, "not_permitted")
		}
	})
}
