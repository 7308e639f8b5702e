package principal_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

type env struct {
	*audittest.Env
	dir  *principal.Directory
	hold *audittest.Hold
}

// run runs fn on every engine, and checks that the neighbour noticed nothing.
func run(t *testing.T, fn func(t *testing.T, e env)) {
	t.Helper()
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		dir := principal.NewDirectory(e.DB, e.Log)
		hold := e.Hold()
		e.Start(t)
		n, err := dir.Create(t.Context(), audittest.By, dbtest.Neighbour, principal.New{Kind: principal.Person, Name: "ada", Emails: []principal.Email{{Address: "ada@example.com"}}})
		if err != nil {
			t.Fatal(err)
		}
		fn(t, env{e, dir, hold})
		page, _, err := dir.List(context.Background(), dbtest.Neighbour, principal.Filter{}, "", 10)
		if err != nil || len(page) != 1 || page[0].ID != n.ID || page[0].Version != 1 || len(page[0].Emails) != 1 {
			t.Errorf("the neighbour noticed something: %+v, %v", page, err)
		}
		if events := e.Events(t, dbtest.Neighbour); len(events) != 1 {
			t.Errorf("the neighbour's log holds %v", events)
		}
	})
}

func (e env) person(t *testing.T, name string, emails ...string) *principal.Principal {
	t.Helper()
	n := principal.New{Kind: principal.Person, Name: name}
	for _, a := range emails {
		n.Emails = append(n.Emails, principal.Email{Address: a})
	}
	return e.create(t, n)
}

func (e env) create(t *testing.T, n principal.New) *principal.Principal {
	t.Helper()
	e.Clock.Advance(time.Millisecond) // ids sort by time
	p, err := e.dir.Create(t.Context(), audittest.By, dbtest.Realm, n)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAPersonIsFoundByEveryNameHoweverWritten(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "Ada", "Ada.Lovelace@Example.com", "al@example.org")
		e.person(t, "grace", "grace@example.com")
		for _, name := range []string{"ada", "ADA", " ada ", "ａｄａ", "ada.lovelace@example.com", "ADA.LOVELACE@EXAMPLE.COM", "al@EXAMPLE.org"} {
			p, err := e.dir.ByIdentifier(t.Context(), dbtest.Realm, name)
			if err != nil || p.ID != ada.ID {
				t.Errorf("ByIdentifier(%q) = %v, %v", name, p, err)
			}
		}
		for _, name := range []string{"", "ad", "nobody", "lovelace@example.com", strings.Repeat("a", 400)} {
			if _, err := e.dir.ByIdentifier(t.Context(), dbtest.Realm, name); !fault.Is(err, fault.NotFound) {
				t.Errorf("ByIdentifier(%q) = %v, want not found", name, err)
			}
		}
		if got := ada.Email(); got.Address != "Ada.Lovelace@Example.com" || got.Verified {
			t.Errorf("primary address = %+v", got)
		}
	})
}

func TestNamesAndAddressesAreUnique(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		e.person(t, "ada", "ada@example.com")
		for _, n := range []principal.New{
			{Kind: principal.Person, Name: "ADA"},
			{Kind: principal.Person, Name: "ａｄａ"},
			{Kind: principal.Person, Name: "eve", Emails: []principal.Email{{Address: "ADA@EXAMPLE.COM"}}},
			{Kind: principal.Person, Emails: []principal.Email{{Address: "new@example.com"}, {Address: "Ada@example.com"}}},
			{Kind: principal.Person, Emails: []principal.Email{{Address: "new@example.com"}, {Address: "NEW@example.com"}}},
		} {
			if _, err := e.dir.Create(t.Context(), audittest.By, dbtest.Realm, n); !fault.Is(err, fault.Conflict) {
				t.Errorf("Create(%+v) = %v, want conflict", n, err)
			}
		}
		if _, err := e.dir.ByIdentifier(t.Context(), dbtest.Realm, "new@example.com"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a refused creation left an address behind: %v", err)
		}
		// Another kind is another space.
		e.create(t, principal.New{Kind: principal.Service, Name: "ada"})
		e.create(t, principal.New{Kind: principal.Group, Name: "ada"})
		if _, err := e.dir.Create(t.Context(), audittest.By, dbtest.Realm, principal.New{Kind: principal.Group, Name: "Ada"}); !fault.Is(err, fault.Conflict) {
			t.Errorf("second group = %v, want conflict", err)
		}
	})
}

