package operator_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

// world is the registry with all it stands on.
type world struct {
	*audittest.Env
	operators *operator.Registry
	people    *principal.Directory
	passwords *credential.Passwords
	hold      *audittest.Hold
	realm     string
}

func newWorld(t *testing.T, e *audittest.Env) *world {
	t.Helper()
	realms, err := realm.NewRegistry(e.DB, e.Log, "https://id.example.com")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Env: e, realm: "operated"}
	w.people = principal.NewDirectory(e.DB, e.Log)
	w.passwords = credential.NewPasswords(e.DB, e.Log, realms, credential.PasswordOptions{Workers: 2, Cheap: true})
	links := once.New(e.DB, e.Log.Epoch)
	w.operators = operator.New(e.DB, e.Log, links, w.passwords, client.New(e.DB, e.Log, credential.NewStore(e.DB, e.Log, nil)))
	w.hold = e.Hold()
	e.Start(t)
	for _, name := range []string{w.realm, "next-door"} {
		if _, err := realms.Create(context.Background(), audit.System, realm.New{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) person(t *testing.T, name string) string {
	t.Helper()
	p, err := w.people.Create(context.Background(), audit.System, w.realm, principal.New{Kind: principal.Person, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return p.ID
}

func (w *world) operator(t *testing.T, name string, role operator.Role) audit.Actor {
	t.Helper()
	id := w.person(t, name)
	if _, err := w.operators.Assign(context.Background(), audit.System, w.realm, id, 0, role); err != nil {
		t.Fatal(err)
	}
	return audit.Actor{Kind: "person", ID: id}
}

func (w *world) role(t *testing.T, id string) operator.Role {
	t.Helper()
	o, err := w.operators.ByPrincipal(context.Background(), w.realm, id)
	if fault.Is(err, fault.NotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return o.Role
}

func TestRolesContainEachOther(t *testing.T) {
	roles := []operator.Role{operator.Owner, operator.Admin, operator.Helpdesk, operator.Viewer}
	for i, greater := range roles {
		for j, lesser := range roles {
			if got, want := greater.Covers(lesser), i <= j; got != want {
				t.Errorf("%s covers %s: %v", greater, lesser, got)
			}
		}
	}
	// What an application may do an admin may, but not the helpdesk; and it sees nobody.
	for _, r := range operator.Roles() {
		if got, want := r.Covers(operator.Application), r == operator.Owner || r == operator.Admin || r == operator.Application; got != want {
			t.Errorf("%s covers application: %v", r, got)
		}
		if r != operator.Application && operator.Application.Covers(r) {
			t.Errorf("application covers %s", r)
		}
	}
	if operator.Application.May(operator.UsersRead) || !operator.Application.May(operator.FactsWrite) {
		t.Error("an application writes facts and reads nobody")
	}
	if operator.Role("root").May(operator.UsersRead) || operator.Role("").Covers("") || operator.Role("root").Covers(operator.Viewer) {
		t.Error("an unknown role has rights")
	}
}

// AD-03: nobody gives, takes or changes rights beyond their own.
func TestRightsAreGivenOnlyFromThoseOneHas(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w, ctx := newWorld(t, e), context.Background()
		owner, admin := w.operator(t, "owner", operator.Owner), w.operator(t, "admin", operator.Admin)
		help, nobody := w.operator(t, "help", operator.Helpdesk), audit.Actor{Kind: "person", ID: w.person(t, "nobody")}

		for _, c := range []struct {
			name string
			by   audit.Actor
			to   string
			role operator.Role
			fine bool
		}{
			{"admin makes an owner", admin, nobody.ID, operator.Owner, false},
			{"admin makes itself an owner", admin, admin.ID, operator.Owner, false},
			{"admin demotes an owner", admin, owner.ID, operator.Viewer, false},
			{"helpdesk makes a viewer", help, nobody.ID, operator.Viewer, false},
			{"nobody makes itself a viewer", nobody, nobody.ID, operator.Viewer, false},
			{"admin makes an admin", admin, nobody.ID, operator.Admin, true},
			{"owner makes an owner", owner, nobody.ID, operator.Owner, true},
		} {
			_, err := w.operators.Assign(ctx, c.by, w.realm, c.to, 0, c.role)
			if fine := err == nil; fine != c.fine || !fine && !fault.Is(err, fault.Forbidden) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		if err := w.operators.Remove(ctx, admin, w.realm, owner.ID, 0); !fault.Is(err, fault.Forbidden) {
			t.Errorf("admin removes an owner: %v", err)
		}
		if err := w.operators.MayTouch(ctx, admin, w.realm, owner.ID); !fault.Is(err, fault.Forbidden) {
			t.Errorf("admin may change how an owner signs in: %v", err)
		}
		if err := w.operators.MayTouch(ctx, admin, w.realm, help.ID); err != nil {
			t.Errorf("admin may not touch the helpdesk: %v", err)
		}
	})
}

// AD-03: the last owner stays, whoever goes first. Without the call of remember
// in Assign and Remove, two owners can demote each other on PostgreSQL.
func TestLastOwnerStaysUnderRace(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w, ctx := newWorld(t, e), context.Background()
		for round := range 5 {
			a := w.operator(t, "a"+string(rune('a'+round)), operator.Owner)
			b := w.operator(t, "b"+string(rune('a'+round)), operator.Owner)
			var wg sync.WaitGroup
			var errs [2]error
			wg.Go(func() { _, errs[0] = w.operators.Assign(ctx, a, w.realm, b.ID, 0, operator.Viewer) })
			wg.Go(func() { errs[1] = w.operators.Remove(ctx, b, w.realm, a.ID, 0) })
			wg.Wait()
			if errs[0] == nil && errs[1] == nil {
				t.Fatal("both owners went")
			}
			if w.role(t, a.ID) != operator.Owner && w.role(t, b.ID) != operator.Owner {
				t.Fatalf("nobody owns the realm: %v", errs)
			}
			// Start the next round with none of these two.
			c := w.operator(t, "c"+string(rune('a'+round)), operator.Owner)
			for _, id := range []string{a.ID, b.ID} {
				if err := w.operators.Remove(ctx, c, w.realm, id, 0); err != nil && !fault.Is(err, fault.NotFound) {
					t.Fatal(err)
				}
			}
			if err := w.operators.Remove(ctx, c, w.realm, c.ID, 0); fault.Code(err) != "last_owner" {
				t.Fatalf("the last owner went: %v", err)
			}
			w.forget(t, c.ID)
		}
	})
}

// forget ends an owner past all guards, as only the database's owner could.
func (w *world) forget(t *testing.T, id string) {
	t.Helper()
	if err := w.people.Delete(context.Background(), audit.System, w.realm, id); err != nil {
		t.Fatal(err)
	}
}

func TestSuspendedOwnerDoesNotCount(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w, ctx := newWorld(t, e), context.Background()
		first, second := w.operator(t, "first", operator.Owner), w.operator(t, "second", operator.Owner)
		if err := w.people.Suspend(ctx, first, w.realm, second.ID, "test"); err != nil {
			t.Fatal(err)
		}
		if err := w.operators.Remove(ctx, first, w.realm, first.ID, 0); fault.Code(err) != "last_owner" {
			t.Errorf("the only owner who can sign in went: %v", err)
		}
		guard := e.DB.Update(ctx, w.realm, func(tx *db.Tx) error { return w.operators.GuardTx(tx, first, first.ID) })
		if fault.Code(guard) != "last_owner" {
			t.Errorf("the only owner who can sign in may be suspended: %v", guard)
		}
	})
}

