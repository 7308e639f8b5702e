package trust_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/trust"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

var by = audittest.By

// world is a node with a registry and what it stands on.
type world struct {
	*testing.T
	*audittest.Env
	*trust.Registry
	people      *principal.Directory
	credentials *credential.Store
	serial      int
}

func build(t *testing.T, e *audittest.Env) *world {
	t.Helper()
	realms, err := realm.NewRegistry(e.DB, e.Log, "https://id.example.com")
	if err != nil {
		t.Fatal(err)
	}
	credentials := credential.NewStore(e.DB, e.Log, nil)
	w := &world{T: t, Env: e, people: principal.NewDirectory(e.DB, e.Log), credentials: credentials, Registry: trust.New(e.DB, e.Log, realms, credentials)}
	e.Start(t)
	for _, name := range []string{dbtest.Realm, dbtest.Neighbour} {
		if _, err := realms.Create(context.Background(), audit.System, realm.New{Name: name}); err != nil && !fault.Is(err, fault.Conflict) {
			t.Fatal(err)
		}
	}
	return w
}

func run(t *testing.T, fn func(w *world)) {
	t.Helper()
	audittest.Run(t, func(t *testing.T, e *audittest.Env) { fn(build(t, e)) })
}

const login = "https://login.example.com"

func settings(t *testing.T, change ...func(*trust.Settings)) trust.Settings {
	t.Helper()
	key, err := jose.Generate("k1", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	s := trust.Settings{Issuer: login, JWKS: string(jose.Set{key.Public()}.JSON()), Uses: []trust.Use{trust.JWTBearer}, Scopes: []string{"read"}}
	for _, f := range change {
		f(&s)
	}
	return s
}

func (w *world) create(change ...func(*trust.Settings)) *trust.Issuer {
	w.Helper()
	made, err := w.Create(context.Background(), by, dbtest.Realm, settings(w.T, change...))
	if err != nil {
		w.Fatal(err)
	}
	return made
}

func (w *world) person() string {
	w.Helper()
	w.serial++
	p, err := w.people.Create(context.Background(), by, dbtest.Realm, principal.New{Kind: principal.Person, Name: fmt.Sprint("person", w.serial)})
	if err != nil {
		w.Fatal(err)
	}
	return p.ID
}

// end revokes the credential; what hangs on it is package grant's.
func (w *world) end(ctx context.Context, id string) error {
	return w.credentials.Revoke(ctx, by, dbtest.Realm, id, "test")
}

func (w *world) want(kind fault.Kind, err error, what string) {
	w.Helper()
	if !fault.Is(err, kind) {
		w.Errorf("%s: %v, want %v", what, err, kind)
	}
}

// What is left empty allows nothing, and what could be read in two ways or
// reaches too far is refused, each with its field.
func TestSettingsAreStrict(t *testing.T) {
	run(t, func(w *world) {
		ctx := context.Background()
		made := w.create(func(s *trust.Settings) { s.Uses, s.Scopes = nil, nil })
		if made.For(trust.TokenExchange) || made.For(trust.JWTBearer) || made.For(trust.IDJAG) || made.AllowsScope("read") || made.AllowsScope("") ||
			made.MaxLife != 300 || made.LinkByEmail || made.AllowsAlgorithm("none") || made.AllowsAlgorithm("HS256") || !slices.Equal(made.AudiencesFor("us"), []string{"us"}) {
			t.Errorf("got %+v", made)
		}
		for field, change := range map[string]func(*trust.Settings){
			"name":       func(s *trust.Settings) { s.Name = "a\x1b[31m" },
			"issuer":     func(s *trust.Settings) { s.Issuer = "https://id.example.com/realms/" + dbtest.Realm },
			"jwks":       func(s *trust.Settings) { s.JWKS = "" },
			"jwks ":      func(s *trust.Settings) { s.JWKSURI = "https://login.example.com/keys" },
			"jwks  ":     func(s *trust.Settings) { s.JWKS = `{"keys":[]}` },
			"jwks_uri":   func(s *trust.Settings) { s.JWKS, s.JWKSURI = "", "http://login.example.com/keys" },
			"jwks_uri ":  func(s *trust.Settings) { s.JWKS, s.JWKSURI = "", "https://user@login.example.com/keys" },
			"algorithms": func(s *trust.Settings) { s.Algorithms = []string{"none"} },
			"uses":       func(s *trust.Settings) { s.Uses = []trust.Use{"everything"} },
			"audiences":  func(s *trust.Settings) { s.Audiences = []string{"a b"} },
			"scopes":     func(s *trust.Settings) { s.Scopes = []string{"cardea:admin"} },
			"scopes ":    func(s *trust.Settings) { s.Scopes = []string{"read", "read"} },
			"max_life":   func(s *trust.Settings) { s.MaxLife = 90000 },
		} {
			s := settings(t, func(s *trust.Settings) { s.Issuer = "https://other.example" }, change)
			_, err := w.Create(ctx, by, dbtest.Realm, s)
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Fields[strings.TrimSpace(field)] == "" {
				t.Errorf("%s: %v", field, err)
			}
		}
		_, err := w.Create(ctx, by, dbtest.Realm, settings(t))
		w.want(fault.Conflict, err, "the same issuer twice")
		if _, err := w.Create(ctx, by, dbtest.Neighbour, settings(t)); err != nil {
			t.Errorf("the neighbour trusts it too: %v", err)
		}
	})
}

// Who is trusted is known in memory, and forgotten on every node when it
// changes.
func TestTrustIsKnownAndForgotten(t *testing.T) {
	run(t, func(w *world) {
		ctx := context.Background()
		_, err := w.ByIssuer(ctx, dbtest.Realm, login)
		w.want(fault.NotFound, err, "before")
		made := w.create()
		_, err = w.ByIssuer(ctx, dbtest.Neighbour, login)
		w.want(fault.NotFound, err, "for the neighbour")
		found, err := w.ByIssuer(ctx, dbtest.Realm, login)
		if err != nil || found.ID != made.ID || len(found.Keys()) != 1 || !found.For(trust.JWTBearer) {
			t.Fatalf("%+v %v", found, err)
		}
		s := found.Settings
		s.Uses = []trust.Use{trust.IDJAG}
		_, err = w.Update(ctx, by, dbtest.Realm, made.ID, 7, s)
		w.want(fault.Precondition, err, "another version")
		changed, err := w.Update(ctx, by, dbtest.Realm, made.ID, 1, s)
		if err != nil || changed.Version != 2 {
			t.Fatalf("%+v %v", changed, err)
		}
		if found, err = w.ByIssuer(ctx, dbtest.Realm, login); err != nil || found.For(trust.JWTBearer) || !found.For(trust.IDJAG) {
			t.Errorf("after a change: %+v %v", found, err)
		}
		s.Issuer = "https://other.example"
		_, err = w.Update(ctx, by, dbtest.Realm, made.ID, 0, s)
		w.want(fault.Invalid, err, "another name")
		if err := w.Delete(ctx, by, dbtest.Realm, made.ID, w.end); err != nil {
			t.Fatal(err)
		}
		_, err = w.ByIssuer(ctx, dbtest.Realm, login)
		w.want(fault.NotFound, err, "after deletion")
		if again := w.create(); again.ID == made.ID {
			t.Error("an id is used again")
		}
	})
}

// A subject is one principal, and nobody after it was unlinked; the credential
// that the link is dies with it.
func TestSubjectsAreLinked(t *testing.T) {
	run(t, func(w *world) {
		ctx := context.Background()
		i, ada, bob := w.create(), w.person(), w.person()
		_, err := w.Who(ctx, i, "s-1")
		w.want(fault.NotFound, err, "before")
		l, err := w.Link(ctx, by, dbtest.Realm, i.ID, "s-1", ada)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := w.Who(ctx, i, "s-1"); err != nil || got.Principal != ada || got.ID != l.ID {
			t.Errorf("%+v %v", got, err)
		}
		if again, err := w.Link(ctx, by, dbtest.Realm, i.ID, "s-1", ada); err != nil || again.ID != l.ID {
			t.Errorf("again: %+v %v", again, err)
		}
		_, err = w.Link(ctx, by, dbtest.Realm, i.ID, "s-1", bob)
		w.want(fault.Conflict, err, "somebody else")
		for name, subject := range map[string]string{"empty": "", "long": strings.Repeat("x", 256), "a control character": "a\nb"} {
			_, err = w.Link(ctx, by, dbtest.Realm, i.ID, subject, ada)
			w.want(fault.Invalid, err, name)
		}
		_, err = w.Link(ctx, by, dbtest.Realm, "tis_00000000000000000000000000", "s-2", ada)
		w.want(fault.NotFound, err, "of no issuer")
		_, err = w.Link(ctx, by, dbtest.Realm, i.ID, "s-2", "usr_00000000000000000000000000")
		w.want(fault.NotFound, err, "with nobody")
		group, err := w.people.Create(ctx, by, dbtest.Realm, principal.New{Kind: principal.Group, Name: "engineering"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Link(ctx, by, dbtest.Realm, i.ID, "s-2", group.ID)
		w.want(fault.Invalid, err, "with a group")
		for range 2 { // also when it is gone
			found, err := w.LinkByID(ctx, dbtest.Realm, i.ID, l.ID)
			if err != nil || found.Principal != ada {
				t.Fatalf("%+v %v", found, err)
			}
			if err := w.Unlink(ctx, by, dbtest.Realm, found, w.end); err != nil {
				t.Fatal(err)
			}
		}
		_, err = w.Who(ctx, i, "s-1")
		w.want(fault.NotFound, err, "after unlinking")
		_, err = w.credentials.Live(ctx, dbtest.Realm, l.ID)
		w.want(fault.Forbidden, err, "its credential")
		if next, err := w.Link(ctx, by, dbtest.Realm, i.ID, "s-1", bob); err != nil || next.ID == l.ID {
			t.Errorf("linked anew: %+v %v", next, err)
		}
	})
}

// A link whose credential was revoked elsewhere is replaced, not revived.
func TestADeadLinkIsReplaced(t *testing.T) {
	run(t, func(w *world) {
		ctx := context.Background()
		i, ada := w.create(), w.person()
		l, err := w.Link(ctx, by, dbtest.Realm, i.ID, "s-1", ada)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Who(ctx, i, "s-1"); err != nil {
			t.Fatal(err)
		}
		if err := w.end(ctx, l.ID); err != nil {
			t.Fatal(err)
		}
		next, err := w.Link(ctx, by, dbtest.Realm, i.ID, "s-1", ada)
		if err != nil || next.ID == l.ID {
			t.Fatalf("%+v %v", next, err)
		}
		if got, err := w.Who(ctx, i, "s-1"); err != nil || got.ID != next.ID {
			t.Errorf("%+v %v", got, err)
		}
	})
}

// Deleting an issuer ends all its links, also when the first attempt got no
// further than the issuer's own death; deleting a principal erases what others
// call it.
func TestDeletionLeavesNoLink(t *testing.T) {
	run(t, func(w *world) {
		ctx := context.Background()
		i, ada := w.create(), w.person()
		var ids []string
		for n := range 3 {
			l, err := w.Link(ctx, by, dbtest.Realm, i.ID, fmt.Sprint("s-", n), ada)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, l.ID)
		}
		broken := fmt.Errorf("broken")
		if err := w.Delete(ctx, by, dbtest.Realm, i.ID, func(context.Context, string) error { return broken }); err != broken {
			t.Fatalf("got %v, want that it says so", err)
		}
		if err := w.Delete(ctx, by, dbtest.Realm, i.ID, w.end); err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			_, err := w.credentials.Live(ctx, dbtest.Realm, id)
			w.want(fault.Forbidden, err, "a credential of the issuer")
		}
		left, _, err := w.Links(ctx, dbtest.Realm, i.ID, "", 10)
		if err != nil || len(left) != 0 {
			t.Errorf("%v %v", left, err)
		}
		w.want(fault.NotFound, w.Delete(ctx, by, dbtest.Realm, "tis_00000000000000000000000000", w.end), "what never was")

		other := w.create()
		if _, err := w.Link(ctx, by, dbtest.Realm, other.ID, "ada@corp.example", ada); err != nil {
			t.Fatal(err)
		}
		if err := w.people.Delete(ctx, by, dbtest.Realm, ada); err != nil {
			t.Fatal(err)
		}
		if err := w.Erase(ctx, by, dbtest.Realm, ada); err != nil {
			t.Fatal(err)
		}
		_, err = w.Who(ctx, other, "ada@corp.example")
		w.want(fault.NotFound, err, "somebody who was deleted")
	})
}