func TestNamesThatDeceiveAreRefused(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		for why, n := range map[string]principal.New{
			"somebody's address as username": {Name: "victim@example.com"},
			"full-width at sign":             {Name: "victim＠example.com"},
			"space":                          {Name: "ad a"},
			"no-break space":                 {Name: "ad\u00a0a"},
			"zero width space":               {Name: "ad\u200ba"},
			"zero width joiner":              {Name: "ad\u200da"},
			"direction override":             {Name: "\u202eada"},
			"control":                        {Name: "ada\x00"},
			"line break":                     {Name: "ada\n"},
			"cyrillic a among latin":         {Name: "\u0430dmin"},
			"greek o among latin":            {Name: "r\u03bfot"},
			"not UTF-8":                      {Name: "ad\xffa"},
			"begins with a dot":              {Name: ".ada"},
			"nobody":                         {},
			"too long":                       {Name: strings.Repeat("a", 65)},
			"address without domain":         {Emails: []principal.Email{{Address: "ada"}}},
			"two at signs":                   {Emails: []principal.Email{{Address: "a@b@example.com"}}},
			"quoted local part":              {Emails: []principal.Email{{Address: `"a b"@example.com`}}},
			"space in address":               {Emails: []principal.Email{{Address: "a b@example.com"}}},
			"header in address":              {Emails: []principal.Email{{Address: "a@example.com\r\nBcc: b@example.com"}}},
			"double dot":                     {Emails: []principal.Email{{Address: "a..b@example.com"}}},
			"display name that hides":        {Name: "ada", DisplayName: "Ada\u2028Lovelace"},
			"locale":                         {Name: "ada", Locale: "not a locale"},
			"script in picture":              {Name: "ada", Profile: principal.Profile{Picture: "javascript:alert(1)"}},
			"birthdate":                      {Name: "ada", Profile: principal.Profile{Birthdate: "10.12.1815"}},
			"phone":                          {Name: "ada", Profile: principal.Profile{PhoneNumber: "call me"}},
			"owner that there is not":        {Name: "ada", Owner: "usr_00000000000000000000000000"},
		} {
			n.Kind = principal.Person
			if p, err := e.dir.Create(t.Context(), audittest.By, dbtest.Realm, n); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: Create = %v, %v; want it refused", why, p, err)
			}
		}
		for _, name := range []string{"ada", "ada.b-c_d+e", "анна", "Ζωή", "山田太郎", "나라", "josé", "李Tom", "9lives"} {
			e.person(t, name)
		}
	})
}

func TestDeletedIsGoneAndTheIDStaysTaken(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		group := e.create(t, principal.New{Kind: principal.Group, Name: "staff"})
		first := e.create(t, principal.New{Kind: principal.Person, Name: "ada", DisplayName: "Ada L", Emails: []principal.Email{{Address: "ada@example.com"}}, Profile: principal.Profile{GivenName: "Ada"}})
		if err := e.dir.AddMember(t.Context(), audittest.By, dbtest.Realm, group.ID, first.ID, ""); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time finds the work done
			if err := e.dir.Delete(t.Context(), audittest.By, dbtest.Realm, first.ID); err != nil {
				t.Fatal(err)
			}
		}
		tomb, err := e.dir.ByID(t.Context(), dbtest.Realm, first.ID)
		if err != nil || tomb.State != principal.Deleted || tomb.Name != "" || tomb.DisplayName != "" || len(tomb.Emails) != 0 || tomb.Profile != (principal.Profile{}) {
			t.Errorf("tombstone = %+v, %v; want no personal data", tomb, err)
		}
		members, _, err := e.dir.Members(t.Context(), dbtest.Realm, group.ID, "", 10)
		if err != nil || len(members) != 0 {
			t.Errorf("members = %v, %v", members, err)
		}
		second := e.person(t, "ada", "ada@example.com")
		if second.ID == first.ID {
			t.Error("an id was given twice")
		}
		for name, err := range map[string]error{
			"Update": func() error {
				_, err := e.dir.Update(t.Context(), audittest.By, dbtest.Realm, first.ID, 0, principal.Change{})
				return err
			}(),
			"Suspend":  e.dir.Suspend(t.Context(), audittest.By, dbtest.Realm, first.ID, "test"),
			"Activate": e.dir.Activate(t.Context(), audittest.By, dbtest.Realm, first.ID),
			"AddEmail": e.dir.AddEmail(t.Context(), audittest.By, dbtest.Realm, first.ID, "new@example.com", false),
		} {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%s of a tombstone = %v, want not found", name, err)
			}
		}
		if got := slices.Sorted(slices.Values(e.Events(t, dbtest.Realm))); !slices.Equal(got, []string{"principal.create", "principal.create", "principal.create", "principal.delete", "principal.member.add"}) {
			t.Errorf("events = %v", got)
		}
	})
}

