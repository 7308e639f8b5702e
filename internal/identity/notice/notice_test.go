package notice_test

import (
	"context"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

const browser = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

// self is somebody who does something to their own account.
func self(p *principal.Principal) audit.Actor {
	return audit.Actor{Kind: "person", ID: p.ID, IP: "192.0.2.7", UserAgent: browser}
}

// subjects are the letters to an address, the newest first.
func subjects(t *testing.T, e *apptest.Env, address string) string {
	t.Helper()
	e.Settle(t)
	var all []string
	for _, m := range e.Mail.To(address) {
		all = append(all, m.Subject)
	}
	return strings.Join(all, "; ")
}

// AU-07: a factor that comes or goes is told, with which one and from where, and
// so is a code for recovery that was used.
func TestPeopleAreToldOfTheirFactors(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx := context.Background()
		ada := e.Person(t, realm.Default, "ada@example.com")
		if got := subjects(t, e, "ada@example.com"); got != "" {
			t.Errorf("told of what made the account: %s", got)
		}
		c, codes, err := e.Factors.NewRecovery(ctx, self(ada), realm.Default, ada.ID)
		if err != nil {
			t.Fatal(err)
		}
		m := e.Letter(t, "ada@example.com")
		for _, want := range []string{"A way to sign in was added", "Recovery codes", "Firefox on Linux", "192.0.2.7", "This wasn’t me"} {
			if !strings.Contains(m.Subject+m.Text, want) {
				t.Errorf("no word of %q:\n%s\n%s", want, m.Subject, m.Text)
			}
		}
		for _, code := range codes {
			if strings.Contains(m.Text+m.HTML, string(code)) {
				t.Error("the letter holds a code")
			}
		}
		if _, _, right, err := e.Factors.CheckRecovery(ctx, self(ada), realm.Default, ada.ID, string(codes[0])); err != nil || !right {
			t.Fatal(right, err)
		}
		if got := subjects(t, e, "ada@example.com"); got != "A recovery code was used; A way to sign in was added" {
			t.Errorf("told: %s", got)
		}
		// New codes in place of the old are one thing that happened.
		if c, _, err = e.Factors.NewRecovery(ctx, self(ada), realm.Default, ada.ID); err != nil {
			t.Fatal(err)
		}
		if got := subjects(t, e, "ada@example.com"); got != "A way to sign in was added; A recovery code was used; A way to sign in was added" {
			t.Errorf("told: %s", got)
		}
		// An operator's device is not the person's to recognise.
		operator := audit.Actor{Kind: "person", ID: "usr_operator", IP: "198.51.100.1", UserAgent: browser}
		if err := e.Credentials.Revoke(ctx, operator, realm.Default, c.ID, "lost"); err != nil {
			t.Fatal(err)
		}
		if m := e.Letter(t, "ada@example.com"); m.Subject != "A way to sign in was removed" || strings.Contains(m.Text, "198.51.100.1") || strings.Contains(m.Text, "Firefox") {
			t.Errorf("%s\n%s", m.Subject, m.Text)
		}
	})
}

