package credential_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

const (
	right = "lantern quarry mild otter"
	wrong = "lantern quarry mild adder"
)

type env struct {
	*audittest.Env
	dir       *principal.Directory
	realms    *realm.Registry
	store     *credential.Store
	passwords *credential.Passwords
	passkeys  *credential.Passkeys
}

func newEnv(t *testing.T, e *audittest.Env) env {
	t.Helper()
	return newEnvWith(t, e, credential.PasswordOptions{Cheap: true})
}

func newEnvWith(t *testing.T, e *audittest.Env, o credential.PasswordOptions) env {
	t.Helper()
	realms, err := realm.NewRegistry(e.DB, e.Log, "https://id.example.com")
	if err != nil {
		t.Fatal(err)
	}
	box, err := secret.NewBox(make([]byte, secret.MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	n := env{Env: e, dir: principal.NewDirectory(e.DB, e.Log), realms: realms, store: credential.NewStore(e.DB, e.Log, box),
		passwords: credential.NewPasswords(e.DB, e.Log, realms, o)}
	n.passkeys = credential.NewPasskeys(e.DB, e.Log, realms, n.dir, n.store, once.New(e.DB, e.Log.Epoch), make([]byte, 32))
	e.Start(t)
	return n
}

// run runs fn on every engine beside a neighbour with the same person and
// password, who must notice nothing.
func run(t *testing.T, fn func(t *testing.T, e env)) {
	t.Helper()
	runWith(t, credential.PasswordOptions{Cheap: true}, fn)
}

func runWith(t *testing.T, o credential.PasswordOptions, fn func(t *testing.T, e env)) {
	t.Helper()
	audittest.Run(t, func(t *testing.T, a *audittest.Env) {
		e := newEnvWith(t, a, o)
		for _, name := range []string{dbtest.Realm, dbtest.Neighbour} {
			if _, err := e.realms.Create(t.Context(), audittest.By, realm.New{Name: name}); err != nil {
				t.Fatal(err)
			}
		}
		other := e.personIn(t, dbtest.Neighbour, "ada", right)
		fn(t, e)
		got, err := e.passwords.Check(context.Background(), audittest.By, dbtest.Neighbour, credential.Attempt{Identifier: "ada", Password: right})
		if err != nil || got.Outcome != credential.Right || got.Principal.ID != other {
			t.Errorf("the neighbour noticed something: %+v, %v", got, err)
		}
	})
}

func (e env) personIn(t *testing.T, realm, name, password string) string {
	t.Helper()
	p, err := e.dir.Create(t.Context(), audittest.By, realm, principal.New{Kind: principal.Person, Name: name, Emails: []principal.Email{{Address: name + "@example.com"}}})
	if err != nil {
		t.Fatal(err)
	}
	if password == "" {
		return p.ID
	}
	if _, err := e.passwords.Set(t.Context(), audittest.By, realm, p.ID, secret.Text(password)); err != nil {
		t.Fatal(err)
	}
	return p.ID
}

func (e env) person(t *testing.T, name string) string {
	t.Helper()
	return e.personIn(t, dbtest.Realm, name, right)
}

// check tries a password, again while the machine is busy.
func (e env) check(t *testing.T, a credential.Attempt) credential.Result {
	t.Helper()
	for {
		r, err := e.passwords.Check(t.Context(), audittest.By, dbtest.Realm, a)
		if err == nil {
			return r
		}
		if !fault.Is(err, fault.TooMany) && !fault.Is(err, fault.Unavailable) || t.Context().Err() != nil {
			t.Errorf("Check = %v", err)
			return r
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (e env) expect(t *testing.T, what string, a credential.Attempt, want credential.Outcome) credential.Result {
	t.Helper()
	got := e.check(t, a)
	if got.Outcome != want {
		t.Errorf("%s: outcome %d, want %d", what, got.Outcome, want)
	}
	return got
}

// stored reads what is kept of a credential, as somebody with the database would.
func (e env) stored(t *testing.T, id string) (data string) {
	t.Helper()
	err := e.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
		data, err = db.One(tx, db.Scalar[string], `SELECT data FROM credentials WHERE realm = $1 AND id = $2`, tx.Realm, id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTheRightPasswordOpensAndNoOther(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		e.personIn(t, dbtest.Realm, "keyless", "")
		suspended := e.person(t, "suspended")
		if err := e.dir.Suspend(t.Context(), audittest.By, dbtest.Realm, suspended, "test"); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"ada", " ADA", "Ada@Example.COM"} {
			got := e.expect(t, name, credential.Attempt{Identifier: name, Password: right}, credential.Right)
			if got.Principal == nil || got.Principal.ID != ada || got.Credential == "" || got.MustChange {
				t.Errorf("%s: %+v", name, got)
			}
		}
		e.expect(t, "by id", credential.Attempt{Principal: ada, Password: right}, credential.Right)
		for what, a := range map[string]credential.Attempt{
			"wrong":           {Identifier: "ada", Password: wrong},
			"empty":           {Identifier: "ada"},
			"in capitals":     {Identifier: "ada", Password: secret.Text(strings.ToUpper(right))},
			"with a space":    {Identifier: "ada", Password: right + " "},
			"nobody":          {Identifier: "nobody", Password: right},
			"without any":     {Identifier: "keyless", Password: right},
			"suspended":       {Identifier: "suspended", Password: right},
			"an id as a name": {Identifier: ada, Password: right},
			"no id":           {Principal: "usr_00000000000000000000000000", Password: right},
		} {
			got := e.expect(t, what, a, credential.Wrong)
			if got.Principal != nil || got.Credential != "" {
				t.Errorf("%s: the result says who it is: %+v", what, got)
			}
		}
	})
}

func TestPasswordsAreKeptAsArgon2id(t *testing.T) {
	runWith(t, credential.PasswordOptions{}, func(t *testing.T, e env) {
		e.person(t, "ada")
		e.person(t, "grace")
		a := e.stored(t, e.check(t, credential.Attempt{Identifier: "ada", Password: right}).Credential)
		b := e.stored(t, e.check(t, credential.Attempt{Identifier: "grace", Password: right}).Credential)
		if !strings.HasPrefix(a, "$argon2id$v=19$m=19456,t=2,p=1$") || len(strings.Split(a, "$")[4]) != 22 {
			t.Errorf("kept as %s", a)
		}
		if a == b {
			t.Error("two people with one password have one hash: no salt")
		}
	})
}

func TestImportedHashesAreUpgradedAtSignIn(t *testing.T) {
	b, err := bcrypt.GenerateFromPassword([]byte(right), 5)
	if err != nil {
		t.Fatal(err)
	}
	for name, phc := range map[string]string{
		"bcrypt":   string(b),
		"bcrypt2y": "$2y$" + string(b[4:]),
		// Made with Python's hashlib from the same password.
		"scrypt": scryptSample,
		"pbkdf2": pbkdf2Sample,
		"argon":  argonSample,
	} {
		t.Run(name, func(t *testing.T) {
			runWith(t, credential.PasswordOptions{}, func(t *testing.T, e env) {
				ada := e.personIn(t, dbtest.Realm, "ada", "")
				if _, err := e.passwords.Import(t.Context(), audittest.By, dbtest.Realm, ada, phc); err != nil {
					t.Fatal(err)
				}
				e.expect(t, "wrong", credential.Attempt{Identifier: "ada", Password: wrong}, credential.Wrong)
				got := e.expect(t, "right", credential.Attempt{Identifier: "ada", Password: right}, credential.Right)
				if kept := e.stored(t, got.Credential); !strings.HasPrefix(kept, "$argon2id$v=19$m=19456,t=2,p=1$") {
					t.Errorf("after signing in it is kept as %.40s…", kept)
				}
				e.expect(t, "right again", credential.Attempt{Identifier: "ada", Password: right}, credential.Right)
				if events := e.Events(t, dbtest.Realm); !slices.Contains(events, "credential.rehash") {
					t.Errorf("events = %v", events)
				}
			})
		})
	}
}

func TestHashesThatExhaustAreNotTouched(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		id := e.check(t, credential.Attempt{Identifier: "ada", Password: right}).Credential
		tail := "$c29tZXNhbHRzb21lc2FsdA$" + strings.Repeat("A", 43)
		for _, bomb := range []string{
			"$argon2id$v=19$m=4194304,t=2,p=1" + tail,
			"$argon2id$v=19$m=19456,t=4294967295,p=1" + tail,
			"$argon2id$v=19$m=19456,t=2,p=0" + tail,
			"$argon2id$v=19$m=19456,t=2,p=255" + tail,
			"$argon2id$v=19$m=19456,m=19456,t=2,p=1" + tail,
			"$argon2i$v=19$m=19456,t=2,p=1" + tail,
			"$argon2id$v=19$m=19456,t=2,p=1$c29t$" + strings.Repeat("A", 43),
			"$scrypt$ln=30,r=8,p=1" + tail,
			"$scrypt$ln=14,r=1000000,p=1" + tail,
			"$pbkdf2-sha256$i=4000000000" + tail,
			"$pbkdf2-md5$i=1000" + tail,
			"$2a$31$" + strings.Repeat("a", 53),
			"$2a$05$short",
			"plain text", "", "$", "$$$$$", strings.Repeat("$", 1000),
		} {
			if _, err := e.passwords.Import(t.Context(), audittest.By, dbtest.Realm, ada, bomb); !fault.Is(err, fault.Invalid) {
				t.Errorf("Import(%.50s) = %v, want it refused", bomb, err)
			}
			err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
				_, err := tx.Exec(`UPDATE credentials SET data = $3 WHERE realm = $1 AND id = $2`, tx.Realm, id, bomb)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			e.Clock.Advance(time.Hour)
			e.expect(t, "with a bomb in the database", credential.Attempt{Identifier: "ada", Password: right}, credential.Wrong)
		}
	})
}

func TestLongAndComposedPasswords(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		long := strings.Repeat("lantern quarry ", 9)[:128]
		e.personIn(t, dbtest.Realm, "long", long)
		e.expect(t, "128 characters", credential.Attempt{Identifier: "long", Password: secret.Text(long)}, credential.Right)
		e.expect(t, "the 127th changed", credential.Attempt{Identifier: "long", Password: secret.Text(long[:126] + "X" + long[127:])}, credential.Wrong)
		for _, p := range []string{long + "x", strings.Repeat("x", 1<<20)} {
			_, err := e.passwords.Check(t.Context(), audittest.By, dbtest.Realm, credential.Attempt{Identifier: "long", Password: secret.Text(p)})
			if fault.Code(err) != "password_too_long" {
				t.Errorf("Check of %d bytes = %v, want password_too_long", len(p), err)
			}
		}
		e.personIn(t, dbtest.Realm, "composed", "caf\u00e9 du monde paris")
		e.expect(t, "decomposed", credential.Attempt{Identifier: "composed", Password: "cafe\u0301 du monde paris"}, credential.Right)
	})
}

