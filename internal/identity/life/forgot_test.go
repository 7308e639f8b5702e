package life_test

import (
	"context"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// PW-10: a forgotten password is reset by a link to a verified address, which
// ends what was open. Whoever cannot be reached is told nothing.
func TestAForgottenPasswordIsResetByMail(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx, r := context.Background(), in(t, e, realm.Default)
		ada := e.Person(t, realm.Default, "ada@example.com")
		name := "ada"
		_, err := e.People.Update(ctx, audit.System, realm.Default, ada.ID, 0, principal.Change{Name: &name})
		must(t, err)
		_, err = e.People.Create(ctx, audit.System, realm.Default, principal.New{Kind: principal.Person, Emails: []principal.Email{{Address: "unproved@example.com"}}})
		must(t, err)
		gone := e.Person(t, realm.Default, "gone@example.com")
		must(t, e.Grants.SuspendPrincipal(ctx, audit.System, realm.Default, gone.ID, "test", nil))
		for _, who := range []string{"nobody", "nobody@example.com", "unproved@example.com", "gone@example.com", "", string(make([]byte, 4000))} {
			must(t, e.Desk.Forgot(ctx, audit.System, r, who, "en", ""))
		}
		settled(t, e)
		if all := e.Mail.All(); len(all) != 0 {
			t.Fatalf("written to %s", all[0].To)
		}
		session := begin(t, e, "ada", secret.Text(apptest.Password))
		must(t, e.Desk.Forgot(ctx, audit.System, r, " ADA ", "en", ""))
		link := mailed(t, e, "ada@example.com", "/set-password")
		if isOver(t, e, session) || !signsIn(t, e, "ada", secret.Text(apptest.Password)) {
			t.Error("asking alone changed something")
		}
		must(t, e.Desk.SetPassword(ctx, audit.System, realm.Default, link, chosen))
		if !isOver(t, e, session) || !signsIn(t, e, "ada", chosen) || signsIn(t, e, "ada", secret.Text(apptest.Password)) {
			t.Error("the link did not do what it is for")
		}
		if _, err := e.Realms.Update(ctx, audit.System, realm.Default, 0, realm.Change{Settings: map[string]any{"forgotten_password": "off"}}); err != nil {
			t.Fatal(err)
		}
		if err := e.Desk.Forgot(ctx, audit.System, in(t, e, realm.Default), "ada", "en", ""); !fault.Is(err, fault.NotFound) {
			t.Errorf("where it is off: %v", err)
		}
	})
}

// MF-05: strangers who ask for a reset again and again fill no mailbox, and keep
// nobody from getting theirs who asks where they have signed in before; that
// browser fills no mailbox either. Use admit in answerReset to see it fail.
func TestStrangersKeepNobodyFromAReset(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx, r := context.Background(), in(t, e, realm.Default)
		ada := e.Person(t, realm.Default, "ada@example.com")
		grace := e.Person(t, realm.Default, "grace@example.com")
		own, err := e.Passwords.Remember(ctx, realm.Default, ada.ID, "")
		must(t, err)
		elsewhere, err := e.Passwords.Remember(ctx, realm.Default, grace.ID, "")
		must(t, err)
		asks := func(times int, mark secret.Text, want int) {
			t.Helper()
			for range times {
				must(t, e.Desk.Forgot(ctx, audit.System, r, "ada@example.com", "en", string(mark)))
			}
			settled(t, e)
			if got := len(e.Mail.To("ada@example.com")); got != want {
				t.Errorf("%d letters, want %d", got, want)
			}
		}
		asks(8, "", 5)
		asks(2, elsewhere, 5) // known to somebody else
		asks(2, "cdb_of_nobody", 5)
		asks(1, own, 6)
		asks(8, own, 10)
		e.Clock.Advance(time.Hour)
		asks(1, "", 11)
	})
}

// PW-11: an operator has a link sent that they do not see.
func TestAnOperatorHasALinkSent(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx := context.Background()
		ada := e.Person(t, realm.Default, "ada@example.com")
		must(t, e.Desk.MailPasswordLink(ctx, audit.System, realm.Default, ada.ID))
		must(t, e.Desk.SetPassword(ctx, audit.System, realm.Default, mailed(t, e, "ada@example.com", "/set-password"), chosen))
		if !signsIn(t, e, "ada@example.com", chosen) {
			t.Error("the password was not set")
		}
		p, err := e.People.Create(ctx, audit.System, realm.Default, principal.New{Kind: principal.Person, Emails: []principal.Email{{Address: "unproved@example.com"}}})
		must(t, err)
		if err := e.Desk.MailPasswordLink(ctx, audit.System, realm.Default, p.ID); !fault.Is(err, fault.Conflict) {
			t.Errorf("to an address that nobody proved: %v", err)
		}
	})
}
