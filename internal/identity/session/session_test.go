package session_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

type env struct {
	*audittest.Env
	realms   *realm.Registry
	dir      *principal.Directory
	creds    *credential.Store
	sessions *session.Store
}

func newEnv(t *testing.T, e *audittest.Env) env {
	t.Helper()
	realms, err := realm.NewRegistry(e.DB, e.Log, "https://id.example.com")
	if err != nil {
		t.Fatal(err)
	}
	n := env{Env: e, realms: realms, dir: principal.NewDirectory(e.DB, e.Log), creds: credential.NewStore(e.DB, e.Log, nil)}
	n.sessions = session.NewStore(e.DB, e.Log, realms, n.dir, n.creds)
	e.Start(t)
	return n
}

// run runs fn on every engine beside a neighbour with a session of its own, who
// must notice nothing.
func run(t *testing.T, fn func(t *testing.T, e env)) {
	t.Helper()
	audittest.Run(t, func(t *testing.T, a *audittest.Env) {
		e := newEnv(t, a)
		for _, name := range []string{dbtest.Realm, dbtest.Neighbour} {
			if _, err := e.realms.Create(t.Context(), audittest.By, realm.New{Name: name, Settings: map[string]any{"session_absolute": "400d", "session_idle": "90d"}}); err != nil {
				t.Fatal(err)
			}
		}
		other := e.person(t, dbtest.Neighbour, "ada")
		b := e.begin(t, dbtest.Neighbour, other, "")
		if _, err := e.realms.Update(t.Context(), audittest.By, dbtest.Realm, 0, realm.Change{Settings: map[string]any{"session_absolute": nil, "session_idle": nil}}); err != nil {
			t.Fatal(err)
		}
		fn(t, e)
		if got, err := e.sessions.FromSecret(context.Background(), dbtest.Neighbour, string(b.Secret)); err != nil || got.ID != b.ID {
			t.Errorf("the neighbour noticed something: %v", err)
		}
	})
}

// who is a person with a password.
type who struct{ id, password string }

func (e env) person(t *testing.T, realm, name string) who {
	t.Helper()
	p, err := e.dir.Create(t.Context(), audittest.By, realm, principal.New{Kind: principal.Person, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	// What the credential proves is no matter here; a client secret costs no hash.
	c, _, err := e.creds.AddSecret(t.Context(), audittest.By, realm, p.ID, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	return who{p.ID, c.ID}
}

func (e env) begin(t *testing.T, realm string, w who, browser string) session.Begun {
	t.Helper()
	b, err := e.sessions.Begin(t.Context(), audittest.By, realm, session.New{Principal: w.id, Credential: w.password, ACR: "1", AMR: []string{"pwd"},
		Browser: browser, IP: "192.0.2.7", UserAgent: "Mozilla/5.0"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (e env) expectDead(t *testing.T, what string, b session.Begun) {
	t.Helper()
	if got, err := e.sessions.FromSecret(t.Context(), dbtest.Realm, string(b.Secret)); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("%s: FromSecret = %+v, %v; want it dead", what, got, err)
	}
	err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error { _, err := session.LiveTx(tx, b.ID); return err })
	if !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("%s: LiveTx = %v, want it dead", what, err)
	}
	all, err := e.sessions.FromCookie(t.Context(), dbtest.Realm, string(b.Secret))
	if err != nil || len(all) != 0 {
		t.Errorf("%s: FromCookie = %v, %v; want nobody", what, all, err)
	}
}

func (e env) expectLive(t *testing.T, what string, b session.Begun) *session.Session {
	t.Helper()
	got, err := e.sessions.FromSecret(t.Context(), dbtest.Realm, string(b.Secret))
	if err != nil || got.ID != b.ID {
		t.Fatalf("%s: FromSecret = %+v, %v; want it alive", what, got, err)
	}
	return got
}

func TestASecretOpensItsSessionOnly(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada, grace := e.person(t, dbtest.Realm, "ada"), e.person(t, dbtest.Realm, "grace")
		a, b := e.begin(t, dbtest.Realm, ada, ""), e.begin(t, dbtest.Realm, grace, "")
		got := e.expectLive(t, "ada", a)
		if got.Principal != ada.id || !got.AuthTime.Equal(e.Clock.Now()) || got.ACR != "1" || !slices.Equal(got.AMR, []string{"pwd"}) || got.IP != "192.0.2.7" {
			t.Errorf("session = %+v", got)
		}
		if got := e.expectLive(t, "grace", b); got.Principal != grace.id {
			t.Errorf("session = %+v", got)
		}
		if _, err := e.sessions.FromSecret(t.Context(), dbtest.Neighbour, string(a.Secret)); !fault.Is(err, fault.NotFound) {
			t.Errorf("in another realm = %v, want not found", err)
		}
		var kept int
		err := e.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
			kept, err = db.One(tx, db.Scalar[int], `SELECT count(*) FROM sessions WHERE realm = $1 AND secret_hash = $2`, tx.Realm, []byte(a.Secret))
			return err
		})
		if err != nil || kept != 0 {
			t.Errorf("the secret itself is in the database (%d, %v)", kept, err)
		}
	})
}

