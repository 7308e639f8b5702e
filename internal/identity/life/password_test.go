package life_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

const chosen = secret.Text("a heron reads the morning paper")

func signsIn(t *testing.T, e *apptest.Env, who string, password secret.Text) bool {
	t.Helper()
	r, err := e.Passwords.Check(context.Background(), audit.System, realm.Default, credential.Attempt{Identifier: who, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return r.Outcome == credential.Right
}

// PW-10: a link sets the password once, signs nobody in and ends what was open.
func TestLinkSetsThePasswordOnce(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx, u := context.Background(), e.Person(t, realm.Default, "ada@example.com")
		r, err := e.Passwords.Check(ctx, audit.System, realm.Default, credential.Attempt{Identifier: "ada@example.com", Password: secret.Text(apptest.Password)})
		if err != nil {
			t.Fatal(err)
		}
		open, err := e.Sessions.Begin(ctx, audit.System, realm.Default, session.New{Principal: u.ID, Credential: r.Credential, ACR: "1", AMR: []string{"pwd"}})
		if err != nil {
			t.Fatal(err)
		}
		link, expires, err := e.Desk.PasswordLink(ctx, audit.System, realm.Default, u.ID)
		if err != nil {
			t.Fatal(err)
		}
		spare, _, err := e.Desk.PasswordLink(ctx, audit.System, realm.Default, u.ID)
		if err != nil {
			t.Fatal(err)
		}
		if left := expires.Sub(e.DB.Now()); left > life.ResetLife {
			t.Errorf("a link to replace a password is good for %s", left)
		}
		if p, err := e.Desk.OpenPassword(ctx, realm.Default, string(link)); err != nil || p.ID != u.ID {
			t.Errorf("got %v, %v", p, err)
		}
		if _, err := e.Desk.OpenPassword(ctx, apptest.Neighbour, string(link)); !fault.Is(err, fault.NotFound) {
			t.Errorf("the link is good in another realm: %v", err)
		}
		err = e.Desk.SetPassword(ctx, audit.System, realm.Default, string(link), "short")
		var f *fault.Error
		if !errors.As(err, &f) || f.Fields["password"] == "" {
			t.Fatalf("a short password: %v", err)
		}
		if err := e.Desk.SetPassword(ctx, audit.System, realm.Default, string(link), chosen); err != nil {
			t.Fatal(err)
		}
		if !signsIn(t, e, "ada@example.com", chosen) || signsIn(t, e, "ada@example.com", secret.Text(apptest.Password)) {
			t.Error("the password was not replaced")
		}
		if _, err := e.Sessions.Live(ctx, realm.Default, open.ID); err == nil {
			t.Error("a session from before lives on")
		}
		for what, l := range map[string]secret.Text{"the same": link, "an outdated": spare, "an invented": "cdl_x"} {
			if err := e.Desk.SetPassword(ctx, audit.System, realm.Default, string(l), "another heron reads the paper"); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s link: %v", what, err)
			}
		}
	})
}

func TestLinkExpires(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx := context.Background()
		old := e.Person(t, realm.Default, "ada@example.com")
		fresh, err := e.People.Create(ctx, audit.System, realm.Default, principal.New{Kind: principal.Person, Name: "grace"})
		if err != nil {
			t.Fatal(err)
		}
		reset, _, err := e.Desk.PasswordLink(ctx, audit.System, realm.Default, old.ID)
		if err != nil {
			t.Fatal(err)
		}
		invited, _, err := e.Desk.PasswordLink(ctx, audit.System, realm.Default, fresh.ID)
		if err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(life.ResetLife)
		if _, err := e.Desk.OpenPassword(ctx, realm.Default, string(reset)); !fault.Is(err, fault.NotFound) {
			t.Errorf("after %s: %v", life.ResetLife, err)
		}
		if _, err := e.Desk.OpenPassword(ctx, realm.Default, string(invited)); err != nil {
			t.Errorf("an invitation: %v", err)
		}
		e.Clock.Advance(life.FirstLife - time.Minute)
		if err := e.Desk.SetPassword(ctx, audit.System, realm.Default, string(invited), chosen); !fault.Is(err, fault.NotFound) {
			t.Errorf("an expired invitation: %v", err)
		}
	})
}

