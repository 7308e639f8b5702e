package life_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/risk"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

func primaryOf(t *testing.T, e *apptest.Env, id string) principal.Email {
	t.Helper()
	p, err := e.People.ByID(context.Background(), realm.Default, id)
	must(t, err)
	return p.Email()
}

// LC-04: only a link that was sent to an address verifies it, and only for the
// person whose it is.
func TestNobodyDeclaresTheirOwnAddressVerified(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx := context.Background()
		eve := e.Person(t, realm.Default, "eve@example.com")
		ada, err := e.People.Create(ctx, audit.System, realm.Default, principal.New{Kind: principal.Person, Name: "ada", Emails: []principal.Email{{Address: "ada@example.com"}}})
		must(t, err)
		if err := e.Desk.AskVerify(ctx, audit.System, realm.Default, eve.ID, "ada@example.com"); !fault.Is(err, fault.NotFound) {
			t.Errorf("somebody else's address: %v", err)
		}
		must(t, e.Desk.AskVerify(ctx, audit.System, realm.Default, ada.ID, "ADA@example.com"))
		link := mailed(t, e, "ada@example.com", "/account/email/confirm")
		if err := e.Desk.Confirm(ctx, audit.System, realm.Default, eve.ID, link); !fault.Is(err, fault.NotFound) {
			t.Errorf("for somebody else: %v", err)
		}
		if primaryOf(t, e, ada.ID).Verified {
			t.Error("verified before the link was used")
		}
		must(t, e.Desk.Confirm(ctx, audit.System, realm.Default, ada.ID, link))
		if !primaryOf(t, e, ada.ID).Verified {
			t.Error("not verified by the link")
		}
		if err := e.Desk.Confirm(ctx, audit.System, realm.Default, ada.ID, link); !fault.Is(err, fault.NotFound) {
			t.Errorf("twice: %v", err)
		}
	})
}

// Whoever takes an account over and changes its address twice, and the password,
// loses it to whoever has the address that it had first.
func TestAChangedAddressComesBack(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx := context.Background()
		ada := e.Person(t, realm.Default, "ada@example.com")
		e.Person(t, realm.Default, "grace@example.com")
		// An address that somebody has: its owner is told, and nothing changes.
		must(t, e.Desk.AskChange(ctx, audit.System, realm.Default, ada.ID, "grace@example.com", "en"))
		settled(t, e)
		if got := e.Mail.To("grace@example.com"); len(got) != 1 || got[0].Subject != "Somebody wanted to use your address at Cardea" {
			t.Errorf("grace got %v", got)
		}
		change := func(from, to string) (undo string) {
			t.Helper()
			must(t, e.Desk.AskChange(ctx, audit.System, realm.Default, ada.ID, to, "en"))
			link := mailed(t, e, to, "/account/email/confirm")
			if got := primaryOf(t, e, ada.ID); got.Address != from {
				t.Fatalf("%s before the link was used", got.Address)
			}
			must(t, e.Desk.Confirm(ctx, audit.System, realm.Default, ada.ID, link))
			if got := primaryOf(t, e, ada.ID); got.Address != to || !got.Verified {
				t.Fatalf("%+v after the link was used", got)
			}
			e.Clock.Advance(time.Minute)
			return mailed(t, e, from, "/undo-email")
		}
		first := change("ada@example.com", "thief@example.com")
		second := change("thief@example.com", "thief@example.org")
		_, err := e.Passwords.Set(ctx, audit.System, realm.Default, ada.ID, chosen)
		must(t, err)
		session := begin(t, e, "thief@example.org", chosen)
		must(t, e.Desk.AskChange(ctx, audit.System, realm.Default, ada.ID, "thief@example.net", "en"))
		onItsWay := mailed(t, e, "thief@example.net", "/account/email/confirm")

		password, err := e.Desk.UndoChange(ctx, audit.System, realm.Default, first)
		must(t, err)
		if got := primaryOf(t, e, ada.ID); got.Address != "ada@example.com" || !got.Verified {
			t.Errorf("%+v came back", got)
		}
		if !isOver(t, e, session) {
			t.Error("the thief is still signed in")
		}
		if open, _, err := e.Risk.Incidents(ctx, realm.Default, risk.Filter{State: risk.Opened, Principal: ada.ID}, "", 10); err != nil || len(open) != 1 || open[0].Reason != "risk.restored" {
			t.Errorf("incidents: %+v, %v", open, err)
		}
		for what, link := range map[string]string{"the same link": first, "the thief's own": second} {
			if _, err := e.Desk.UndoChange(ctx, audit.System, realm.Default, link); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := e.Desk.Confirm(ctx, audit.System, realm.Default, ada.ID, onItsWay); !fault.Is(err, fault.NotFound) {
			t.Errorf("a change on its way: %v", err)
		}
		must(t, e.Desk.SetPassword(ctx, audit.System, realm.Default, string(password), secret.Text("another heron reads the paper")))
		if signsIn(t, e, "ada@example.com", chosen) {
			t.Error("the thief's password still opens the account")
		}
	})
}

