package life_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

// LC-04, LC-06: an account begins with an address that its owner has proved.
func TestAnAccountBeginsWithAProvedAddress(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx := context.Background()
		if err := e.Desk.Register(ctx, audit.System, in(t, e, realm.Default), "new@example.com", "en", ""); !fault.Is(err, fault.NotFound) {
			t.Errorf("where it is off: %v", err)
		}
		r := open(t, e, map[string]any{"self_registration_domains": "example.com *.example.org"})
		for _, bad := range []string{"new@example.net", "new", "new@", "a b@example.com"} {
			var f *fault.Error
			if err := e.Desk.Register(ctx, audit.System, r, bad, "en", ""); !errors.As(err, &f) || f.Fields["email"] == "" {
				t.Errorf("%q: %v", bad, err)
			}
		}
		must(t, e.Desk.Register(ctx, audit.System, r, "new@example.com", "de", ""))
		link := mailed(t, e, "new@example.com", "/register/finish")
		if p, err := e.People.ByIdentifier(ctx, realm.Default, "new@example.com"); !fault.Is(err, fault.NotFound) {
			t.Errorf("before the link is used there is %v, %v", p, err)
		}
		var f *fault.Error
		if _, err := e.Desk.FinishRegister(ctx, audit.System, r, link, life.Account{Name: "New", Password: "short"}); !errors.As(err, &f) || f.Fields["password"] == "" {
			t.Errorf("a short password: %v", err)
		}
		made, err := e.Desk.FinishRegister(ctx, audit.System, r, link, life.Account{Name: "New One", Password: chosen})
		must(t, err)
		if got := made.Email(); got.Address != "new@example.com" || !got.Verified || made.Locale != "de" {
			t.Errorf("made %+v", made)
		}
		if !signsIn(t, e, "new@example.com", chosen) {
			t.Error("the account does not open")
		}
		if _, err := e.Desk.FinishRegister(ctx, audit.System, r, link, life.Account{Name: "Twice", Password: chosen}); !fault.Is(err, fault.NotFound) {
			t.Errorf("the same link again: %v", err)
		}
		// Somebody tries the address again, in another spelling: its owner is told.
		must(t, e.Desk.Register(ctx, audit.System, r, "NEW@example.com", "en", ""))
		settled(t, e)
		if m := e.Mail.To("new@example.com")[0]; m.Subject != "Sie haben ein Konto bei Cardea" {
			t.Errorf("the owner is told %q", m.Subject)
		}
	})
}

// P-04: however many register one address at once, on two nodes, one does.
func TestOneOfManyRegistersAnAddress(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx, nodes := context.Background(), []*apptest.Env{e}
		if e.DB.Engine() == db.Postgres {
			nodes = append(nodes, e.Node(t))
		}
		r := open(t, e, nil)
		var links []string
		for range 4 {
			must(t, e.Desk.Register(ctx, audit.System, r, "new@example.com", "en", ""))
			links = append(links, mailed(t, e, "new@example.com", "/register/finish"))
		}
		var wg sync.WaitGroup
		errs := make([]error, 64)
		for i := range errs {
			wg.Go(func() {
				errs[i] = untilAdmitted(func() error {
					_, err := nodes[i%len(nodes)].Desk.FinishRegister(ctx, audit.System, r, links[i%4], life.Account{Name: fmt.Sprint("Racer ", i), Password: chosen})
					return err
				})
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
		people, _, err := e.People.List(ctx, realm.Default, principal.Filter{Kind: principal.Person, Search: "racer"}, "", 100)
		if err != nil || won != 1 || len(people) != 1 {
			t.Errorf("%d won, %d people, %v", won, len(people), err)
		}
	})
}

// A mailbox gets a few letters an hour, whoever asks for them.
func TestMailboxesAreNotFlooded(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx, r := context.Background(), open(t, e, nil)
		e.Person(t, realm.Default, "ada@example.com")
		for range 9 {
			must(t, e.Desk.Register(ctx, audit.System, r, "new@example.com", "en", ""))
			must(t, e.Desk.Register(ctx, audit.System, r, "ada@example.com", "en", ""))
			must(t, e.Desk.Forgot(ctx, audit.System, r, "ada@example.com", "en", ""))
		}
		settled(t, e)
		if n, m := len(e.Mail.To("new@example.com")), len(e.Mail.To("ada@example.com")); n != 5 || m != 10 {
			t.Errorf("%d letters to somebody new, %d to somebody known", n, m)
		}
		e.Clock.Advance(life.ResetLife * 2)
		must(t, e.Desk.Register(ctx, audit.System, r, "new@example.com", "en", ""))
		settled(t, e)
		if n := len(e.Mail.To("new@example.com")); n != 6 {
			t.Errorf("an hour later: %d letters", n)
		}
	})
}