// The limit holds because an attempt is reserved before it is evaluated: let
// Check call reserve behind hasher.run to see more than ten evaluated.
func TestExactlyTenOfManyGuessesAreEvaluated(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		spellings := []string{"ada", "ADA", "Ada ", "ada@example.com", "ADA@example.com", "ａｄａ", " ada", "Ada@Example.Com", "aDa", "adA@EXAMPLE.com"}
		var evaluated, limited atomic.Int32
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				a := credential.Attempt{Identifier: spellings[i%len(spellings)], Password: secret.Text(fmt.Sprintf("guess number %d of many", i))}
				switch e.check(t, a).Outcome {
				case credential.Wrong:
					evaluated.Add(1)
				case credential.Limited:
					limited.Add(1)
				default:
					t.Error("a guess opened the account")
				}
			})
		}
		wg.Wait()
		if evaluated.Load() != 10 || limited.Load() != 54 {
			t.Errorf("%d evaluated and %d limited, want 10 and 54", evaluated.Load(), limited.Load())
		}
		got := e.expect(t, "the right one as the eleventh", credential.Attempt{Identifier: "ada", Password: right}, credential.Limited)
		if got.RetryAfter <= 0 || got.RetryAfter > 15*time.Minute {
			t.Errorf("RetryAfter = %v", got.RetryAfter)
		}
		e.expect(t, "by id", credential.Attempt{Principal: ada, Password: right}, credential.Limited)
		e.Clock.Advance(15*time.Minute + time.Millisecond)
		e.expect(t, "after the window", credential.Attempt{Identifier: "ada", Password: right}, credential.Right)
	})
}