func TestOneOfManyGetsTheAddress(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		nodes := []*principal.Directory{e.dir, e.dir}
		if e.DB.Engine() == db.Postgres {
			other := e.Node(t)
			nodes[1] = principal.NewDirectory(other.DB, other.Log)
			other.Start(t)
		}
		var won, lost atomic.Int32
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				_, err := nodes[i%2].Create(t.Context(), audittest.By, dbtest.Realm, principal.New{Kind: principal.Person,
					Name: fmt.Sprintf("ada%d", i), Emails: []principal.Email{{Address: "Ada@Example.com"}}})
				switch {
				case err == nil:
					won.Add(1)
				case fault.Is(err, fault.Conflict):
					lost.Add(1)
				default:
					t.Errorf("Create = %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || lost.Load() != 63 {
			t.Errorf("%d won and %d lost, want 1 and 63", won.Load(), lost.Load())
		}
		page, _, err := e.dir.List(t.Context(), dbtest.Realm, principal.Filter{}, "", 100)
		if err != nil || len(page) != 1 {
			t.Errorf("%d people, %v; want one whole one", len(page), err)
		}
	})
}

func TestUpdateExpectsAVersion(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada", "ada@example.com")
		name, display := "countess", "Ada, Countess of Lovelace"
		got, err := e.dir.Update(t.Context(), audittest.By, dbtest.Realm, ada.ID, ada.Version, principal.Change{Name: &name, DisplayName: &display})
		if err != nil || got.Name != name || got.DisplayName != display || got.Version != 2 || len(got.Emails) != 1 {
			t.Fatalf("Update = %+v, %v", got, err)
		}
		if _, err := e.dir.Update(t.Context(), audittest.By, dbtest.Realm, ada.ID, ada.Version, principal.Change{Name: &name}); !fault.Is(err, fault.Precondition) {
			t.Errorf("Update of an old version = %v, want precondition", err)
		}
		if _, err := e.dir.ByIdentifier(t.Context(), dbtest.Realm, "ada"); !fault.Is(err, fault.NotFound) {
			t.Errorf("the old name still finds somebody: %v", err)
		}
		e.person(t, "ada")
		taken := "ADA"
		if _, err := e.dir.Update(t.Context(), audittest.By, dbtest.Realm, ada.ID, 0, principal.Change{Name: &taken}); !fault.Is(err, fault.Conflict) {
			t.Errorf("renaming to a taken name = %v, want conflict", err)
		}
		upper := "COUNTESS" // one's own name in another spelling
		if _, err := e.dir.Update(t.Context(), audittest.By, dbtest.Realm, ada.ID, 0, principal.Change{Name: &upper}); err != nil {
			t.Errorf("respelling one's own name = %v", err)
		}
	})
}