// A change of address on its way is its person's alone, and dies with the
// circumstances in which it was asked for: with the password, and with the era.
func TestAChangeOfAddressDiesWithItsCircumstances(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx := context.Background()
		ada, grace := e.Person(t, realm.Default, "ada@example.com"), e.Person(t, realm.Default, "grace@example.com")
		confirm := func(id, link string) error {
			return e.Desk.Confirm(ctx, audit.System, realm.Default, id, link)
		}
		for what, change := range map[string]func() error{
			"another password, with nobody signed out": func() error {
				_, err := e.Passwords.Replace(ctx, audit.System, realm.Default, credential.Change{Principal: ada.ID, Current: secret.Text(apptest.Password), Next: "a heron on the other bank", Keep: true})
				return err
			},
			"suspended and let in again": func() error {
				must(t, e.Grants.SuspendPrincipal(ctx, audit.System, realm.Default, ada.ID, "test", nil))
				return e.People.Activate(ctx, audit.System, realm.Default, ada.ID)
			},
		} {
			to := strings.Fields(what)[0] + "@example.net"
			must(t, e.Desk.AskChange(ctx, audit.System, realm.Default, ada.ID, to, "en"))
			link := mailed(t, e, to, "/account/email/confirm")
			if err := confirm(grace.ID, link); !fault.Is(err, fault.NotFound) {
				t.Errorf("used by somebody else: %v", err)
			}
			must(t, change())
			if err := confirm(ada.ID, link); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// A thief who takes back a change of their own takes nothing from the owner of
// the address before it.
func TestAThiefsUndoLeavesTheOwners(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx := context.Background()
		ada := e.Person(t, realm.Default, "ada@example.com")
		change := func(from, to string) (undo string) {
			t.Helper()
			must(t, e.Desk.AskChange(ctx, audit.System, realm.Default, ada.ID, to, "en"))
			must(t, e.Desk.Confirm(ctx, audit.System, realm.Default, ada.ID, mailed(t, e, to, "/account/email/confirm")))
			e.Clock.Advance(time.Minute)
			return mailed(t, e, from, "/undo-email")
		}
		owners := change("ada@example.com", "thief@example.com")
		thiefs := change("thief@example.com", "thief@example.org")
		last := change("thief@example.org", "thief@example.net")
		_, err := e.Desk.UndoChange(ctx, audit.System, realm.Default, thiefs)
		must(t, err)
		if _, err := e.Desk.UndoChange(ctx, audit.System, realm.Default, last); !fault.Is(err, fault.NotFound) {
			t.Errorf("a later one: %v", err)
		}
		_, err = e.Desk.UndoChange(ctx, audit.System, realm.Default, owners)
		must(t, err)
		if got := primaryOf(t, e, ada.ID); got.Address != "ada@example.com" || !got.Verified {
			t.Errorf("%+v came back", got)
		}
		for what, link := range map[string]string{"the owner's again": owners, "the thief's again": thiefs} {
			if _, err := e.Desk.UndoChange(ctx, audit.System, realm.Default, link); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}
