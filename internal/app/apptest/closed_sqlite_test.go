package apptest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/realm"
)

// P-11 on SQLite: whatever must be refused stays refused while nothing can be
// written, and nobody is told whether a guess was right that could not be counted.
// Go on after an error of reserve in Passwords.Check to see it fail.
func TestEveryNoStaysANoWithoutAWriter(t *testing.T) {
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