func TestStaleVersionChangesNothing(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w, ctx := newWorld(t, e), context.Background()
		owner := w.operator(t, "owner", operator.Owner)
		o, err := w.operators.Assign(ctx, owner, w.realm, w.person(t, "ada"), 0, operator.Viewer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.operators.Assign(ctx, owner, w.realm, o.Principal, o.Version+1, operator.Admin); !fault.Is(err, fault.Precondition) {
			t.Errorf("assign with a stale version: %v", err)
		}
		if err := w.operators.Remove(ctx, owner, w.realm, o.Principal, o.Version+1); !fault.Is(err, fault.Precondition) {
			t.Errorf("remove with a stale version: %v", err)
		}
		if w.role(t, o.Principal) != operator.Viewer {
			t.Error("the role changed")
		}
		if err := w.operators.Remove(ctx, owner, w.realm, o.Principal, o.Version); err != nil {
			t.Fatal(err)
		}
		if got := w.role(t, o.Principal); got != "" {
			t.Errorf("a removed operator is still %s", got)
		}
		w.hold.Waits(t, "removing twice", func() error { return w.operators.Remove(ctx, owner, w.realm, o.Principal, 0) })
		if err := w.operators.Remove(ctx, owner, w.realm, "usr_00000000000000000000000000", 0); !fault.Is(err, fault.NotFound) {
			t.Errorf("removing nobody: %v", err)
		}
	})
}

