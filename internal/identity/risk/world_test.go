package risk

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

const (
	right   = "lantern quarry mild otter"
	firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	iphone  = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1"
	home    = "192.0.2.1"
	away    = "198.51.100.9"
)

// world is a node with people who sign in with passwords.
type world struct {
	*audittest.Env
	*Guard
	grant.Cores
	store     *grant.Store
	passwords *credential.Passwords
	told      *[]Notice
	serial    int
}

func run(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := build(t, e)
		w.Start(t)
		if _, err := w.Cores.Realms.Create(t.Context(), audit.System, realm.New{Name: dbtest.Realm}); err != nil {
			t.Fatal(err)
		}
		fn(t, w)
	})
}

// build makes the cores of a node; nothing runs yet.
func build(t testing.TB, e *audittest.Env) *world {
	t.Helper()
	box, err := secret.NewBox(make([]byte, secret.MasterKeySize))
	must(t, err)
	realms, err := realm.NewRegistry(e.DB, e.Log, "https://id.example.com")
	must(t, err)
	c := grant.Cores{Realms: realms, Principals: principal.NewDirectory(e.DB, e.Log), Credentials: credential.NewStore(e.DB, e.Log, box),
		Ring: keyring.New(e.DB, e.Log, box, keyring.Options{})}
	c.Clients = client.New(e.DB, e.Log, c.Credentials)
	c.Sessions = session.NewStore(e.DB, e.Log, realms, c.Principals, c.Credentials)
	w := &world{Env: e, Cores: c, store: grant.NewStore(e.DB, e.Log, c), told: &[]Notice{}}
	w.passwords = credential.NewPasswords(e.DB, e.Log, realms, credential.PasswordOptions{Cheap: true})
	w.Guard = New(Options{DB: e.DB, Log: e.Log, Realms: realms, Grants: w.store, Key: []byte("test"),
		Tell: func(tx *db.Tx, n Notice) error { *w.told = append(*w.told, n); return nil }})
	w.passwords.SetWatch(w.Guard)
	w.store.SetOnMisuse(w.Misused)
	w.store.OnDelete(ForgetTx)
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// set decides about detectors in the realm.
func (w *world) set(t testing.TB, settings map[string]any) {
	t.Helper()
	_, err := w.Cores.Realms.Update(t.Context(), audittest.By, dbtest.Realm, 0, realm.Change{Settings: settings})
	must(t, err)
}

// someone is a person with a password, who has not signed in yet.
func (w *world) someone(t testing.TB) string {
	t.Helper()
	w.serial++
	p, err := w.Cores.Principals.Create(t.Context(), audittest.By, dbtest.Realm, principal.New{Kind: principal.Person, Name: fmt.Sprintf("person%03d", w.serial)})
	must(t, err)
	_, err = w.passwords.Set(t.Context(), audittest.By, dbtest.Realm, p.ID, right)
	must(t, err)
	return p.ID
}

// browser is one that somebody sits at.
type browser struct{ mark, agent, ip string }

func (w *world) browser(agent, ip string) browser {
	return browser{string(credential.NewBrowser()), agent, ip}
}

func (b browser) actor() audit.Actor {
	return audit.Actor{Kind: "anonymous", IP: b.ip, UserAgent: b.agent}
}

// try sends a password.
func (w *world) try(t testing.TB, b browser, who, password string) credential.Result {
	t.Helper()
	a := credential.Attempt{Password: secret.Text(password), Browser: b.mark}
	if a.Principal = who; len(who) < 20 {
		a.Principal, a.Identifier = "", who
	}
	r, err := w.passwords.Check(context.Background(), b.actor(), dbtest.Realm, a)
	must(t, err)
	return r
}

// signIn goes the whole way: password, verdict, session.
func (w *world) signIn(t testing.TB, b browser, who string) (Verdict, *session.Session) {
	t.Helper()
	r := w.try(t, b, who, right)
	if r.Outcome != credential.Right {
		return Verdict{Refuse: true}, nil
	}
	v := w.assess(t, b, who, true)
	if v.Refuse {
		return v, nil
	}
	return v, w.begin(t, b, who, r.Credential, "aal1")
}

func (w *world) assess(t testing.TB, b browser, who string, password bool) Verdict {
	t.Helper()
	v, err := w.Assess(t.Context(), b.actor(), dbtest.Realm, SignIn{Principal: who, Browser: b.mark, Password: password})
	must(t, err)
	return v
}

func (w *world) begin(t testing.TB, b browser, who, credential, acr string) *session.Session {
	t.Helper()
	re, err := w.Cores.Realms.ByName(t.Context(), dbtest.Realm)
	must(t, err)
	var begun session.Begun
	must(t, w.Env.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
		memory, ground := w.MemoryTx(tx, who), session.AskGround(tx, who, b.mark, credential)
		last, err := ground.Visit()
		if err != nil {
			return err
		}
		habit, err := memory.Habit(last, b.actor())
		if err != nil {
			return err
		}
		ground.Notes(habit)
		begun, err = session.BeginTx(tx, b.actor(), re.Settings, session.New{Principal: who, Credential: credential, ACR: acr, AMR: []string{"pwd"},
			Browser: b.mark, IP: b.ip, UserAgent: b.agent, Ground: ground})
		if err != nil {
			return err
		}
		return memory.Remember(begun.Session, false)
	}))
	return begun.Session
}

func (w *world) count(t testing.TB, query string) (n int64) {
	t.Helper()
	must(t, w.Env.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
		n, err = db.One(tx, db.Scalar[int64], query, tx.Realm)
		return err
	}))
	return n
}