func TestEmails(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "", "ada@example.com")
		do := func(what string, err error, want string) {
			t.Helper()
			if fault.Code(err) != want || want == "" && err != nil {
				t.Errorf("%s = %v, want %q", what, err, want)
			}
		}
		by, r := audittest.By, dbtest.Realm
		do("remove the only one", e.dir.RemoveEmail(t.Context(), by, r, ada.ID, "ada@example.com"), "email_needed")
		do("add", e.dir.AddEmail(t.Context(), by, r, ada.ID, "al@example.org", false), "")
		do("add again", e.dir.AddEmail(t.Context(), by, r, ada.ID, "AL@example.org", false), "email_taken")
		do("verify", e.dir.VerifyEmail(t.Context(), by, r, ada.ID, "AL@example.org"), "")
		do("verify another's", e.dir.VerifyEmail(t.Context(), by, r, ada.ID, "x@example.org"), "email_unknown")
		do("remove the primary", e.dir.RemoveEmail(t.Context(), by, r, ada.ID, "ada@example.com"), "email_primary")
		do("make primary", e.dir.SetPrimaryEmail(t.Context(), by, r, ada.ID, "al@EXAMPLE.org"), "")
		do("make an unknown one primary", e.dir.SetPrimaryEmail(t.Context(), by, r, ada.ID, "x@example.org"), "email_unknown")
		do("remove the old", e.dir.RemoveEmail(t.Context(), by, r, ada.ID, "ADA@example.com"), "")
		e.hold.Waits(t, "removing it again", func() error { return e.dir.RemoveEmail(t.Context(), by, r, ada.ID, "ada@example.com") })
		do("remove what is no address", e.dir.RemoveEmail(t.Context(), by, r, ada.ID, "ada"), "email_unknown")
		got, err := e.dir.Cached(t.Context(), r, ada.ID)
		want := []principal.Email{{Address: "al@example.org", Verified: true, Primary: true}}
		if err != nil || !slices.Equal(got.Emails, want) || got.Version != 5 {
			t.Errorf("after all: %+v, %v; want %v at version 5", got, err, want)
		}
	})
}

func TestFromMemoryUntilItChanges(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		if _, err := e.dir.Cached(t.Context(), dbtest.Realm, ada.ID); err != nil {
			t.Fatal(err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel() // a query would fail now
		if life, err := e.dir.Live(gone, dbtest.Realm, ada.ID); err != nil || life.Name != "ada" {
			t.Errorf("Live = %v, %v; want it from memory", life, err)
		}
		if err := e.dir.Suspend(t.Context(), audittest.By, dbtest.Realm, ada.ID, "test"); err != nil {
			t.Fatal(err)
		}
		if _, err := e.dir.Live(t.Context(), dbtest.Realm, ada.ID); !fault.Is(err, fault.Forbidden) {
			t.Errorf("Live after the suspension = %v, want forbidden", err)
		}
		if _, err := e.dir.Live(t.Context(), dbtest.Neighbour, ada.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("Live in another realm = %v, want not found", err)
		}
	})
}

func TestADeathOnOneNodeHoldsOnTheOther(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		other := e.Node(t)
		far := principal.NewDirectory(other.DB, other.Log)
		other.Start(t)
		ada := e.person(t, "ada")
		if _, err := far.Live(t.Context(), dbtest.Realm, ada.ID); err != nil {
			t.Fatal(err)
		}
		if err := e.dir.Suspend(t.Context(), audittest.By, dbtest.Realm, ada.ID, "test"); err != nil {
			t.Fatal(err)
		}
		if _, err := far.Live(t.Context(), dbtest.Realm, ada.ID); !fault.Is(err, fault.Forbidden) {
			t.Errorf("Live on the other node after the acknowledgement = %v, want forbidden", err)
		}
	})
}

