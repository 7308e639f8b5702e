package apptest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

// P-11 on SQLite: whatever must be refused stays refused while nothing can be
// written, and nobody is told whether a guess was right that could not be counted.
// Go on after an error of reserve in Passwords.Check to see it fail.
func TestEveryNoStaysANoWithoutAWriter(t *testing.T) {
	t.Parallel() // it waits most of the time
	for _, s := range []struct {
		name    string
		folder  func(t *testing.T) string
		spoil   func(t *testing.T, folder string) (mend func())
		patient bool // who writes is refused after five seconds, one after the other
	}{
		{"another program holds the file", func(t *testing.T) string { return t.TempDir() }, hold, true},
		{"the disk is full", smallDisk, fill, false},
	} {
		t.Run(s.name, func(t *testing.T) {
			folder := s.folder(t)
			e := &Env{Clock: dbtest.NewClock(), url: filepath.Join(folder, "test.db"), key: bytes.Repeat([]byte{7}, 32), Outside: newOutside(t)}
			e.App = e.start(t)
			w := settle(t, e)
			nos := w.nos(t)
			ask := func(when string) {
				t.Helper()
				var all sync.WaitGroup
				for _, n := range nos {
					if s.patient && when == "spoiled" && !quick.MatchString(n.name) {
						continue
					}
					all.Go(func() {
						if got := n.yes(); got != "" {
							t.Errorf("%s, %s: let through: %.300s", when, n.name, got)
						}
					})
				}
				all.Wait()
			}
			w.Person(t, realm.Default, "eve@example.com")
			eve := w.visitor()
			form := eve.formToken(t, "/signin")
			ask("whole")
			mend := s.spoil(t, folder)
			if !s.patient {
				untilFull(t, e)
			}
			for _, password := range []string{"a wrong password, sadly", Password} {
				if s.patient && password == Password {
					break
				}
				if c := eve.signIn(form, "eve@example.com", password); c.Code != http.StatusServiceUnavailable || c.Header().Get("Retry-After") == "" {
					t.Errorf("a guess that cannot be counted: %d %.300s", c.Code, c.Body)
				}
			}
			ask("spoiled")
			mend()
			waitFor(t, w, http.StatusOK)
			ask("mended")
			// That the refusals meant something.
			v := w.visitor()
			v.mustSignIn(t, "bob@example.com")
			access, refresh := v.tokens(t)
			if c := w.introspect(access); c.text("active") != "true" {
				t.Errorf("a living token: %d %s", c.Code, c.Body)
			}
			if c := w.refresh(refresh); c.Code != http.StatusOK {
				t.Errorf("a living refresh token: %d %s", c.Code, c.Body)
			}
		})
	}
}

// quick are noes that write nothing, and one of each kind that would.
var quick = regexp.MustCompile(`introspection|userinfo|cookie, [a-z ]+$|admin|with a wrong secret|code, used`)

// hold takes the one place of a writer, as a careless tool would.
func hold(t *testing.T, folder string) (mend func()) {
	t.Helper()
	pool, err := sql.Open("sqlite", "file:"+filepath.Join(folder, "test.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	c, err := pool.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ExecContext(context.Background(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	mend = sync.OnceFunc(func() {
		_, err := c.ExecContext(context.Background(), "ROLLBACK")
		if err := errors.Join(err, c.Close(), pool.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(mend)
	return mend
}

// untilFull makes people until no more fit, then counts guesses until none does:
// the files have some room inside, and a guess takes less of it.
func untilFull(t *testing.T, e *Env) {
	t.Helper()
	person := func(i int) error {
		_, err := e.People.Create(context.Background(), audit.System, realm.Default, principal.New{Kind: principal.Person, Name: fmt.Sprintf("full-%d", i)})
		return err
	}
	guess := func(i int) error {
		_, err := e.Passwords.Check(context.Background(), audit.System, realm.Default, credential.Attempt{Identifier: fmt.Sprintf("nobody-%d", i), Password: "a guess"})
		return err
	}
	for _, write := range []func(int) error{person, guess} {
		for i, refused := 0, 0; refused < 10; i++ {
			switch err := write(i); {
			case err == nil && i < 20_000:
				refused = 0
			case fault.Is(err, fault.Unavailable):
				refused++
			default:
				t.Fatalf("a full disk takes everything, or answers otherwise: %v", err)
			}
		}
	}
}

func smallDisk(t *testing.T) string { return dbtest.SmallDisk(t, 16) }

func fill(t *testing.T, folder string) (mend func()) {
	t.Helper()
	path := filepath.Join(folder, "ballast")
	dbtest.FillDisk(t, path)
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}