func TestCookies(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		var secrets, ids []string
		for i := range 6 {
			b := e.begin(t, dbtest.Realm, e.person(t, dbtest.Realm, fmt.Sprintf("person%d", i)), "")
			secrets, ids = append(secrets, string(b.Secret)), append(ids, b.ID)
		}
		invented := string(secret.New(session.SecretPrefix))
		wrong := []byte(secrets[0])
		wrong[20] ^= 1
		for what, c := range map[string]struct {
			cookie string
			want   []string
		}{
			"one":                {secrets[0], ids[:1]},
			"three in order":     {strings.Join([]string{secrets[2], secrets[0], secrets[1]}, "."), []string{ids[2], ids[0], ids[1]}},
			"the sixth is not":   {strings.Join(secrets, "."), ids[:5]},
			"one twice":          {secrets[1] + "." + secrets[1], ids[1:2]},
			"rubbish beside":     {"x." + secrets[1] + "..", ids[1:2]},
			"never given out":    {invented, nil},
			"invented beside":    {invented + "." + secrets[3], ids[3:4]},
			"one bit wrong":      {string(wrong), nil},
			"cut off":            {secrets[0][:len(secrets[0])-1], nil},
			"empty":              {"", nil},
			"dots":               {strings.Repeat(".", 10_000), nil},
			"oversized":          {strings.Repeat("A", 1<<20), nil},
			"the hash":           {string(secret.Hash(secrets[0])), nil},
			"an id":              {ids[0], nil},
			"a client secret":    {string(secret.New(credential.SecretPrefix)), nil},
			"null":               {"\x00" + secrets[0], nil},
			"another separator":  {secrets[0] + "," + secrets[1], nil},
			"whitespace beside":  {" " + secrets[0], nil},
			"the prefix doubled": {session.SecretPrefix + secrets[0], nil},
		} {
			all, err := e.sessions.FromCookie(t.Context(), dbtest.Realm, c.cookie)
			var got []string
			for _, s := range all {
				got = append(got, s.ID)
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, %v; want %v", what, got, err, c.want)
			}
		}
	})
}

func TestASignedInBrowserCostsNoQuery(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		b := e.begin(t, dbtest.Realm, e.person(t, dbtest.Realm, "ada"), "")
		e.expectLive(t, "first", b)
		gone, cancel := context.WithCancel(t.Context())
		cancel() // a query would fail now
		all, err := e.sessions.FromCookie(gone, dbtest.Realm, string(b.Secret))
		if err != nil || len(all) != 1 {
			t.Errorf("FromCookie = %v, %v; want it from memory", all, err)
		}
	})
}

func TestEndedMeansEnded(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, dbtest.Realm, "ada")
		a, other := e.begin(t, dbtest.Realm, ada, ""), e.begin(t, dbtest.Realm, ada, "")
		e.expectLive(t, "before", a)
		for range 2 { // the second time finds it done
			if err := e.sessions.End(t.Context(), audittest.By, dbtest.Realm, a.ID, "sign-out"); err != nil {
				t.Fatal(err)
			}
		}
		e.expectDead(t, "ended", a)
		e.expectLive(t, "the other", other)
		got, err := e.sessions.ByID(t.Context(), dbtest.Realm, a.ID)
		if err != nil || got.Reason != "sign-out" || !got.EndedAt.Equal(e.Clock.Now()) {
			t.Errorf("ByID = %+v, %v", got, err)
		}
		if err := e.sessions.End(t.Context(), audittest.By, dbtest.Realm, "ses_00000000000000000000000000", ""); !fault.Is(err, fault.NotFound) {
			t.Errorf("End of nothing = %v, want not found", err)
		}
		if err := e.sessions.End(t.Context(), audittest.By, dbtest.Neighbour, other.ID, ""); !fault.Is(err, fault.NotFound) {
			t.Errorf("End from another realm = %v, want not found", err)
		}
	})
}