func TestWhatDiesByTimeOrByItsOwner(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		soon := e.Clock.Now().Add(time.Hour)
		service := e.create(t, principal.New{Kind: principal.Service, Name: "billing", Owner: ada.ID, ExpiresAt: soon.Add(time.Hour)})
		agent := e.create(t, principal.New{Kind: principal.Agent, Name: "helper", Owner: service.ID, ExpiresAt: soon.Add(2 * time.Hour)})
		life, err := e.dir.Live(t.Context(), dbtest.Realm, agent.ID)
		if err != nil || !life.Until.Equal(soon.Add(time.Hour)) {
			t.Errorf("Live = until %v, %v; want the owner's end %v", life.Until, err, soon.Add(time.Hour))
		}
		if err := e.dir.Suspend(t.Context(), audittest.By, dbtest.Realm, ada.ID, "test"); err != nil {
			t.Fatal(err)
		}
		if _, err := e.dir.Live(t.Context(), dbtest.Realm, agent.ID); !fault.Is(err, fault.Forbidden) {
			t.Errorf("Live below a suspended owner = %v, want forbidden", err)
		}
		if err := e.dir.Activate(t.Context(), audittest.By, dbtest.Realm, ada.ID); err != nil {
			t.Fatal(err)
		}
		if now, err := e.dir.Live(t.Context(), dbtest.Realm, ada.ID); err != nil || now.Life != ada.Life+1 {
			t.Errorf("Live = %+v, %v; want a new life", now, err)
		}
		e.Clock.Advance(2*time.Hour + time.Millisecond)
		if _, err := e.dir.Live(t.Context(), dbtest.Realm, agent.ID); !fault.Is(err, fault.Forbidden) {
			t.Errorf("Live below an expired owner = %v, want forbidden", err)
		}
		err = e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error { _, err := principal.LiveTx(tx, agent.ID); return err })
		if !fault.Is(err, fault.Forbidden) {
			t.Errorf("LiveTx = %v, want forbidden", err)
		}
	})
}

func TestOwnersFormNoCircleAndNoLongChain(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		chain := []*principal.Principal{e.person(t, "top")}
		for i := range 8 {
			chain = append(chain, e.create(t, principal.New{Kind: principal.Service, Name: fmt.Sprintf("s%d", i), Owner: chain[i].ID}))
		}
		if _, err := e.dir.Live(t.Context(), dbtest.Realm, chain[8].ID); err != nil {
			t.Errorf("Live with 8 owners = %v", err)
		}
		_, err := e.dir.Create(t.Context(), audittest.By, dbtest.Realm, principal.New{Kind: principal.Service, Name: "ninth", Owner: chain[8].ID})
		if fault.Code(err) != "owner_invalid" {
			t.Errorf("a ninth owner = %v, want it refused", err)
		}
		own := func(p, owner *principal.Principal) error {
			_, err := e.dir.Update(t.Context(), audittest.By, dbtest.Realm, p.ID, 0, principal.Change{Owner: &owner.ID})
			return err
		}
		if err := own(chain[0], chain[4]); fault.Code(err) != "owner_invalid" {
			t.Errorf("a circle = %v, want it refused", err)
		}
		if err := own(chain[3], chain[3]); fault.Code(err) != "owner_invalid" {
			t.Errorf("owning oneself = %v, want it refused", err)
		}
		if err := own(chain[0], e.person(t, "above")); fault.Code(err) != "owner_invalid" {
			t.Errorf("a ninth link from above = %v, want it refused", err)
		}
		below, err := e.dir.OwnedBelow(t.Context(), dbtest.Realm, chain[5].ID)
		if err != nil || !slices.Equal(below, []string{chain[6].ID, chain[7].ID, chain[8].ID}) {
			t.Errorf("OwnedBelow = %v, %v", below, err)
		}
		if err := own(chain[8], chain[0]); err != nil {
			t.Errorf("a shorter chain = %v", err)
		}
	})
}

