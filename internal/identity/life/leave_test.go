package life_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// Whoever leaves is signed out, can come back in time, and is then gone.
func TestLeavingTakesTimeAndIsForEver(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx, r := context.Background(), in(t, e, realm.Default)
		ada := e.Person(t, realm.Default, "ada@example.com")
		session := begin(t, e, "ada@example.com", secret.Text(apptest.Password))
		due, err := e.Desk.Leave(ctx, audit.System, r, ada.ID)
		must(t, err)
		if !isOver(t, e, session) || due.Sub(e.DB.Now()) > 14*24*time.Hour {
			t.Errorf("signed out %t, deleted at %s", isOver(t, e, session), due)
		}
		settled(t, e) // letters go out several at a time
		e.Clock.Advance(13 * 24 * time.Hour)
		must(t, e.RunDue(ctx))
		must(t, e.Desk.Stay(ctx, audit.System, realm.Default, ada.ID))
		settled(t, e)
		e.Clock.Advance(2 * 24 * time.Hour)
		must(t, e.RunDue(ctx))
		if !signsIn(t, e, "ada@example.com", secret.Text(apptest.Password)) {
			t.Fatal("whoever came back is gone")
		}
		_, err = e.Desk.Leave(ctx, audit.System, r, ada.ID)
		must(t, err)
		settled(t, e)
		e.Clock.Advance(14 * 24 * time.Hour)
		if err := e.Desk.Stay(ctx, audit.System, realm.Default, ada.ID); !fault.Is(err, fault.Forbidden) {
			t.Errorf("back too late, and before anything swept: %v", err)
		}
		must(t, e.RunDue(ctx))
		p, err := e.People.ByID(ctx, realm.Default, ada.ID)
		must(t, err)
		if p.State != principal.Deleted || p.DisplayName != "" || len(p.Emails) != 0 || p.Profile != (principal.Profile{}) {
			t.Errorf("left behind: %+v", p)
		}
		settled(t, e)
		var said []string
		for _, m := range e.Mail.To("ada@example.com") {
			said = append(said, m.Subject)
		}
		if got := strings.Join(said, "; "); !strings.HasPrefix(got, "Your account is deleted; Your account is to be deleted; Your account stays; Your account is to be deleted") {
			t.Errorf("told: %s", got)
		}
		left := 0
		must(t, e.DB.View(ctx, realm.Default, func(tx *db.Tx) (err error) {
			left, err = db.One(tx, db.Scalar[int], `SELECT (SELECT count(*) FROM credentials WHERE realm = $1 AND principal = $2 AND data <> '')
				+ (SELECT count(*) FROM sessions WHERE realm = $1 AND principal = $2 AND (ip <> '' OR user_agent <> ''))
				+ (SELECT count(*) FROM identifiers WHERE realm = $1 AND principal = $2) + (SELECT count(*) FROM departures WHERE realm = $1)`, tx.Realm, ada.ID)
			return err
		}))
		if left != 0 {
			t.Errorf("%d rows of personal data are left", left)
		}
	})
}

func TestTheLastOwnerStays(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx := context.Background()
		ada := e.Person(t, realm.Default, "ada@example.com")
		_, err := e.Operators.Assign(ctx, audit.System, realm.Default, ada.ID, 0, operator.Owner)
		must(t, err)
		if _, err := e.Desk.Leave(ctx, audit.System, in(t, e, realm.Default), ada.ID); fault.Code(err) != "last_owner" {
			t.Errorf("got %v", err)
		}
	})
}