func TestTheWindowSlides(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		e.person(t, "ada")
		guess := credential.Attempt{Identifier: "ada", Password: wrong}
		for range 5 {
			e.expect(t, "early", guess, credential.Wrong)
		}
		e.Clock.Advance(14 * time.Minute)
		for range 5 {
			e.expect(t, "late", guess, credential.Wrong)
		}
		e.expect(t, "the eleventh", guess, credential.Limited)
		e.Clock.Advance(2 * time.Minute) // the early five no longer count
		for range 5 {
			e.expect(t, "again", guess, credential.Wrong)
		}
		e.expect(t, "the eleventh again", guess, credential.Limited)
		e.Clock.Advance(time.Hour)
		if n, err := e.passwords.Sweep(t.Context(), dbtest.Realm); err != nil || n != 1 {
			t.Errorf("Sweep = %d, %v; want 1", n, err)
		}
	})
}

func TestRightPasswordsAreNotCharged(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		e.person(t, "ada")
		for range 9 {
			e.expect(t, "wrong", credential.Attempt{Identifier: "ada", Password: wrong}, credential.Wrong)
		}
		for range 12 {
			e.expect(t, "right", credential.Attempt{Identifier: "ada", Password: right}, credential.Right)
		}
		e.expect(t, "the tenth wrong one", credential.Attempt{Identifier: "ada", Password: wrong}, credential.Wrong)
		e.expect(t, "a right one does not wipe the slate", credential.Attempt{Identifier: "ada", Password: right}, credential.Limited)
	})
}