func TestSuspendedPersonHasNoUseForALink(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx, u := context.Background(), e.Person(t, realm.Default, "ada@example.com")
		link, _, err := e.Desk.PasswordLink(ctx, audit.System, realm.Default, u.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Grants.SuspendPrincipal(ctx, audit.System, realm.Default, u.ID, "test", nil); err != nil {
			t.Fatal(err)
		}
		if err := e.Desk.SetPassword(ctx, audit.System, realm.Default, string(link), chosen); !fault.Is(err, fault.NotFound) {
			t.Errorf("got %v", err)
		}
		if _, _, err := e.Desk.PasswordLink(ctx, audit.System, realm.Default, u.ID); !fault.Is(err, fault.Forbidden) {
			t.Errorf("a new link: %v", err)
		}
	})
}

// PW-10: a link dies with the circumstances in which it was made, also when
// they return.
func TestLinkDiesWithItsCircumstances(t *testing.T) {
	ctx := context.Background()
	for what, change := range map[string]func(e *apptest.Env, id string) error{
		"an address more": func(e *apptest.Env, id string) error {
			return e.People.AddEmail(ctx, audit.System, realm.Default, id, "new@example.com", false)
		},
		"an address less": func(e *apptest.Env, id string) error {
			return e.People.RemoveEmail(ctx, audit.System, realm.Default, id, "ada@example.org")
		},
		"another password, with nobody signed out": func(e *apptest.Env, id string) error {
			_, err := e.Passwords.Replace(ctx, audit.System, realm.Default, credential.Change{Principal: id, Current: secret.Text(apptest.Password), Next: "a heron on the other bank", Keep: true})
			return err
		},
		"suspended and let in again": func(e *apptest.Env, id string) error {
			if err := e.Grants.SuspendPrincipal(ctx, audit.System, realm.Default, id, "test", nil); err != nil {
				return err
			}
			return e.People.Activate(ctx, audit.System, realm.Default, id)
		},
	} {
		t.Run(what, func(t *testing.T) {
			e := apptest.Start(t, db.SQLite)
			u := e.Person(t, realm.Default, "ada@example.com")
			if err := e.People.AddEmail(ctx, audit.System, realm.Default, u.ID, "ada@example.org", true); err != nil {
				t.Fatal(err)
			}
			link, _, err := e.Desk.PasswordLink(ctx, audit.System, realm.Default, u.ID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.Desk.OpenPassword(ctx, realm.Default, string(link)); err != nil {
				t.Fatalf("before: %v", err)
			}
			if err := change(e, u.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Desk.OpenPassword(ctx, realm.Default, string(link)); !fault.Is(err, fault.NotFound) {
				t.Errorf("open: %v", err)
			}
			if err := e.Desk.SetPassword(ctx, audit.System, realm.Default, string(link), chosen); !fault.Is(err, fault.NotFound) {
				t.Errorf("set: %v", err)
			}
		})
	}
}

func TestOneOfManySetsThePassword(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx, u := context.Background(), e.Person(t, realm.Default, "ada@example.com")
		link, _, err := e.Desk.PasswordLink(ctx, audit.System, realm.Default, u.ID)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			wg.Go(func() {
				for errs[i] = fault.New(fault.TooMany, "first", ""); fault.Is(errs[i], fault.TooMany); { // the machine may be busy
					errs[i] = e.Desk.SetPassword(ctx, audit.System, realm.Default, string(link), chosen)
				}
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !fault.Is(err, fault.NotFound) {
				t.Errorf("got %v", err)
			}
		}
		if won != 1 {
			t.Errorf("%d attempts set the password", won)
		}
	})
}