func TestSignOutEverywhere(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada, grace := e.person(t, dbtest.Realm, "ada"), e.person(t, dbtest.Realm, "grace")
		var all []session.Begun
		for range 4 {
			b := e.begin(t, dbtest.Realm, ada, "")
			e.expectLive(t, "before", b)
			all = append(all, b)
		}
		hers := e.begin(t, dbtest.Realm, grace, "")
		ended, err := e.sessions.EndAll(t.Context(), audittest.By, dbtest.Realm, ada.id, all[0].ID, "elsewhere")
		if err != nil || len(ended) != 3 || slices.Contains(ended, all[0].ID) {
			t.Errorf("EndAll = %v, %v", ended, err)
		}
		e.expectLive(t, "the exception", all[0])
		for _, b := range all[1:] {
			e.expectDead(t, "ended", b)
		}
		born, err := e.sessions.EndBorn(t.Context(), audittest.By, dbtest.Realm, ada.password, "credential revoked")
		if err != nil || !slices.Equal(born, []string{all[0].ID}) {
			t.Errorf("EndBorn = %v, %v", born, err)
		}
		e.expectDead(t, "born of the credential", all[0])
		e.expectLive(t, "somebody else", hers)
		ended, err = e.sessions.EndAll(t.Context(), audittest.By, dbtest.Realm, ada.id, "", "elsewhere")
		if err != nil || len(ended) != 0 {
			t.Errorf("EndAll again = %v, %v", ended, err)
		}
	})
}

func TestMoreSessionsThanOneTransactionEnds(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, dbtest.Realm, "ada")
		for range 205 {
			e.begin(t, dbtest.Realm, ada, "")
		}
		ended, err := e.sessions.EndAll(t.Context(), audittest.By, dbtest.Realm, ada.id, "", "test")
		slices.Sort(ended)
		if err != nil || len(slices.Compact(ended)) != 205 {
			t.Errorf("EndAll ended %d, %v; want 205", len(ended), err)
		}
	})
}

func TestIdleAndAbsoluteEndsHoldAtUse(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		b := e.begin(t, dbtest.Realm, e.person(t, dbtest.Realm, "ada"), "")
		idle := e.begin(t, dbtest.Realm, e.person(t, dbtest.Realm, "grace"), "")
		for hours := 11; hours < 30*24; hours += 11 {
			e.Clock.Advance(11 * time.Hour)
			got := e.expectLive(t, fmt.Sprintf("used after %d hours", hours), b)
			if !got.LastSeenAt.Equal(e.Clock.Now()) {
				t.Fatalf("last seen %v, want %v", got.LastSeenAt, e.Clock.Now())
			}
		}
		e.expectDead(t, "unused for days", idle)
		e.Clock.Advance(11 * time.Hour)
		e.expectDead(t, "after 30 days", b)
	})
}

func TestIdleToTheMillisecond(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, dbtest.Realm, "ada")
		b := e.begin(t, dbtest.Realm, ada, "")
		e.Clock.Advance(12*time.Hour - time.Millisecond)
		e.expectLive(t, "just in time", b)
		e.Clock.Advance(12 * time.Hour)
		e.expectDead(t, "one idle time later", b)
		if err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error { _, err := session.LiveTx(tx, b.ID); return err }); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("LiveTx = %v, want dead", err)
		}
	})
}

func TestUseIsWrittenAtMostOnceAMinute(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		b := e.begin(t, dbtest.Realm, e.person(t, dbtest.Realm, "ada"), "")
		begun := e.Clock.Now()
		for range 59 {
			e.Clock.Advance(time.Second)
			if got := e.expectLive(t, "within the minute", b); !got.LastSeenAt.Equal(begun) {
				t.Fatalf("written after %v", e.Clock.Now().Sub(begun))
			}
		}
		e.Clock.Advance(time.Second)
		if got := e.expectLive(t, "after a minute", b); !got.LastSeenAt.Equal(begun.Add(time.Minute)) {
			t.Errorf("last seen %v, want %v", got.LastSeenAt, begun.Add(time.Minute))
		}
	})
}