func TestPeopleThatThereAreNotAreLimitedAlike(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		for i := range 10 {
			e.expect(t, "nobody", credential.Attempt{Identifier: []string{"nobody", "NOBODY "}[i%2], Password: wrong}, credential.Wrong)
		}
		e.expect(t, "nobody", credential.Attempt{Identifier: "Nobody", Password: wrong}, credential.Limited)
		e.expect(t, "nobody else", credential.Attempt{Identifier: "nobody2", Password: wrong}, credential.Wrong)
	})
}

func TestStrangersCannotLockOutAKnownBrowser(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		mark, err := e.passwords.Remember(t.Context(), dbtest.Realm, ada, "")
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			e.expect(t, "stranger", credential.Attempt{Identifier: "ada", Password: wrong}, credential.Wrong)
		}
		e.expect(t, "stranger", credential.Attempt{Identifier: "ada", Password: right}, credential.Limited)
		e.expect(t, "stranger with a mark of its own making", credential.Attempt{Identifier: "ada", Password: right, Browser: string(credential.NewBrowser())}, credential.Limited)
		e.expect(t, "stranger with rubbish", credential.Attempt{Identifier: "ada", Password: right, Browser: "rubbish"}, credential.Limited)
		e.expect(t, "the owner", credential.Attempt{Identifier: "ada", Password: right, Browser: string(mark)}, credential.Right)
		for range 10 {
			e.expect(t, "a stolen mark", credential.Attempt{Identifier: "ada", Password: wrong, Browser: string(mark)}, credential.Wrong)
		}
		e.expect(t, "a stolen mark", credential.Attempt{Identifier: "ada", Password: wrong, Browser: string(mark)}, credential.Limited)
		grace := e.person(t, "grace")
		for range 10 {
			e.expect(t, "another account", credential.Attempt{Principal: grace, Password: wrong, Browser: string(mark)}, credential.Wrong)
		}
		e.expect(t, "the mark is no free pass elsewhere", credential.Attempt{Principal: grace, Password: wrong}, credential.Limited)
	})
}