func TestGroupsFormNoCircle(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		var groups []*principal.Principal
		for i := range 34 {
			groups = append(groups, e.create(t, principal.New{Kind: principal.Group, Name: fmt.Sprintf("g%d", i)}))
		}
		put := func(in, member *principal.Principal) error {
			return e.dir.AddMember(t.Context(), audittest.By, dbtest.Realm, in.ID, member.ID, "")
		}
		for i := range 32 {
			if err := put(groups[i], groups[i+1]); err != nil {
				t.Fatalf("nesting %d: %v", i, err)
			}
		}
		for what, err := range map[string]error{
			"closing the circle":    put(groups[32], groups[0]),
			"into itself":           put(groups[5], groups[5]),
			"one level too deep":    put(groups[32], groups[33]),
			"one level above":       put(groups[33], groups[0]),
			"a person as container": put(e.person(t, "ada"), groups[33]),
			"an organization in it": put(groups[0], e.create(t, principal.New{Kind: principal.Organization, Name: "acme"})),
		} {
			if !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Invalid) {
				t.Errorf("%s = %v, want it refused", what, err)
			}
		}
		if err := put(groups[0], groups[20]); err != nil {
			t.Errorf("a second way down = %v, want it accepted", err)
		}
		if err := e.dir.RemoveMember(t.Context(), audittest.By, dbtest.Realm, groups[0].ID, groups[20].ID); err != nil {
			t.Error(err)
		}
		e.hold.Waits(t, "removing twice", func() error {
			return e.dir.RemoveMember(t.Context(), audittest.By, dbtest.Realm, groups[0].ID, groups[20].ID)
		})
		if err := e.dir.RemoveMember(t.Context(), audittest.By, dbtest.Realm, groups[0].ID, "usr_00000000000000000000000000"); !fault.Is(err, fault.NotFound) {
			t.Errorf("removing nobody = %v, want not found", err)
		}
	})
}

func TestTwoHalvesOfACircleRace(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		for round := range 8 {
			a := e.create(t, principal.New{Kind: principal.Group, Name: fmt.Sprintf("a%d", round)})
			b := e.create(t, principal.New{Kind: principal.Group, Name: fmt.Sprintf("b%d", round)})
			var won atomic.Int32
			var wg sync.WaitGroup
			for _, pair := range [][2]string{{a.ID, b.ID}, {b.ID, a.ID}} {
				wg.Go(func() {
					if err := e.dir.AddMember(t.Context(), audittest.By, dbtest.Realm, pair[0], pair[1], ""); err == nil {
						won.Add(1)
					} else if fault.Code(err) != "group_cycle" {
						t.Errorf("AddMember = %v", err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Errorf("%d halves of a circle were accepted, want 1", won.Load())
			}
		}
	})
}

func TestOrganizationsHaveMembers(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		acme := e.create(t, principal.New{Kind: principal.Organization, Name: "acme", DisplayName: "Acme Corporation"})
		ada, grace := e.person(t, "ada"), e.person(t, "grace")
		for _, m := range []struct{ id, relation string }{{ada.ID, "member"}, {grace.ID, ""}, {ada.ID, "admin"}, {ada.ID, "admin"}} {
			if err := e.dir.AddMember(t.Context(), audittest.By, dbtest.Realm, acme.ID, m.id, m.relation); err != nil {
				t.Fatal(err)
			}
		}
		first, next, err := e.dir.Members(t.Context(), dbtest.Realm, acme.ID, "", 1)
		if err != nil || len(first) != 1 || first[0].Member != ada.ID || first[0].Relation != "admin" || first[0].Kind != principal.Person || next != ada.ID {
			t.Errorf("first page = %+v, %q, %v", first, next, err)
		}
		rest, next, err := e.dir.Members(t.Context(), dbtest.Realm, acme.ID, next, 1)
		if err != nil || len(rest) != 1 || rest[0].Member != grace.ID || rest[0].Relation != "member" || next != "" {
			t.Errorf("second page = %+v, %q, %v", rest, next, err)
		}
		in, _, err := e.dir.Containers(t.Context(), dbtest.Realm, ada.ID, "", 10)
		if err != nil || len(in) != 1 || in[0].Container != acme.ID || in[0].Kind != principal.Organization {
			t.Errorf("Containers = %+v, %v", in, err)
		}
		if err := e.dir.AddMember(t.Context(), audittest.By, dbtest.Realm, acme.ID, ada.ID, "A B"); !fault.Is(err, fault.Invalid) {
			t.Errorf("a relation that is no word = %v, want it refused", err)
		}
		if n := len(e.Events(t, dbtest.Realm)); n != 6 {
			t.Errorf("%d events, want 6: saying the same again is no change", n)
		}
	})
}