// AD-05: the set-up link works once, for fifteen minutes, and never again for a
// realm that ever had an operator.
func TestSetupLinkWorksOnce(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w, ctx := newWorld(t, e), context.Background()
		link, expires, err := w.operators.SetupLink(ctx, audit.System, w.realm)
		if err != nil {
			t.Fatal(err)
		}
		spare, _, err := w.operators.SetupLink(ctx, audit.System, w.realm)
		if err != nil {
			t.Fatal(err)
		}
		if left := expires.Sub(e.DB.Now()); left > operator.SetupLife || left < operator.SetupLife-time.Minute {
			t.Errorf("the link is good for %s", left)
		}
		if err := w.operators.SetupOpen(ctx, "next-door", string(link)); !fault.Is(err, fault.NotFound) {
			t.Errorf("the link opens another realm: %v", err)
		}
		_, err = w.operators.Setup(ctx, audit.Actor{Kind: "anonymous"}, w.realm, string(link), "Ada", "ada", "ada@example.com", "short")
		var f *fault.Error
		if !errors.As(err, &f) || f.Fields["password"] == "" {
			t.Fatalf("a short password: %v", err)
		}
		_, err = w.operators.Setup(ctx, audit.Actor{Kind: "anonymous"}, w.realm, string(link), "Ada", "", "not an address", "turquoise walrus on a bicycle")
		if !errors.As(err, &f) || f.Fields["email"] == "" {
			t.Fatalf("a bad address: %v", err)
		}
		if err := w.operators.SetupOpen(ctx, w.realm, string(link)); err != nil {
			t.Fatalf("a refused form used the link: %v", err)
		}
		id, err := w.operators.Setup(ctx, audit.Actor{Kind: "anonymous"}, w.realm, string(link), "Ada", "ada", "ada@example.com", "turquoise walrus on a bicycle")
		if err != nil {
			t.Fatal(err)
		}
		if w.role(t, id) != operator.Owner {
			t.Error("whoever set up is not an owner")
		}
		r, err := w.passwords.Check(ctx, audit.System, w.realm, credential.Attempt{Identifier: "ada@example.com", Password: "turquoise walrus on a bicycle"})
		if err != nil || r.Outcome != credential.Right {
			t.Errorf("the password does not sign in: %v %v", r.Outcome, err)
		}
		for name, l := range map[string]string{"the same": string(link), "another": string(spare), "an invented": "cdl_x"} {
			if _, err := w.operators.Setup(ctx, audit.Actor{Kind: "anonymous"}, w.realm, l, "Eve", "eve", "", "turquoise walrus on a bicycle"); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s link sets up again: %v", name, err)
			}
		}

		// Nobody is left, and still it stays closed.
		w.forget(t, id)
		if _, _, err := w.operators.SetupLink(ctx, audit.System, w.realm); fault.Code(err) != "setup_closed" {
			t.Errorf("set-up opens again: %v", err)
		}
		if _, err := w.operators.SetupAutomation(ctx, audit.System, w.realm, "robot", "cardea:admin"); fault.Code(err) != "setup_closed" {
			t.Errorf("set-up opens again for programs: %v", err)
		}
		if virgin, err := w.operators.Virgin(ctx, "next-door"); err != nil || !virgin {
			t.Errorf("the neighbour noticed: %v %v", virgin, err)
		}
	})
}

func TestSetupLinkExpires(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w, ctx := newWorld(t, e), context.Background()
		link, _, err := w.operators.SetupLink(ctx, audit.System, w.realm)
		if err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(operator.SetupLife)
		if err := w.operators.SetupOpen(ctx, w.realm, string(link)); !fault.Is(err, fault.NotFound) {
			t.Errorf("after fifteen minutes: %v", err)
		}
	})
}

func TestSetupHappensOnceUnderRace(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w, ctx := newWorld(t, e), context.Background()
		var wg sync.WaitGroup
		var mu sync.Mutex
		made := 0
		var links [4]string // before anybody runs: set-up closes behind the first
		for i := range links {
			link, _, err := w.operators.SetupLink(ctx, audit.System, w.realm)
			if err != nil {
				t.Fatal(err)
			}
			links[i] = string(link)
		}
		for i, link := range links {
			wg.Go(func() {
				_, err := w.operators.Setup(ctx, audit.Actor{Kind: "anonymous"}, w.realm, link, "Person", "person"+string(rune('a'+i)), "", "turquoise walrus on a bicycle")
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					made++
				}
			})
		}
		wg.Wait()
		if made != 1 {
			t.Errorf("%d first owners were made", made)
		}
	})
}