func TestUseOnOneNodeKeepsTheSessionOnTheOther(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		far := newEnv(t, e.Node(t))
		b := e.begin(t, dbtest.Realm, e.person(t, dbtest.Realm, "ada"), "")
		far.expectLive(t, "remembered there", b)
		e.Clock.Advance(11 * time.Hour)
		e.expectLive(t, "used here", b)
		e.Clock.Advance(11 * time.Hour) // idle, as far as the other node remembers
		far.expectLive(t, "used there", b)
		if err := e.sessions.End(t.Context(), audittest.By, dbtest.Realm, b.ID, "test"); err != nil {
			t.Fatal(err)
		}
		far.expectDead(t, "ended here", b)
	})
}

func TestANewProofMeansANewSecret(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, dbtest.Realm, "ada")
		old := e.begin(t, dbtest.Realm, ada, "")
		e.expectLive(t, "before", old)
		e.Clock.Advance(time.Hour)
		fresh, err := e.sessions.Renew(t.Context(), audittest.By, dbtest.Realm, old.ID, session.Proof{Credential: ada.password, ACR: "2", AMR: []string{"pwd", "otp"}})
		if err != nil || fresh.ID != old.ID || fresh.Secret == old.Secret {
			t.Fatalf("Renew = %+v, %v", fresh, err)
		}
		got := e.expectLive(t, "after", fresh)
		if !got.AuthTime.Equal(e.Clock.Now()) || got.ACR != "2" || !got.ExpiresAt.Equal(old.ExpiresAt) {
			t.Errorf("session = %+v; want a new time of proof and the old end", got)
		}
		// The old secret is nobody's now, whether this node remembers it or not.
		if got, err := e.sessions.FromSecret(t.Context(), dbtest.Realm, string(old.Secret)); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("the old secret = %v, %v; want it dead", got, err)
		}
		grace := e.person(t, dbtest.Realm, "grace")
		if _, err := e.sessions.Renew(t.Context(), audittest.By, dbtest.Realm, old.ID, session.Proof{Credential: grace.password}); !fault.Is(err, fault.Forbidden) {
			t.Errorf("Renew with somebody else's credential = %v, want forbidden", err)
		}
		if err := e.sessions.End(t.Context(), audittest.By, dbtest.Realm, old.ID, "test"); err != nil {
			t.Fatal(err)
		}
		if _, err := e.sessions.Renew(t.Context(), audittest.By, dbtest.Realm, old.ID, session.Proof{Credential: ada.password}); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("Renew of the dead = %v, want unauthenticated", err)
		}
	})
}

func TestASessionDiesWithWhatItWasBornOf(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		for what, kill := range map[string]func(w who) error{
			"suspended": func(w who) error { return e.dir.Suspend(t.Context(), audittest.By, dbtest.Realm, w.id, "test") },
			"deleted":   func(w who) error { return e.dir.Delete(t.Context(), audittest.By, dbtest.Realm, w.id) },
			"revoked":   func(w who) error { return e.creds.Revoke(t.Context(), audittest.By, dbtest.Realm, w.password, "test") },
			"revived": func(w who) error {
				if err := e.dir.Suspend(t.Context(), audittest.By, dbtest.Realm, w.id, "test"); err != nil {
					return err
				}
				return e.dir.Activate(t.Context(), audittest.By, dbtest.Realm, w.id)
			},
			"expired": func(w who) error {
				now := e.Clock.Now()
				_, err := e.dir.Update(t.Context(), audittest.By, dbtest.Realm, w.id, 0, principal.Change{ExpiresAt: &now})
				return err
			},
		} {
			w := e.person(t, dbtest.Realm, what)
			b := e.begin(t, dbtest.Realm, w, "")
			e.expectLive(t, what, b)
			if err := kill(w); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			e.expectDead(t, what, b)
			if what == "revived" {
				e.expectLive(t, "a session of the new life", e.begin(t, dbtest.Realm, w, ""))
				continue
			}
			_, err := e.sessions.Begin(t.Context(), audittest.By, dbtest.Realm, session.New{Principal: w.id, Credential: w.password})
			if !fault.Is(err, fault.Forbidden) {
				t.Errorf("%s: Begin = %v, want forbidden", what, err)
			}
		}
	})
}