func TestListFiltersAndPages(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.create(t, principal.New{Kind: principal.Person, Name: "ada", DisplayName: "Countess Lovelace", Emails: []principal.Email{{Address: "al@example.com"}}})
		grace := e.person(t, "grace", "hopper@example.org")
		dead := e.person(t, "dead")
		svc := e.create(t, principal.New{Kind: principal.Service, Name: "adapter", Owner: ada.ID})
		if err := e.dir.Delete(t.Context(), audittest.By, dbtest.Realm, dead.ID); err != nil {
			t.Fatal(err)
		}
		if err := e.dir.Suspend(t.Context(), audittest.By, dbtest.Realm, grace.ID, "test"); err != nil {
			t.Fatal(err)
		}
		for what, c := range map[string]struct {
			f    principal.Filter
			want []*principal.Principal
		}{
			"all":                       {principal.Filter{}, []*principal.Principal{ada, grace, svc}},
			"people":                    {principal.Filter{Kind: principal.Person}, []*principal.Principal{ada, grace}},
			"active people":             {principal.Filter{Kind: principal.Person, State: principal.Active}, []*principal.Principal{ada}},
			"deleted":                   {principal.Filter{State: principal.Deleted}, []*principal.Principal{dead}},
			"owned":                     {principal.Filter{Owner: ada.ID}, []*principal.Principal{svc}},
			"by name":                   {principal.Filter{Search: "ADA"}, []*principal.Principal{ada, svc}},
			"by name, of a kind":        {principal.Filter{Kind: principal.Service, Search: "ada"}, []*principal.Principal{svc}},
			"by display name":           {principal.Filter{Search: "countess l"}, []*principal.Principal{ada}},
			"by e-mail address":         {principal.Filter{Search: "Hopper@"}, []*principal.Principal{grace}},
			"wildcards mean themselves": {principal.Filter{Search: "%"}, nil},
			"quotes mean themselves":    {principal.Filter{Search: "' OR 1=1 --"}, nil},
		} {
			var got []string
			for after := ""; ; {
				page, next, err := e.dir.List(t.Context(), dbtest.Realm, c.f, after, 1)
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				for _, p := range page {
					got = append(got, p.ID)
				}
				if after = next; next == "" {
					break
				}
			}
			var want []string
			for _, p := range c.want {
				want = append(want, p.ID)
			}
			slices.Sort(want)
			if c.f.Search != "" {
				slices.Sort(got) // a search is in the order of what was found
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", what, got, want)
			}
		}
		for _, page := range []string{"x", "YWRh.usr_' OR 1=1 --", "YWRh", "enp6." + ada.ID, "." + ada.ID} {
			if _, _, err := e.dir.List(t.Context(), dbtest.Realm, principal.Filter{Search: "ada"}, page, 1); !fault.Is(err, fault.Invalid) {
				t.Errorf("a forged page %q of a search = %v, want invalid", page, err)
			}
		}
		if _, _, err := e.dir.List(t.Context(), dbtest.Realm, principal.Filter{}, "usr_' OR 1=1 --", 1); !fault.Is(err, fault.Invalid) {
			t.Errorf("a forged page = %v, want invalid", err)
		}
	})
}

func TestASearchFindsEachOnceHoweverManyNamesMatch(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		var want []string
		for i := range 230 { // more than one batch
			n := principal.New{Kind: principal.Person, Name: fmt.Sprintf("same%03d", i), DisplayName: "Same Name",
				Emails: []principal.Email{{Address: fmt.Sprintf("same%d@example.com", i)}, {Address: fmt.Sprintf("other%d@example.com", i)}}}
			if i%50 == 0 {
				n = principal.New{Kind: principal.Group, Name: fmt.Sprintf("Same %d", i)}
			}
			want = append(want, e.create(t, n).ID)
		}
		slices.Sort(want)
		e.person(t, "somebody.else")
		walk := func(f principal.Filter, limit int) (got []string) {
			t.Helper()
			for after := ""; ; {
				page, next, err := e.dir.List(t.Context(), dbtest.Realm, f, after, limit)
				if err != nil || len(page) > limit {
					t.Fatalf("a page of %d, %v", len(page), err)
				}
				for _, p := range page {
					got = append(got, p.ID)
				}
				if after = next; next == "" {
					slices.Sort(got)
					return got
				}
			}
		}
		for _, limit := range []int{7, 100, 500} {
			if got := walk(principal.Filter{Search: "SAME"}, limit); !slices.Equal(got, want) {
				t.Errorf("in pages of %d: %d found, want %d, each once", limit, len(got), len(want))
			}
		}
		if got := walk(principal.Filter{Search: "same", Kind: principal.Group}, 2); len(got) != 5 {
			t.Errorf("%d groups, want 5", len(got))
		}
		if got := walk(principal.Filter{Search: "same", State: principal.Suspended}, 2); len(got) != 0 {
			t.Errorf("%d suspended, want none", len(got))
		}
	})
}

