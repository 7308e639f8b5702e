package life_test

import (
	"context"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

// scene is a person with a link of one kind, and how it is used.
type scene struct {
	*apptest.Env
	person string
	link   string
}

// kinds make a link of each kind, and use it.
var kinds = map[string]struct {
	life time.Duration
	make func(t *testing.T, s *scene)
	use  func(s *scene, in string) error
}{
	"password": {life.ResetLife, func(t *testing.T, s *scene) {
		must(t, s.Desk.Forgot(t.Context(), audit.System, inRealm(t, s), "ada@example.com", "en", ""))
		s.link = mailed(t, s.Env, "ada@example.com", "/set-password")
	}, func(s *scene, in string) error {
		return untilAdmitted(func() error { return s.Desk.SetPassword(context.Background(), audit.System, in, s.link, chosen) })
	}},
	"verify": {life.VerifyLife, func(t *testing.T, s *scene) {
		must(t, s.Desk.AskVerify(t.Context(), audit.System, realm.Default, s.person, "second@example.com"))
		s.link = mailed(t, s.Env, "second@example.com", "/account/email/confirm")
	}, func(s *scene, in string) error {
		return s.Desk.Confirm(context.Background(), audit.System, in, s.person, s.link)
	}},
	"change": {life.ChangeLife, func(t *testing.T, s *scene) {
		must(t, s.Desk.AskChange(t.Context(), audit.System, realm.Default, s.person, "next@example.com", "en"))
		s.link = mailed(t, s.Env, "next@example.com", "/account/email/confirm")
	}, func(s *scene, in string) error {
		return s.Desk.Confirm(context.Background(), audit.System, in, s.person, s.link)
	}},
	"undo": {life.UndoLife, func(t *testing.T, s *scene) {
		must(t, s.Desk.AskChange(t.Context(), audit.System, realm.Default, s.person, "next@example.com", "en"))
		must(t, s.Desk.Confirm(t.Context(), audit.System, realm.Default, s.person, mailed(t, s.Env, "next@example.com", "/account/email/confirm")))
		s.link = mailed(t, s.Env, "ada@example.com", "/undo-email")
	}, func(s *scene, in string) error {
		_, err := s.Desk.UndoChange(context.Background(), audit.System, in, s.link)
		return err
	}},
	"register": {life.RegisterLife, func(t *testing.T, s *scene) {
		must(t, s.Desk.Register(t.Context(), audit.System, inRealm(t, s), "new@example.com", "en", ""))
		s.link = mailed(t, s.Env, "new@example.com", "/register/finish")
	}, func(s *scene, in string) error {
		return untilAdmitted(func() error {
			_, err := s.Desk.FinishRegister(context.Background(), audit.System, named(s, in), s.link, life.Account{Name: "New", Password: chosen})
			return err
		})
	}},
	"invitation": {life.InvitationLife, func(t *testing.T, s *scene) {
		_, _, err := s.Desk.Invite(t.Context(), audit.System, realm.Default, life.NewInvitation{Address: "new@example.com"})
		must(t, err)
		s.link = mailed(t, s.Env, "new@example.com", "/invitation")
	}, func(s *scene, in string) error {
		return untilAdmitted(func() error {
			_, err := s.Desk.Accept(context.Background(), audit.System, named(s, in), s.link, life.Account{Name: "New", Password: chosen})
			return err
		})
	}},
}

func inRealm(t *testing.T, s *scene) *realm.Realm { return in(t, s.Env, realm.Default) }

func named(s *scene, name string) *realm.Realm {
	r, err := s.Realms.ByName(context.Background(), name)
	if err != nil {
		return &realm.Realm{Name: name}
	}
	return r
}

// LC-06: every kind of link, in every state in which it is bad, is refused alike,
// and does nothing. The right one is used after each wrong attempt that leaves it
// good.
func TestEveryLinkInEveryState(t *testing.T) {
	ctx := context.Background()
	person := []string{"password", "verify", "change", "undo"}
	all := append([]string{"register", "invitation"}, person...)
	for state, c := range map[string]struct {
		of    []string
		spoil func(t *testing.T, s *scene, kind string)
		in    string
		still bool // it is good afterwards, in its own realm
	}{
		"used":        {of: all, spoil: func(t *testing.T, s *scene, kind string) { must(t, kinds[kind].use(s, realm.Default)) }},
		"expired":     {of: all, spoil: func(t *testing.T, s *scene, kind string) { s.Clock.Advance(kinds[kind].life) }},
		"other realm": {of: all, in: apptest.Neighbour, still: true, spoil: func(*testing.T, *scene, string) {}},
		"other purpose": {of: all, still: true, spoil: func(t *testing.T, s *scene, kind string) {
			for other, k := range kinds {
				if other == kind || (kind == "verify" || kind == "change") && (other == "verify" || other == "change") {
					continue
				}
				if err := k.use(s, realm.Default); !fault.Is(err, fault.NotFound) {
					t.Errorf("used as %s: %v", other, err)
				}
			}
		}},
		"suspended": {of: person, spoil: func(t *testing.T, s *scene, _ string) {
			must(t, s.Grants.SuspendPrincipal(ctx, audit.System, realm.Default, s.person, "test", nil))
		}},
		"deleted": {of: person, spoil: func(t *testing.T, s *scene, _ string) {
			must(t, s.Desk.Delete(ctx, audit.System, realm.Default, s.person, "test", nil))
		}},
		"signed out everywhere by a new password": {of: []string{"password", "verify", "change"}, spoil: func(t *testing.T, s *scene, _ string) {
			_, err := s.Passwords.Set(ctx, audit.System, realm.Default, s.person, "yet another heron flies by")
			must(t, err)
		}},
		"address changed": {of: []string{"password", "change"}, spoil: func(t *testing.T, s *scene, _ string) {
			must(t, s.People.RemoveEmail(ctx, audit.System, realm.Default, s.person, "second@example.com"))
		}},
		"address gone": {of: []string{"verify"}, spoil: func(t *testing.T, s *scene, _ string) {
			must(t, s.People.RemoveEmail(ctx, audit.System, realm.Default, s.person, "second@example.com"))
		}},
		"address taken": {of: []string{"change", "register"}, spoil: func(t *testing.T, s *scene, kind string) {
			s.Env.Person(t, realm.Default, map[string]string{"change": "next@example.com", "register": "new@example.com"}[kind])
		}},
		"superseded": {of: []string{"verify", "change", "invitation"}, spoil: func(t *testing.T, s *scene, kind string) {
			old := s.link
			if kind == "invitation" {
				found, _, err := s.Desk.Invitations(ctx, realm.Default, life.InvitationOpen, "", 10)
				must(t, err)
				_, _, err = s.Desk.Resend(ctx, audit.System, realm.Default, found[0].ID, 0, false)
				must(t, err)
			} else {
				kinds[kind].make(t, s)
			}
			s.link = old
		}},
		"invented":  {of: all, spoil: func(_ *testing.T, s *scene, _ string) { s.link = "cdl_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }},
		"malformed": {of: all, spoil: func(_ *testing.T, s *scene, _ string) { s.link = "' OR 1=1 --" }},
	} {
		for _, kind := range c.of {
			t.Run(kind+" "+state, func(t *testing.T) {
				e := apptest.Start(t, db.SQLite)
				open(t, e, nil)
				s := &scene{Env: e, person: e.Person(t, realm.Default, "ada@example.com").ID}
				must(t, e.People.AddEmail(ctx, audit.System, realm.Default, s.person, "second@example.com", false))
				kinds[kind].make(t, s)
				c.spoil(t, s, kind)
				where := c.in
				if where == "" {
					where = realm.Default
				}
				if c.in != "" || !c.still {
					before := count(t, e)
					if err := kinds[kind].use(s, where); !fault.Is(err, fault.NotFound) {
						t.Errorf("got %v", err)
					}
					if after := count(t, e); after != before {
						t.Errorf("%d people, then %d", before, after)
					}
				}
				if c.still {
					must(t, kinds[kind].use(s, realm.Default))
				}
			})
		}
	}
}

func count(t *testing.T, e *apptest.Env) int {
	t.Helper()
	all, _, err := e.People.List(context.Background(), realm.Default, principal.Filter{Kind: principal.Person}, "", 500)
	must(t, err)
	return len(all)
}
