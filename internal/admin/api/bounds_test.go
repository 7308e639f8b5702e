package api_test

import (
	"context"
	"net/http"
	"testing"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// A host is a name that all realms share: whoever could claim any would be
// asked for other people's passwords.
func TestTenantsDoNotChooseTheirHost(t *testing.T) {
	w := newWorld(t, apptest.Start(t, db.SQLite))
	must[wire.RealmCreated](t, w.call(t, "owner", "POST", "/realms", wire.RealmCreate{Name: "acme"}))
	if _, err := w.Operators.Assign(context.Background(), audit.System, "acme", w.program(t, "acme", "tenant"), 0, operator.Owner); err != nil {
		t.Fatal(err)
	}
	patch := func(body string) (int, wire.Realm) {
		rec := w.inRealm(t, "acme", "tenant", "PATCH", "/realm", body)
		if rec.Code != http.StatusOK {
			refused(t, body, rec, http.StatusForbidden, "not_permitted")
			return rec.Code, wire.Realm{}
		}
		return rec.Code, must[wire.Realm](t, rec)
	}
	if code, _ := patch(`{"host":"login.example.org"}`); code != http.StatusForbidden {
		t.Errorf("a tenant claims a host: got %d", code)
	}
	if _, got := patch(`{"host":"","display_name":"Acme"}`); got.Host != "" || got.DisplayName != "Acme" {
		t.Errorf("got %+v", got)
	}
	host := "login.acme.example"
	rec := w.call(t, "owner", "PATCH", "/realms/acme", wire.RealmUpdate{Host: &host})
	if got := must[wire.Realm](t, rec); got.Host != host {
		t.Errorf("got %+v", got)
	}
	if got := must[wire.Realm](t, w.call(t, "owner", "PATCH", "/realm", wire.RealmUpdate{Host: new(string)})); got.Name != realm.Default {
		t.Errorf("got %+v", got)
	}
}

// AD-03: the helpdesk signs people out, but not those who could do the same to it
// and more.
func TestHelpdeskLeavesThoseWithMoreRightsAlone(t *testing.T) {
	w := newWorld(t, apptest.Start(t, db.SQLite))
	ctx, boss := context.Background(), w.Person(t, realm.Default, "boss@example.com")
	if _, err := w.Operators.Assign(ctx, audit.System, realm.Default, boss.ID, 0, operator.Admin); err != nil {
		t.Fatal(err)
	}
	proof, err := w.Passwords.Check(ctx, audit.System, realm.Default, credential.Attempt{Identifier: "boss@example.com", Password: secret.Text(apptest.Password)})
	if err != nil {
		t.Fatal(err)
	}
	open, err := w.Sessions.Begin(ctx, audit.System, realm.Default, session.New{Principal: boss.ID, Credential: proof.Credential, ACR: "1", AMR: []string{"pwd"}})
	if err != nil {
		t.Fatal(err)
	}
	standing, _, err := w.Grants.List(ctx, realm.Default, grant.Filter{Principal: w.owner.ID}, 1)
	if err != nil || len(standing) != 1 {
		t.Fatalf("the owner's grant: %v, %v", standing, err)
	}
	for _, ask := range [][2]string{
		{"DELETE", "/sessions/" + open.ID},
		{"DELETE", "/grants/" + standing[0].ID},
		{"POST", "/users/" + boss.ID + "/sign-out"},
		{"DELETE", "/users/" + boss.ID + "/consents/cardea-cli"},
	} {
		refused(t, ask[0]+" "+ask[1], w.call(t, "helpdesk", ask[0], ask[1], nil), http.StatusForbidden, "rights_exceeded")
	}
	if _, err := w.Sessions.Live(ctx, realm.Default, open.ID); err != nil {
		t.Errorf("the session ended: %v", err)
	}
	must[wire.Me](t, w.call(t, "owner", "GET", "/me", nil))
	must[struct{}](t, w.call(t, "owner", "POST", "/users/"+boss.ID+"/sign-out", nil))
	refused(t, "no such session", w.call(t, "helpdesk", "DELETE", "/sessions/ses_00000000000000000000000000", nil), http.StatusNotFound, "")
	refused(t, "no such grant", w.call(t, "helpdesk", "DELETE", "/grants/gnt_00000000000000000000000000", nil), http.StatusNotFound, "")
}

// Reading a whole log costs more than looking at it: viewers cannot ask for it.
func TestViewersDoNotVerifyTheLog(t *testing.T) {
	w := newWorld(t, apptest.Start(t, db.SQLite))
	for _, who := range []string{"viewer", "helpdesk"} {
		refused(t, who, w.call(t, who, "POST", "/events/verify", nil), http.StatusForbidden, "not_permitted")
	}
	if v := must[wire.LogVerified](t, w.call(t, "admin", "POST", "/events/verify", nil)); !v.Intact {
		t.Errorf("got %+v", v)
	}
}