func TestErasNeverReturn(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada, grace := e.person(t, "ada"), e.person(t, "grace")
		service := e.create(t, principal.New{Kind: principal.Service, Name: "billing", Owner: ada.ID})
		agent := e.create(t, principal.New{Kind: principal.Agent, Name: "helper", Owner: service.ID})
		seen := map[int64]string{}
		era := func(when string) {
			t.Helper()
			var inside int64
			live, err := e.dir.Live(t.Context(), dbtest.Realm, agent.ID)
			if err == nil {
				err = e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
					life, err := principal.LiveTx(tx, agent.ID)
					inside = life.Era
					return err
				})
			}
			if err != nil || inside != live.Era {
				t.Fatalf("%s: era %d in memory, %d in a transaction, %v", when, live.Era, inside, err)
			}
			if before, ok := seen[live.Era]; ok {
				t.Errorf("%s: the era of %q is back", when, before)
			}
			seen[live.Era] = when
		}
		do := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		pause := func(id string) {
			t.Helper()
			do(e.dir.Suspend(t.Context(), audittest.By, dbtest.Realm, id, "test"))
			do(e.dir.Activate(t.Context(), audittest.By, dbtest.Realm, id))
		}
		give := func(id, owner string) {
			t.Helper()
			_, err := e.dir.Update(t.Context(), audittest.By, dbtest.Realm, id, 0, principal.Change{Owner: &owner})
			do(err)
		}
		era("at first")
		pause(agent.ID)
		era("after its own suspension")
		pause(ada.ID)
		pause(ada.ID)
		era("after its owner's owner's suspensions")
		give(service.ID, grace.ID)
		era("with another owner")
		give(service.ID, ada.ID)
		era("with the old owner")
		give(service.ID, "")
		era("without owner")
		pause(service.ID)
		give(service.ID, grace.ID)
		era("with an owner again")
		name := "renamed"
		_, err := e.dir.Update(t.Context(), audittest.By, dbtest.Realm, agent.ID, 0, principal.Change{Name: &name})
		do(err)
		if life, err := e.dir.Live(t.Context(), dbtest.Realm, agent.ID); err != nil || seen[life.Era] != "with an owner again" {
			t.Errorf("a new name made a new era: %v", err)
		}
	})
}

// Whoever decides about access finds who is directly in some groups.
func TestWhoIsInsideIsAFact(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		staff, other := e.create(t, principal.New{Kind: principal.Group, Name: "staff"}), e.create(t, principal.New{Kind: principal.Group, Name: "other"})
		ada, bob := e.person(t, "ada"), e.person(t, "bob")
		for _, pair := range [][2]string{{staff.ID, ada.ID}, {staff.ID, bob.ID}, {other.ID, ada.ID}} {
			if err := e.dir.AddMember(t.Context(), audittest.By, dbtest.Realm, pair[0], pair[1], ""); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			ids         []string
			limit, want int
		}{{[]string{staff.ID}, 10, 2}, {[]string{staff.ID, other.ID}, 10, 3}, {[]string{staff.ID, other.ID}, 2, 2}, {nil, 10, 0}, {[]string{ada.ID}, 10, 0}} {
			err := e.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
				found, err := principal.InsideTx(tx, c.ids, c.limit)
				if len(found) != c.want {
					t.Errorf("inside %v: %+v, want %d", c.ids, found, c.want)
				}
				for _, f := range found {
					if len(f.In) != 1 || !slices.Contains(c.ids, f.In[0].Container) || f.In[0].Member != f.ID || f.Kind != principal.Person {
						t.Errorf("inside %v: %+v", c.ids, f)
					}
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
