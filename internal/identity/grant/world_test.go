package grant

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

var by = audittest.By

// world is a node with all that grants hang on.
type world struct {
	*audittest.Env
	*Store
	serial int
}

// run runs fn on both databases, with the realms test and neighbour.
func run(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := build(t, e)
		w.Start(t)
		w.mustRealms(t)
		fn(t, w)
	})
}

// build makes the cores of a node; nothing runs yet.
func build(t testing.TB, e *audittest.Env) *world {
	t.Helper()
	box, err := secret.NewBox(make([]byte, secret.MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	realms, err := realm.NewRegistry(e.DB, e.Log, "https://id.example.com")
	if err != nil {
		t.Fatal(err)
	}
	c := Cores{Realms: realms, Principals: principal.NewDirectory(e.DB, e.Log), Credentials: credential.NewStore(e.DB, e.Log, box),
		Ring: keyring.New(e.DB, e.Log, box, keyring.Options{})}
	c.Clients = client.New(e.DB, e.Log, c.Credentials)
	c.Sessions = session.NewStore(e.DB, e.Log, realms, c.Principals, c.Credentials)
	return &world{Env: e, Store: NewStore(e.DB, e.Log, c)}
}

func (w *world) mustRealms(t testing.TB) {
	t.Helper()
	for _, name := range []string{dbtest.Realm, dbtest.Neighbour} {
		if _, err := w.Realms.Create(context.Background(), audit.System, realm.New{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
}

// person is somebody signed in.
type person struct{ realm, id, credential, session string }

func (w *world) mustPerson(t testing.TB, realm string) person {
	t.Helper()
	ctx := context.Background()
	w.serial++
	p, err := w.Principals.Create(ctx, by, realm, principal.New{Kind: principal.Person, Name: fmt.Sprint("person", w.serial)})
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := w.Credentials.AddSecret(ctx, by, realm, p.ID, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	one := person{realm: realm, id: p.ID, credential: c.ID}
	one.session = w.mustSession(t, one)
	return one
}

func (w *world) mustSession(t testing.TB, p person) string {
	t.Helper()
	s, err := w.Sessions.Begin(context.Background(), by, p.realm, session.New{Principal: p.id, Credential: p.credential, ACR: "aal1", AMR: []string{"pwd"}, Browser: string(credential.NewBrowser())})
	if err != nil {
		t.Fatal(err)
	}
	return s.ID
}

// mustClient registers an application that may do everything the tests need.
func (w *world) mustClient(t testing.TB, realm string, change ...func(*client.Settings)) *client.Client {
	t.Helper()
	w.serial++
	s := client.Settings{Name: fmt.Sprint("app ", w.serial), Type: client.Web, AuthMethod: client.SecretBasic, RedirectURIs: []string{"https://app.example.com/cb"},
		GrantTypes: []string{client.AuthorizationCode, client.RefreshToken, client.ClientCredentials},
		Scopes:     []string{"openid", "profile", "email", "offline_access", "read", "write"}, Resources: []string{"https://api.example.com"}}
	for _, f := range change {
		f(&s)
	}
	c, err := w.Clients.Create(context.Background(), by, realm, client.Draft{Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.Clients.Live(context.Background(), realm, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// credentialOf is the secret of a client.
func (w *world) credentialOf(t testing.TB, c *client.Client) string {
	t.Helper()
	all, err := w.Credentials.List(context.Background(), c.Realm, c.Principal)
	if err != nil || len(all) == 0 {
		t.Fatalf("client %s has no credential: %v", c.ID, err)
	}
	return all[0].ID
}

// for a session of p, with a refresh token.
func grantFor(p person, c *client.Client, change ...func(*New)) New {
	n := New{Kind: Authorization, Principal: p.id, Client: c.ID, Session: p.session, Scopes: []string{"openid", "read"},
		Audience: []string{"https://api.example.com"}, ACR: "aal1", AMR: []string{"pwd"}, Refresh: true}
	for _, f := range change {
		f(&n)
	}
	return n
}

func offline(n *New) { n.Offline = true }

func consented(n *New) { n.Consent = true }

func (w *world) create(ctx context.Context, realm string, n New) (g *Grant, refresh secret.Text, err error) {
	slot, err := w.Reserve(ctx, realm, ForGrants)
	if err != nil {
		return nil, "", err
	}
	err = w.Env.DB.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		g, refresh, err = w.CreateTx(tx, by, slot, n)
		return err
	})
	return g, refresh, err
}

func (w *world) mustGrant(t testing.TB, realm string, n New) (*Grant, string) {
	t.Helper()
	g, refresh, err := w.create(context.Background(), realm, n)
	if err != nil {
		t.Fatal(err)
	}
	return g, string(refresh)
}

func (w *world) mustRefresh(t testing.TB, c *client.Client, token string, want Outcome) Rotation {
	t.Helper()
	r, err := w.Refresh(context.Background(), by, c, token, "")
	if err != nil {
		t.Fatal(err)
	}
	if r.Outcome != want {
		t.Fatalf("refresh: %v, want %v", r.Outcome, want)
	}
	return r
}

// mustBe checks that a grant is dead or alive: its row and its bit say the same.
func (w *world) mustBe(t testing.TB, g *Grant, dead bool) {
	t.Helper()
	now, err := w.ByID(context.Background(), g.Realm, g.ID)
	if err != nil {
		t.Fatal(err)
	}
	bit, err := w.Status.Dead(context.Background(), g.Realm, g.Status)
	if err != nil {
		t.Fatal(err)
	}
	if now.Revoked.IsZero() == dead || bit != dead {
		t.Errorf("grant %s of client %s: revoked %v (%q), bit %v; want dead = %v", g.ID, g.Client, now.Revoked, now.Reason, bit, dead)
	}
}

// ctx is for where no test's context is at hand.
func (w *world) ctx() context.Context { return context.Background() }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls for what another goroutine has to do.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("after 5 s: not %s", what)
		case <-tick.C:
		}
	}
}