func TestASessionNeverOutlivesItsPrincipal(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, dbtest.Realm, "ada")
		end := e.Clock.Now().Add(time.Hour)
		if _, err := e.dir.Update(t.Context(), audittest.By, dbtest.Realm, ada.id, 0, principal.Change{ExpiresAt: &end}); err != nil {
			t.Fatal(err)
		}
		if b := e.begin(t, dbtest.Realm, ada, ""); !b.ExpiresAt.Equal(end) || !b.Until().Equal(end) {
			t.Errorf("ends at %v, want %v", b.ExpiresAt, end)
		}
	})
}

func TestBeginNeedsOnesOwnCredential(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada, grace := e.person(t, dbtest.Realm, "ada"), e.person(t, dbtest.Realm, "grace")
		foreign := e.person(t, dbtest.Neighbour, "eve")
		for what, n := range map[string]session.New{
			"another's":        {Principal: ada.id, Credential: grace.password},
			"another realm's":  {Principal: ada.id, Credential: foreign.password},
			"none":             {Principal: ada.id},
			"a foreign person": {Principal: foreign.id, Credential: ada.password},
		} {
			if _, err := e.sessions.Begin(t.Context(), audittest.By, dbtest.Realm, n); !fault.Is(err, fault.Forbidden) && !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: Begin = %v, want it refused", what, err)
			}
		}
	})
}

// Both sides are serializable: let Begin use UpdateRC to see sessions survive on
// PostgreSQL.
func TestBirthNeverRacesTheDeathOfThePrincipal(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		for round := range 12 {
			w := e.person(t, dbtest.Realm, fmt.Sprintf("person%d", round))
			var wg sync.WaitGroup
			start := make(chan struct{})
			for range 8 {
				wg.Go(func() {
					<-start
					for {
						_, err := e.sessions.Begin(t.Context(), audittest.By, dbtest.Realm, session.New{Principal: w.id, Credential: w.password})
						if fault.Is(err, fault.Forbidden) {
							return
						}
						if err != nil && !fault.Is(err, fault.Unavailable) {
							t.Errorf("Begin = %v", err)
							return
						}
					}
				})
			}
			close(start)
			if err := e.dir.Suspend(t.Context(), audittest.By, dbtest.Realm, w.id, "test"); err != nil {
				t.Error(err)
			}
			if _, err := e.sessions.EndAll(t.Context(), audittest.By, dbtest.Realm, w.id, "", "test"); err != nil {
				t.Error(err)
			}
			wg.Wait()
			if left, _, err := e.sessions.List(t.Context(), dbtest.Realm, session.Filter{Principal: w.id, Live: true}, "", 10); err != nil || len(left) != 0 {
				t.Fatalf("round %d: %d sessions survived, %v", round, len(left), err)
			}
		}
	})
}

// Take the call of doom out of the store to see births overtake the end.
func TestBirthsQueueBehindTheEndOfTheirSession(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		if e.DB.Engine() == db.SQLite {
			t.Skip("SQLite has one writer: births and deaths come one after the other")
		}
		b := e.begin(t, dbtest.Realm, e.person(t, dbtest.Realm, "ada"), "")
		birth := func(before func()) error {
			return e.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
				_, err := session.LiveTx(tx, b.ID)
				if err == nil {
					before()
				}
				return err
			})
		}
		born, finish := make(chan struct{}), make(chan struct{})
		first, ended, second := make(chan error, 1), make(chan error, 1), make(chan error, 1)
		go func() { first <- birth(func() { close(born); <-finish }) }()
		<-born
		go func() { ended <- e.sessions.End(t.Context(), audittest.By, dbtest.Realm, b.ID, "test") }()
		e.expectWaiting(t, 1)
		go func() { second <- birth(func() { t.Error("a birth overtook the end that was waiting") }) }()
		e.expectWaiting(t, 2)
		close(finish)
		if err := <-first; err != nil {
			t.Errorf("the birth that came before = %v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("the end = %v", err)
		}
		if err := <-second; !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("the birth that came behind = %v, want it refused", err)
		}
	})
}