func TestAtMostTenBrowsersAreKnown(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		var marks []secret.Text
		for range 11 {
			e.Clock.Advance(time.Second)
			mark, err := e.passwords.Remember(t.Context(), dbtest.Realm, ada, "")
			if err != nil {
				t.Fatal(err)
			}
			marks = append(marks, mark)
		}
		for range 10 {
			e.expect(t, "stranger", credential.Attempt{Identifier: "ada", Password: wrong}, credential.Wrong)
		}
		e.expect(t, "the one not seen for longest", credential.Attempt{Identifier: "ada", Password: right, Browser: string(marks[0])}, credential.Limited)
		for i, mark := range marks[1:] {
			e.expect(t, fmt.Sprint("browser ", i+1), credential.Attempt{Identifier: "ada", Password: right, Browser: string(mark)}, credential.Right)
		}
	})
}

func TestTheLimitSurvivesARestartAndHoldsOnEveryNode(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		other := e.Node(t)
		far := newEnv(t, other)
		e.person(t, "ada")
		var evaluated atomic.Int32
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				if []env{e, far}[i%2].check(t, credential.Attempt{Identifier: "ada", Password: wrong}).Outcome == credential.Wrong {
					evaluated.Add(1)
				}
			})
		}
		wg.Wait()
		if evaluated.Load() != 10 {
			t.Errorf("%d guesses evaluated over two nodes, want 10", evaluated.Load())
		}
		third := newEnv(t, e.Node(t))
		third.expect(t, "a node started later", credential.Attempt{Identifier: "ada", Password: right}, credential.Limited)
	})
}

func TestChangeNeedsTheCurrentPassword(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		const next = "seven quiet harbours"
		got, err := e.passwords.Change(t.Context(), audittest.By, dbtest.Realm, ada, wrong, next, "")
		if err != nil || got.Outcome != credential.Wrong {
			t.Errorf("with a wrong one: %+v, %v", got, err)
		}
		e.expect(t, "the old one still", credential.Attempt{Identifier: "ada", Password: right}, credential.Right)
		if _, err := e.passwords.Change(t.Context(), audittest.By, dbtest.Realm, ada, right, right, ""); fault.Code(err) != "password_unchanged" {
			t.Errorf("to the same = %v", err)
		}
		got, err = e.passwords.Change(t.Context(), audittest.By, dbtest.Realm, ada, right, next, "")
		if err != nil || got.Outcome != credential.Right {
			t.Fatalf("with the right one: %+v, %v", got, err)
		}
		if _, err := e.store.Live(t.Context(), dbtest.Realm, got.Credential); !fault.Is(err, fault.Forbidden) {
			t.Errorf("the replaced credential lives: %v", err)
		}
		if kept := e.stored(t, got.Credential); kept != "" {
			t.Errorf("of the old password %q is kept", kept)
		}
		e.expect(t, "the old one", credential.Attempt{Identifier: "ada", Password: right}, credential.Wrong)
		e.expect(t, "the new one", credential.Attempt{Identifier: "ada", Password: next}, credential.Right)
	})
}