// A person takes along what is kept about them, and nothing secret.
func TestPeopleTakeTheirDataAlong(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx := context.Background()
		ada := e.Person(t, realm.Default, "ada@example.com")
		e.Person(t, realm.Default, "grace@example.com")
		begin(t, e, "ada@example.com", secret.Text(apptest.Password))
		group, err := e.People.Create(ctx, audit.System, realm.Default, principal.New{Kind: principal.Group, Name: "staff"})
		must(t, err)
		must(t, e.People.AddMember(ctx, audit.System, realm.Default, group.ID, ada.ID, ""))
		_, _, err = e.Factors.NewRecovery(ctx, audit.System, realm.Default, ada.ID)
		must(t, err)
		var b bytes.Buffer
		must(t, e.Desk.Export(ctx, &b, in(t, e, realm.Default), ada.ID))
		var got struct {
			Profile  struct{ ID string }
			Sessions []struct{ ID string }
			Events   []struct{ Action string }
			Consents []any
			Terms    []any                                   `json:"accepted_terms"`
			Proofs   []struct{ Type string }                 `json:"ways_to_sign_in"`
			Groups   []struct{ Name, Kind, Relation string } `json:"memberships"`
		}
		must(t, json.Unmarshal(b.Bytes(), &got))
		if got.Profile.ID != ada.ID || len(got.Sessions) != 1 || len(got.Events) == 0 || got.Consents == nil || got.Terms == nil {
			t.Errorf("got %s", b.String())
		}
		if len(got.Proofs) != 2 || len(got.Groups) != 1 || got.Groups[0].Name != "staff" || got.Groups[0].Kind != "group" || got.Groups[0].Relation != "member" {
			t.Errorf("got %s", b.String())
		}
		for _, not := range []string{"argon2", "grace@example.com", "cds_"} {
			if strings.Contains(b.String(), not) {
				t.Errorf("%q is among it", not)
			}
		}
	})
}

// An invitation that was mailed proves the address; one that was handed over does
// not. Whoever accepts is where they were meant to be.
func TestInvitations(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx, r := context.Background(), in(t, e, realm.Default)
		group, err := e.People.Create(ctx, audit.System, realm.Default, principal.New{Kind: principal.Group, Name: "staff"})
		must(t, err)
		meant := []life.Containment{{Container: group.ID}}
		_, _, err = e.Desk.Invite(ctx, audit.System, realm.Default, life.NewInvitation{Address: "mailed@example.com", Name: "Grace", Containers: meant})
		must(t, err)
		if _, _, err := e.Desk.Invite(ctx, audit.System, realm.Default, life.NewInvitation{Address: "MAILED@example.com"}); fault.Code(err) != "invitation_open" {
			t.Errorf("invited twice: %v", err)
		}
		made, err := e.Desk.Accept(ctx, audit.System, r, mailed(t, e, "mailed@example.com", "/invitation"), life.Account{Name: "Grace Hopper", Password: chosen})
		must(t, err)
		if !made.Email().Verified {
			t.Error("the letter did not prove the address")
		}
		if members, _, err := e.People.Members(ctx, realm.Default, group.ID, "", 10); err != nil || len(members) != 1 || members[0].Member != made.ID {
			t.Errorf("members %v, %v", members, err)
		}
		i, link, err := e.Desk.Invite(ctx, audit.System, realm.Default, life.NewInvitation{Address: "handed@example.com", Link: true})
		must(t, err)
		if made, err = e.Desk.Accept(ctx, audit.System, r, string(link), life.Account{Name: "Handed", Password: chosen}); err != nil || made.Email().Verified {
			t.Errorf("handed over: %+v, %v", made, err)
		}
		if i, err = e.Desk.Invitation(ctx, realm.Default, i.ID); err != nil || i.State != life.InvitationAccepted || i.Address != "" || i.Person != made.ID {
			t.Errorf("afterwards %+v, %v", i, err)
		}
		i, link, err = e.Desk.Invite(ctx, audit.System, realm.Default, life.NewInvitation{Address: "third@example.com", Link: true})
		must(t, err)
		must(t, e.Desk.Withdraw(ctx, audit.System, realm.Default, i.ID))
		if _, err := e.Desk.OpenInvitation(ctx, realm.Default, string(link)); !fault.Is(err, fault.NotFound) {
			t.Errorf("withdrawn: %v", err)
		}
		if _, err := e.Passwords.Check(ctx, audit.System, realm.Default, credential.Attempt{Identifier: "third@example.com", Password: chosen}); err != nil {
			t.Fatal(err)
		}
	})
}
