package apptest

import (
	"context"
	"testing"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/verify"
)

// granted is an access token for somebody who is signed in at an application.
func (o *outside) granted(t *testing.T, in string, p *principal.Principal, app string) string {
	t.Helper()
	ctx := context.Background()
	all, err := o.Credentials.List(ctx, in, p.ID)
	if err != nil || len(all) == 0 {
		t.Fatalf("credentials of %s: %v %v", p.ID, all, err)
	}
	s, err := o.Sessions.Begin(ctx, audit.System, in, session.New{Principal: p.ID, Credential: all[0].ID, ACR: token.AAL1, AMR: []string{"pwd"}})
	if err != nil {
		t.Fatal(err)
	}
	slot, err := o.Grants.Reserve(ctx, in, grant.ForGrants)
	if err != nil {
		t.Fatal(err)
	}
	var g *grant.Grant
	err = o.DB.UpdateRC(ctx, in, func(tx *db.Tx) error {
		g, _, err = o.Grants.CreateTx(tx, audit.System, slot, grant.New{Kind: grant.Authorization, Principal: p.ID, Client: app, Session: s.ID,
			Scopes: []string{"openid", "read"}, Audience: []string{api}, ACR: token.AAL1, AMR: []string{"pwd"}, AuthTime: o.Clock.Now()})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := o.Tokens.Issue(ctx, audit.System, token.Request{Grant: g, Scopes: []string{"read"}, Audience: []string{api}})
	if err != nil {
		t.Fatal(err)
	}
	return issued.Access
}

func webApp(sector string) client.Settings {
	s := client.Settings{Name: "app", Type: client.Web, FirstParty: true, RedirectURIs: []string{"https://app.example.com/cb"},
		GrantTypes: []string{client.AuthorizationCode}, Scopes: []string{"openid", "read"}, Resources: []string{api}}
	if sector != "" {
		s.SubjectType, s.Sector = client.Pairwise, sector
	}
	return s
}

// The cut-off of a person names the person, and pairwise subjects and what the
// person owns go by other names. Their status bits tell of them, so a connected
// verifier refuses them all the same.
func TestASuspendedPersonsTokensDieUnderEveryName(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		o, ctx := reach(t, e), context.Background()
		api := client.Settings{Name: "the-api", Type: client.Service, GrantTypes: []string{client.ClientCredentials}, Scopes: []string{"read"},
			Resources: []string{api}, ResourceServer: true}
		here := o.follows(t, verify.ClientSecret("the-api", e.Client(t, realm.Default, "the-api", api)))
		next := o.follows(t, verify.ClientSecret("the-api", e.Client(t, Neighbour, "the-api", api)), func(c *verify.Config) { c.Issuer = IssuerOf(Neighbour) })

		ada := e.Person(t, realm.Default, "ada@example.com")
		for id, sector := range map[string]string{"one": "one.example.com", "two": "two.example.com", "plain": ""} {
			e.Client(t, realm.Default, id, webApp(sector))
		}
		e.Client(t, Neighbour, "one", webApp("one.example.com"))
		robot := o.service(t, "robot", func(*client.Settings) {})
		c, err := e.Clients.ByID(ctx, realm.Default, "robot")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.People.Update(ctx, audit.System, realm.Default, c.Principal, 0, principal.Change{Owner: &ada.ID}); err != nil {
			t.Fatal(err)
		}
		dying := map[string]string{"pairwise": o.granted(t, realm.Default, ada, "one"), "pairwise, of another sector": o.granted(t, realm.Default, ada, "two"),
			"public": o.granted(t, realm.Default, ada, "plain"), "of a service of the person": o.token(t, "robot", robot, "read")}
		bystanders := map[string]*verify.Verifier{
			o.granted(t, realm.Default, e.Person(t, realm.Default, "grace@example.com"), "one"): here,
			o.granted(t, Neighbour, e.Person(t, Neighbour, "ada@example.com"), "one"):           next,
		}
		for name, text := range dying {
			got, err := here.Verify(ctx, text)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if named := got.Subject == ada.ID; named != (name == "public") {
				t.Errorf("%s: the subject is %s", name, got.Subject)
			}
		}

		if err := e.Grants.SuspendPrincipal(ctx, audit.System, realm.Default, ada.ID, "test", nil); err != nil {
			t.Fatal(err)
		}
		for name, text := range dying {
			until(t, "the token is refused: "+name, func() bool { return refused(here, text) })
		}
		for text, v := range bystanders {
			if _, err := v.Verify(ctx, text); err != nil {
				t.Errorf("somebody else's token: %v", err)
			}
		}

		// Nor does an activation, or a verifier that comes later, bring them back.
		if err := e.People.Activate(ctx, audit.System, realm.Default, ada.ID); err != nil {
			t.Fatal(err)
		}
		again := o.granted(t, realm.Default, ada, "one")
		secret, err := e.Clients.ByID(ctx, realm.Default, "the-api")
		if err != nil {
			t.Fatal(err)
		}
		_, text, err := e.Credentials.AddSecret(ctx, audit.System, realm.Default, secret.Principal, "late", 0)
		if err != nil {
			t.Fatal(err)
		}
		late := o.follows(t, verify.ClientSecret("the-api", string(text)))
		for _, v := range []*verify.Verifier{here, late} {
			for name, text := range dying {
				// A snapshot may be a second old; what came since follows it.
				until(t, "after the activation it is refused: "+name, func() bool { return refused(v, text) })
			}
			if _, err := v.Verify(ctx, again); err != nil {
				t.Errorf("a new token: %v", err)
			}
		}
	})
}
