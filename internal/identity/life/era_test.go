package life_test

import (
	"context"
	"testing"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

// Whoever leaves, or takes an address back, ends the era in which somebody was
// signed in by the same commit, whatever is found to be ended afterwards.
func TestLeavingAndTakingBackEndTheEra(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx, r, ada := context.Background(), in(t, e, realm.Default), e.Person(t, realm.Default, "ada@example.com")
		must(t, e.Desk.AskChange(ctx, audit.System, realm.Default, ada.ID, "other@example.com", "en"))
		must(t, e.Desk.Confirm(ctx, audit.System, realm.Default, ada.ID, mailed(t, e, "other@example.com", "/account/email/confirm")))
		undo := mailed(t, e, "ada@example.com", "/undo-email")
		for what, do := range map[string]func() error{
			"leaving": func() error {
				_, err := e.Desk.Leave(ctx, audit.System, r, ada.ID)
				return err
			},
			"taking an address back": func() error {
				_, err := e.Desk.UndoChange(ctx, audit.System, realm.Default, undo)
				return err
			},
		} {
			before, err := e.People.Live(ctx, realm.Default, ada.ID)
			must(t, err)
			must(t, do())
			if after, err := e.People.Live(ctx, realm.Default, ada.ID); err != nil || after.Era == before.Era {
				t.Errorf("%s: era %d, then %d, %v", what, before.Era, after.Era, err)
			}
		}
	})
}

// Whoever sets a password by link ends the era in which others were signed in,
// once, whether or not there was a password before.
func TestALinkEndsTheEra(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx, old := context.Background(), e.Person(t, realm.Default, "ada@example.com")
		fresh, err := e.People.Create(ctx, audit.System, realm.Default, principal.New{Kind: principal.Person, Name: "grace"})
		if err != nil {
			t.Fatal(err)
		}
		for _, who := range []string{old.ID, fresh.ID} {
			before, err := e.People.Live(ctx, realm.Default, who)
			if err != nil {
				t.Fatal(err)
			}
			link, _, err := e.Desk.PasswordLink(ctx, audit.System, realm.Default, who)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Desk.SetPassword(ctx, audit.System, realm.Default, string(link), chosen); err != nil {
				t.Fatal(err)
			}
			if after, err := e.People.Live(ctx, realm.Default, who); err != nil || after.Era != before.Era+1 {
				t.Errorf("era %d, then %d, %v; want one more", before.Era, after.Era, err)
			}
		}
	})
}