func TestOldPasswordsStayGoodAndCompromisedOnesMustChange(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		e.Clock.Advance(400 * 24 * time.Hour)
		if got := e.expect(t, "after 400 days", credential.Attempt{Identifier: "ada", Password: right}, credential.Right); got.MustChange {
			t.Error("a password was to be changed for its age")
		}
		for range 2 { // the second time finds it done
			if err := e.passwords.Compromised(t.Context(), audittest.By, dbtest.Realm, ada); err != nil {
				t.Fatal(err)
			}
		}
		if got := e.expect(t, "compromised", credential.Attempt{Identifier: "ada", Password: right}, credential.Right); !got.MustChange {
			t.Error("a compromised password need not be changed")
		}
		const next = "seven quiet harbours"
		if _, err := e.passwords.Change(t.Context(), audittest.By, dbtest.Realm, ada, right, next, ""); err != nil {
			t.Fatal(err)
		}
		if got := e.expect(t, "changed", credential.Attempt{Identifier: "ada", Password: next}, credential.Right); got.MustChange {
			t.Error("the new password must be changed too")
		}
	})
}

func TestContextWordsComeFromRealmOrganizationAndPerson(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		org, err := e.dir.Create(t.Context(), audittest.By, dbtest.Realm, principal.New{Kind: principal.Organization, Name: "Wayland Robotics"})
		if err != nil {
			t.Fatal(err)
		}
		ada := e.personIn(t, dbtest.Realm, "a.lovelace", "")
		if err := e.dir.AddMember(t.Context(), audittest.By, dbtest.Realm, org.ID, ada, ""); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"waylandrobotics2026", "Wayland2026Wayland", "lovelace-Lovelace-1", "example.com2026!", "neighbour-a.lovelace"} {
			_, err := e.passwords.Set(t.Context(), audittest.By, dbtest.Realm, ada, secret.Text(p))
			if p == "neighbour-a.lovelace" { // another realm's name says nothing here
				if err != nil {
					t.Errorf("Set(%q) = %v, want it accepted", p, err)
				}
				continue
			}
			if fault.Code(err) != "password_context" {
				t.Errorf("Set(%q) = %v, want password_context", p, err)
			}
		}
	})
}

func TestTooManySignInsAreShed(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		e.person(t, "ada")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := e.passwords.Check(gone, audittest.By, dbtest.Realm, credential.Attempt{Identifier: "ada", Password: right}); !errors.Is(err, context.Canceled) && !fault.Is(err, fault.Unavailable) {
			t.Errorf("Check for somebody who has gone = %v", err)
		}
		var shed, served atomic.Int32
		var wg sync.WaitGroup
		for i := range 300 {
			wg.Go(func() {
				_, err := e.passwords.Check(t.Context(), audittest.By, dbtest.Realm, credential.Attempt{Identifier: fmt.Sprintf("nobody%d", i), Password: wrong})
				var f *fault.Error
				switch {
				case err == nil:
					served.Add(1)
				case errors.As(err, &f) && (f.Kind == fault.TooMany || f.Kind == fault.Unavailable) && f.RetryAfter > 0:
					shed.Add(1)
				default:
					t.Errorf("Check = %v", err)
				}
			})
		}
		wg.Wait()
		if served.Load() == 0 || served.Load()+shed.Load() != 300 {
			t.Errorf("%d served and %d shed of 300", served.Load(), shed.Load())
		}
		e.expect(t, "afterwards", credential.Attempt{Identifier: "ada", Password: right}, credential.Right)
	})
}

// An alarm that is raised while somebody changes the password, which they had
// proved before, is not undone by that. Compare the credential's id alone to see
// it fail.
func TestAnAlarmStopsAChangeOnItsWay(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		if _, err := e.passwords.Set(t.Context(), audittest.By, dbtest.Realm, ada, "a long pass phrase of before"); err != nil {
			t.Fatal(err)
		}
		_, err := e.passwords.Replace(t.Context(), audittest.By, dbtest.Realm, credential.Change{Principal: ada, Current: "a long pass phrase of before",
			Next: "seven lanterns over the quiet harbour", Before: func(tx *db.Tx) error { return credential.CompromisedTx(tx, audittest.By, ada) }})
		if fault.Code(err) != "password_changed" {
			t.Errorf("Replace = %v", err)
		}
	})
}