// expectWaiting polls until so many transactions wait for an advisory lock.
func (e env) expectWaiting(t *testing.T, want int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 600 {
		var n int
		err := e.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
			n, err = db.One(tx, db.Scalar[int], `SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'
				AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if n == want {
			return
		}
		<-tick.C
	}
	t.Errorf("there are not %d waiting after 3 s", want)
}

func TestListPages(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada, grace := e.person(t, dbtest.Realm, "ada"), e.person(t, dbtest.Realm, "grace")
		var want []string
		for range 5 {
			e.Clock.Advance(time.Second)
			want = append(want, e.begin(t, dbtest.Realm, ada, "").ID)
		}
		e.begin(t, dbtest.Realm, grace, "")
		if err := e.sessions.End(t.Context(), audittest.By, dbtest.Realm, want[2], "test"); err != nil {
			t.Fatal(err)
		}
		slices.Reverse(want)
		read := func(f session.Filter) (got []string) {
			for after := ""; ; {
				page, next, err := e.sessions.List(t.Context(), dbtest.Realm, f, after, 2)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range page {
					got = append(got, s.ID)
				}
				if after = next; next == "" {
					return got
				}
			}
		}
		if got := read(session.Filter{Principal: ada.id}); !slices.Equal(got, want) {
			t.Errorf("listed %v, want %v", got, want)
		}
		if got := read(session.Filter{Principal: ada.id, Live: true}); !slices.Equal(got, slices.Delete(slices.Clone(want), 2, 3)) {
			t.Errorf("living: %v", got)
		}
		if got := read(session.Filter{}); len(got) != 6 {
			t.Errorf("all: %v", got)
		}
		if got := read(session.Filter{Live: true}); len(got) != 5 {
			t.Errorf("all living: %v", got)
		}
		e.Clock.Advance(31 * 24 * time.Hour)
		if got := read(session.Filter{Live: true}); len(got) != 0 {
			t.Errorf("after a month: %v", got)
		}
		if _, _, err := e.sessions.List(t.Context(), dbtest.Realm, session.Filter{}, "x' OR 1=1", 1); !fault.Is(err, fault.Invalid) {
			t.Errorf("a forged page = %v, want invalid", err)
		}
	})
}

func TestEventsOfASession(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		before := len(e.Events(t, dbtest.Realm))
		ada := e.person(t, dbtest.Realm, "ada")
		b := e.begin(t, dbtest.Realm, ada, string(credential.NewBrowser()))
		e.Clock.Advance(time.Hour)
		e.expectLive(t, "used", b)
		if err := e.sessions.End(t.Context(), audittest.By, dbtest.Realm, b.ID, "test"); err != nil {
			t.Fatal(err)
		}
		got := e.Events(t, dbtest.Realm)
		slices.Sort(got)
		if want := 4; len(got)-before != want || !slices.Contains(got, "session.begin") || !slices.Contains(got, "session.end") {
			t.Errorf("events = %v, want %d new ones: using a session is none", got, want)
		}
	})
}

func FuzzCookie(f *testing.F) {
	e := audittest.New(f, dbtest.Open(f, db.SQLite))
	realms, err := realm.NewRegistry(e.DB, e.Log, "https://id.example.com")
	if err != nil {
		f.Fatal(err)
	}
	sessions := session.NewStore(e.DB, e.Log, realms, principal.NewDirectory(e.DB, e.Log), credential.NewStore(e.DB, e.Log, nil))
	e.Start(f)
	good := string(secret.New(session.SecretPrefix))
	for _, seed := range []string{"", ".", good, good + "." + good, good[1:], "cds_", strings.Repeat(good+".", 9)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cookie string) {
		all, err := sessions.FromCookie(context.Background(), dbtest.Realm, cookie)
		if flooded := fault.Is(err, fault.Unavailable); err != nil && !flooded || len(all) != 0 { // so many unknown secrets a second are held off
			t.Errorf("FromCookie(%q) = %v, %v; nobody is signed in", cookie, all, err)
		}
	})
}

// A node that is cut off may remember a session that ended elsewhere, and says so
// instead of answering from memory. Let FromSecret go on without a lease to see it fail.
func TestANodeWithoutALeaseKnowsNobody(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, dbtest.Realm, "ada")
		b := e.begin(t, dbtest.Realm, ada, "")
		node := e.Node(t)
		other := newEnv(t, node)
		if _, err := other.sessions.FromSecret(t.Context(), dbtest.Realm, string(b.Secret)); err != nil {
			t.Fatal(err)
		}
		node.DB.Close() // as if its network were cut
		if err := e.sessions.End(t.Context(), audittest.By, dbtest.Realm, b.ID, "test"); err != nil {
			t.Fatal(err)
		}
		e.expectDead(t, "ended", b)
		if got, err := other.sessions.FromSecret(t.Context(), dbtest.Realm, string(b.Secret)); !fault.Is(err, fault.Unavailable) {
			t.Errorf("a silent node answers %+v, %v", got, err)
		}
	})
}