func TestPeopleAreToldOfTheirPassword(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx := context.Background()
		ada := e.Person(t, realm.Default, "ada@example.com")
		if _, err := e.Passwords.Change(ctx, self(ada), realm.Default, ada.ID, secret.Text(apptest.Password), "a heron reads the morning paper", ""); err != nil {
			t.Fatal(err)
		}
		if m := e.Letter(t, "ada@example.com"); m.Subject != "Your password was changed" || !strings.Contains(m.Text, "Firefox on Linux") || strings.Contains(m.Text+m.HTML, "heron") {
			t.Errorf("%s\n%s", m.Subject, m.Text)
		}
		if got := subjects(t, e, "ada@example.com"); strings.Contains(got, ";") {
			t.Errorf("told more than once: %s", got)
		}
		// Also when whoever changes it stays signed in elsewhere.
		kept := credential.Change{Principal: ada.ID, Current: "a heron reads the morning paper", Next: "a stork reads the evening paper", Keep: true}
		if got, err := e.Passwords.Replace(ctx, self(ada), realm.Default, kept); err != nil || got.Outcome != credential.Right {
			t.Fatal(got.Outcome, err)
		}
		if got := subjects(t, e, "ada@example.com"); got != "Your password was changed; Your password was changed" {
			t.Errorf("a change that ends nothing: told %s", got)
		}
		// A first password beside other factors is one more way in.
		grace, err := e.People.Create(ctx, audit.System, realm.Default, principal.New{Kind: principal.Person, DisplayName: "Grace", Emails: []principal.Email{{Address: "grace@example.com", Verified: true}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := e.Factors.NewRecovery(ctx, self(grace), realm.Default, grace.ID); err != nil {
			t.Fatal(err)
		}
		e.Settle(t) // letters go out several at a time
		if _, err := e.Passwords.Set(ctx, self(grace), realm.Default, grace.ID, "a heron reads the morning paper"); err != nil {
			t.Fatal(err)
		}
		if m := e.Letter(t, "grace@example.com"); m.Subject != "A way to sign in was added" || !strings.Contains(m.Text, "What: Password") {
			t.Errorf("%s\n%s", m.Subject, m.Text)
		}
	})
}

// Whoever takes over an account changes the address first. The addresses that
// were proved before hear of it, also one that is gone; the new one hears nothing.
func TestChangedAddressesAreToldToTheFormerOnes(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx := context.Background()
		ada := e.Person(t, realm.Default, "ada@example.com")
		if err := e.People.AddEmail(ctx, self(ada), realm.Default, ada.ID, "eve@example.com", true); err != nil {
			t.Fatal(err)
		}
		if got := subjects(t, e, "ada@example.com"); got != "The addresses of your account were changed" {
			t.Errorf("added: %q", got)
		}
		if got := subjects(t, e, "eve@example.com"); got != "" {
			t.Errorf("the new address: %q", got)
		}
		if err := e.People.SetPrimaryEmail(ctx, self(ada), realm.Default, ada.ID, "eve@example.com"); err != nil {
			t.Fatal(err)
		}
		if err := e.People.RemoveEmail(ctx, self(ada), realm.Default, ada.ID, "ada@example.com"); err != nil {
			t.Fatal(err)
		}
		if got := subjects(t, e, "ada@example.com"); strings.Count(got, "changed") != 3 {
			t.Errorf("made another the main one, and removed: %q", got)
		}
	})
}

// Whoever has no proved address is written to nowhere, and nothing fails for it.
func TestNobodyIsToldWhereNobodyCanBe(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	ctx := context.Background()
	p, err := e.People.Create(ctx, audit.System, realm.Default, principal.New{Kind: principal.Person, Name: "ada", Emails: []principal.Email{{Address: "ada@example.com"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.Factors.NewRecovery(ctx, self(p), realm.Default, p.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.Credentials.AddSecret(ctx, audit.System, realm.Default, p.ID, "", 0); err != nil {
		t.Fatal(err)
	}
	e.Settle(t)
	if n := len(e.Mail.All()); n != 0 {
		t.Errorf("%d letters", n)
	}
}

// A refusal undoes the letter with what it tells.
func TestWhatWasRolledBackIsNotTold(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	ctx := context.Background()
	ada := e.Person(t, realm.Default, "ada@example.com")
	c, _, err := e.Factors.NewRecovery(ctx, self(ada), realm.Default, ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	before := subjects(t, e, "ada@example.com")
	err = e.DB.Update(ctx, realm.Default, func(tx *db.Tx) error {
		if err := credential.RevokeTx(tx, self(ada), c.ID, "lost"); err != nil {
			return err
		}
		return context.Canceled
	})
	if err == nil {
		t.Fatal("committed")
	}
	if got := subjects(t, e, "ada@example.com"); got != before {
		t.Errorf("told: %s", got)
	}
}
