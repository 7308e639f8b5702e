// Package apptest starts the whole program for tests, on each database, with a
// clock that tests move. Requests go straight to its handler.
package apptest

import (
	"bytes"
	"context"
	"encoding/base64"
	"maps"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/app"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/config"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/mail"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// Issuer is the issuer of the default realm.
const Issuer = "https://id.cardea.test"

// Neighbour is a second realm that every program has. What is done in one
// realm must leave the other untouched.
const Neighbour = "neighbour"

// Env is a running program.
type Env struct {
	*app.App
	Clock   *dbtest.Clock
	Outside *Outside
	Mail    *mail.Shelf // what would have been sent
	url     string
	key     []byte
	more    map[string]string // settings besides the usual ones
	costly  bool              // passwords are hashed at the cost that they have outside of tests
	peer    string            // the address that asks; "" the usual one
}

// Run runs fn on SQLite, and on PostgreSQL where there is a server for tests.
func Run(t *testing.T, fn func(t *testing.T, e *Env)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); fn(t, Start(t, db.SQLite)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); fn(t, Start(t, db.Postgres)) })
}

// Start starts a program on a fresh database of the given kind. It ends with
// the test.
func Start(t testing.TB, engine db.Engine) *Env {
	t.Helper()
	return StartWith(t, engine, nil)
}

// StartWith is Start with settings besides the usual ones, by the names of their
// environment variables.
func StartWith(t testing.TB, engine db.Engine, more map[string]string) *Env {
	t.Helper()
	return begin(t, engine, more, false)
}

// StartCostly is Start with passwords that cost what they do outside of tests,
// for what measures time or load.
func StartCostly(t testing.TB, engine db.Engine) *Env {
	t.Helper()
	return begin(t, engine, nil, true)
}

func begin(t testing.TB, engine db.Engine, more map[string]string, costly bool) *Env {
	t.Helper()
	e := &Env{Clock: dbtest.NewClock(), url: dbtest.URL(t, engine), key: bytes.Repeat([]byte{7}, 32), more: more, costly: costly, Outside: newOutside(t), Mail: mail.NewShelf()}
	e.App = e.start(t)
	ctx := context.Background()
	if _, err := e.Realms.Create(ctx, audit.System, realm.New{Name: Neighbour}); err != nil {
		t.Fatal(err)
	}
	if err := e.Ring.Prepare(ctx, audit.System, Neighbour); err != nil {
		t.Fatal(err)
	}
	return e
}

// RunCostly is Run with StartCostly.
func RunCostly(t *testing.T, fn func(t *testing.T, e *Env)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); fn(t, StartCostly(t, db.SQLite)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); fn(t, StartCostly(t, db.Postgres)) })
}

// Node starts another node on the same database, which must be PostgreSQL. It
// shares the clock.
func (e *Env) Node(t testing.TB) *Env {
	t.Helper()
	other := &Env{Clock: e.Clock, Outside: e.Outside, Mail: e.Mail, url: e.url, key: e.key, more: e.more, costly: e.costly}
	other.App = other.start(t)
	return other
}

func (e *Env) start(t testing.TB) *app.App {
	t.Helper()
	env := map[string]string{
		"CARDEA_ISSUER": Issuer, "CARDEA_LISTEN": "127.0.0.1:0", "CARDEA_DATA": t.TempDir(), "CARDEA_DATABASE_URL": e.url,
		"CARDEA_MASTER_KEY": base64.StdEncoding.EncodeToString(e.key), "CARDEA_LOG_LEVEL": "error",
		"CARDEA_TRUSTED_PROXIES": "10.9.9.9/32", "CARDEA_MTLS_HEADER": "Client-Cert",
	}
	maps.Copy(env, e.more)
	settings, err := config.Load(config.Input{Getenv: func(name string) string { return env[name] }})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(context.Background(), app.Config{Settings: settings, Version: "test", MasterKey: e.key, Now: e.Clock.Now, Output: t.Output(), Quiet: true, CheapPasswords: !e.costly, Mail: e.Mail,
		Fetch: e.Outside.fetcher(strings.Fields(outsideNames)...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	if err := a.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return a
}

// Password is the password of everybody that Person makes.
const Password = "turquoise walrus on a bicycle"

// Person makes somebody with an address and the password Password.
func (e *Env) Person(t testing.TB, realm, email string) *principal.Principal {
	t.Helper()
	ctx := context.Background()
	p, err := e.People.Create(ctx, audit.System, realm, principal.New{
		Kind: principal.Person, DisplayName: "Ada Example", Emails: []principal.Email{{Address: email, Verified: true, Primary: true}},
		Profile: principal.Profile{GivenName: "Ada", FamilyName: "Example"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Passwords.Set(ctx, audit.System, realm, p.ID, secret.Text(Password)); err != nil {
		t.Fatal(err)
	}
	return p
}

// Client registers a client and gives its secret, if it has one.
func (e *Env) Client(t testing.TB, realm, id string, s client.Settings) string {
	t.Helper()
	made, err := e.Clients.Create(context.Background(), audit.System, realm, client.Draft{ID: id, Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	return string(made.Secret)
}

// IssuerOf is the issuer of a realm.
func IssuerOf(name string) string {
	if name == realm.Default {
		return Issuer
	}
	return Issuer + "/realms/" + name
}

// Events lists everything that happened in a realm until now, newest first.
func (e *Env) Events(t testing.TB, realm string) []audit.Record {
	t.Helper()
	if err := e.Log.FlushActivity(context.Background()); err != nil {
		t.Fatal(err)
	}
	// What was committed before gets its place in the log before this returns.
	err := e.DB.Update(context.Background(), realm, func(tx *db.Tx) error { audit.Barrier(tx); return nil })
	if err != nil {
		t.Fatal(err)
	}
	var all []audit.Record
	for f := (audit.Filter{Limit: 1000}); ; {
		page, next, err := e.Log.Query(context.Background(), realm, f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if next == "" {
			return all
		}
		f.Before = next
	}
}
