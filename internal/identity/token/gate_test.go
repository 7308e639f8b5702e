package token

import (
	"context"
	"fmt"
	"testing"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

const api = "https://api.example.com"

var by = audittest.By

// node is a gate with all below it.
type node struct {
	*audittest.Env
	*Gate
	serial int
}

func run(t *testing.T, fn func(t *testing.T, n *node)) {
	t.Helper()
	audittest.Run(t, func(t *testing.T, e *audittest.Env) { fn(t, start(t, e)) })
}

func start(t testing.TB, e *audittest.Env) *node {
	t.Helper()
	n := build(t, e)
	n.Start(t)
	for _, name := range []string{dbtest.Realm, dbtest.Neighbour} {
		_, err := n.Realms.Create(context.Background(), audit.System, realm.New{Name: name})
		must(t, err)
	}
	return n
}

func build(t testing.TB, e *audittest.Env) *node {
	t.Helper()
	box, err := secret.NewBox(make([]byte, secret.MasterKeySize))
	must(t, err)
	realms, err := realm.NewRegistry(e.DB, e.Log, "https://id.example.com")
	must(t, err)
	c := grant.Cores{Realms: realms, Principals: principal.NewDirectory(e.DB, e.Log), Credentials: credential.NewStore(e.DB, e.Log, box),
		Ring: keyring.New(e.DB, e.Log, box, keyring.Options{})}
	c.Clients = client.New(e.DB, e.Log, c.Credentials)
	c.Sessions = session.NewStore(e.DB, e.Log, realms, c.Principals, c.Credentials)
	return &node{Env: e, Gate: NewGate(e.DB, e.Log, c, grant.NewStore(e.DB, e.Log, c))}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// person is somebody signed in.
type person struct{ id, credential, session string }

func (n *node) mustPerson(t testing.TB, realmName string) person {
	t.Helper()
	ctx := context.Background()
	n.serial++
	p, err := n.Principals.Create(ctx, by, realmName, principal.New{Kind: principal.Person, Name: fmt.Sprint("person", n.serial)})
	must(t, err)
	c, _, err := n.Credentials.AddSecret(ctx, by, realmName, p.ID, "", 0)
	must(t, err)
	s, err := n.Sessions.Begin(ctx, by, realmName, session.New{Principal: p.ID, Credential: c.ID, ACR: AAL1, AMR: []string{"pwd"}, Browser: string(credential.NewBrowser())})
	must(t, err)
	return person{p.ID, c.ID, s.ID}
}

func (n *node) mustClient(t testing.TB, realmName string, change ...func(*client.Settings)) *client.Client {
	t.Helper()
	n.serial++
	s := client.Settings{Name: fmt.Sprint("app ", n.serial), Type: client.Web, AuthMethod: client.SecretBasic, RedirectURIs: []string{"https://app.example.com/cb"},
		GrantTypes: []string{client.AuthorizationCode, client.RefreshToken, client.ClientCredentials},
		Scopes:     []string{"openid", "profile", "offline_access", "read", "write"}, Resources: []string{api}}
	for _, f := range change {
		f(&s)
	}
	c, err := n.Clients.Create(context.Background(), by, realmName, client.Draft{Settings: s})
	must(t, err)
	got, err := n.Clients.Live(context.Background(), realmName, c.ID)
	must(t, err)
	return got
}

func opaque(s *client.Settings) { s.AccessTokenFormat = client.Opaque }

func pairwise(s *client.Settings) { s.SubjectType = client.Pairwise }

// mustGrant gives a client what it needs to act for somebody.
func (n *node) mustGrant(t testing.TB, realmName string, p person, c *client.Client, change ...func(*grant.New)) *grant.Grant {
	t.Helper()
	ctx := context.Background()
	slot, err := n.grants.Reserve(ctx, realmName, grant.ForGrants)
	must(t, err)
	d := grant.New{Kind: grant.Authorization, Principal: p.id, Client: c.ID, Session: p.session, Scopes: []string{"openid", "read"}, Audience: []string{api},
		ACR: AAL1, AMR: []string{"pwd"}, AuthTime: n.Clock.Now(), Refresh: true}
	for _, f := range change {
		f(&d)
	}
	var g *grant.Grant
	must(t, n.Env.DB.UpdateRC(ctx, realmName, func(tx *db.Tx) error {
		g, _, err = n.grants.CreateTx(tx, by, slot, d)
		return err
	}))
	return g
}

func (n *node) mustStanding(t testing.TB, c *client.Client) *grant.Grant {
	t.Helper()
	all, err := n.Credentials.List(context.Background(), c.Realm, c.Principal)
	must(t, err)
	g, err := n.grants.StandingFor(context.Background(), by, c, all[0].ID)
	must(t, err)
	return g
}

func ask(g *grant.Grant) Request {
	return Request{Grant: g, Scopes: []string{"read"}, Audience: []string{api}}
}

func (n *node) mustIssue(t testing.TB, q Request) Issued {
	t.Helper()
	i, err := n.Issue(context.Background(), by, q)
	must(t, err)
	return i
}

// mustKnow recognises a token, or fails the test when it should not have been.
func (n *node) mustKnow(t testing.TB, realmName, value string, want bool) *Token {
	t.Helper()
	got, err := n.Recognise(context.Background(), realmName, value)
	if (err == nil) != want {
		t.Errorf("recognise: %v; want recognised = %v", err, want)
	}
	return got
}
