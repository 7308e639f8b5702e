package apptest

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
)

// Days is the variable that says how many days the clock is moved on; make long
// sets it. What was over a month ago is forgotten, so there must be more than that.
const Days = "CARDEA_TEST_DAYS"

// These tables hold what expires. The log grows for ever.
var expiring = []string{"once", "once_seen", "sessions", "attempts", "browsers", "grants", "dead_tokens", "event_queue", "nodes", "letter_limits", "invitations", "departures"}

// P-25: hour after hour of people, programs and strangers leaves nothing behind:
// no memory, goroutine or file, nor rows that are over. The hours pass on the
// program's clock. Take a Collect or the Sweep out of app.tasks to see rows gather.
func TestHoursDoNotMatter(t *testing.T) {
	days := 50
	if text := os.Getenv(Days); text != "" {
		var err error
		if days, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	for name, engine := range map[string]db.Engine{"sqlite": db.SQLite, "postgres": db.Postgres} {
		t.Run(name, func(t *testing.T) { pass(t, engine, days/2) })
	}
}

// pass lets so many times two days pass.
func pass(t *testing.T, engine db.Engine, many int) {
	w := settle(t, Start(t, engine))
	settings := map[string]any{"session_absolute": "6h", "session_idle": "2h", "refresh_absolute": "6h", "refresh_idle": "2h"}
	if _, err := w.Realms.Update(t.Context(), audit.System, realm.Default, 0, realm.Change{Settings: settings}); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		w.Person(t, realm.Default, fmt.Sprintf("person%d@example.com", i))
	}
	robot := w.Client(t, realm.Default, "robot", client.Settings{Name: "Robot", Type: client.Service, GrantTypes: []string{client.ClientCredentials}, Scopes: []string{"read"}, Resources: []string{audience}})
	early, since := footprint{}, 18 // by then what is kept longest has been forgotten
	for step := range many {
		w.bustle(t, step, robot)
		w.Clock.Advance(48 * time.Hour)
		if err := w.RunDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		if step == since {
			early = w.footprint(t)
		}
	}
	late, passed := w.footprint(t), many-1-since
	t.Logf("%d times two days later: memory %d KiB, then %d; goroutines %d, then %d; files %d, then %d; rows %v, then %v", passed,
		early.memory>>10, late.memory>>10, early.goroutines, late.goroutines, early.files, late.files, early.rows, late.rows)
	if grown := (late.memory - early.memory) / int64(passed); grown > 128<<10 {
		t.Errorf("memory grows by %d KiB each time, in which caches may remember some new names", grown>>10)
	}
	if late.goroutines > early.goroutines+4 {
		t.Errorf("%d goroutines, then %d", early.goroutines, late.goroutines)
	}
	if late.files > early.files+4 {
		t.Errorf("%d files, then %d", early.files, late.files)
	}
	for table, n := range late.rows {
		if n > early.rows[table]+3 {
			t.Errorf("%s: %d rows, then %d", table, early.rows[table], n)
		}
	}
}

// bustle is what people, programs and strangers do between two looks.
func (w *town) bustle(t *testing.T, step int, robot string) {
	t.Helper()
	must := func(c call, status int) call {
		t.Helper()
		if c.Code != status {
			t.Fatalf("after %d times two days: %d, want %d: %.300s", step, c.Code, status, c.Body)
		}
		return c
	}
	w.administer(t)
	w.peer = fmt.Sprintf("192.0.2.%d:1", step%250) // addresses are limited by the clock on the wall
	for i := range 2 {
		v := w.visitor()
		v.mustSignIn(t, fmt.Sprintf("person%d@example.com", i))
		access, refresh := v.tokens(t)
		refresh = must(w.refresh(refresh), http.StatusOK).text("refresh_token")
		must(w.introspect(access), http.StatusOK)
		if i%2 == 0 {
			must(w.revoke(refresh), http.StatusOK)
		}
		v.mustCode(t) // which nobody redeems
		w.visitor().authorization()
		// A stranger guesses, at nobody and at somebody.
		x := w.visitor()
		form := x.formToken(t, "/signin")
		must(x.signIn(form, fmt.Sprintf("nobody-%d-%d", step, i), Password), http.StatusUnprocessableEntity)
		must(x.signIn(form, fmt.Sprintf("person%d@example.com", i), "a wrong password, sadly"), http.StatusUnprocessableEntity)
	}
	for i := range 30 {
		token := must(w.ask("POST", "/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, basic("robot", robot)), http.StatusOK).text("access_token")
		must(w.ask("POST", "/oauth2/revoke", url.Values{"token": {token}}, basic("robot", robot)), http.StatusOK)
		// What there is not, under names that nobody used before.
		must(w.ask("GET", fmt.Sprintf("/realms/none-%d-%d/signin", step, i), nil, nil), http.StatusNotFound)
		must(w.ask("GET", fmt.Sprintf("/nothing-%d-%d", step, i), nil, nil), http.StatusNotFound)
		w.ask("GET", fmt.Sprintf("/oauth2/authorize?client_id=none-%d-%d", step, i), nil, nil)
		w.ask("POST", "/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, basic(fmt.Sprintf("none-%d-%d", step, i), "x"))
		w.ask("GET", "/signin", nil, func(r *http.Request) { r.Host = fmt.Sprintf("h%d-%d.example.com", step, i) })
	}
	made := must(w.adminCall("POST", "/users", w.admin, map[string]any{"username": fmt.Sprintf("brief-%d", step)}), http.StatusCreated)
	must(w.adminCall("DELETE", "/users/"+made.text("id"), w.admin, nil), http.StatusNoContent)
}

// footprint is what the program holds.
type footprint struct {
	memory     int64
	goroutines int
	files      int
	rows       map[string]int
}

func (w *town) footprint(t *testing.T) footprint {
	t.Helper()
	if err := w.Log.FlushActivity(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := footprint{rows: map[string]int{}}
	for _, table := range expiring {
		err := w.DB.SystemView(t.Context(), func(tx *db.Tx) (err error) {
			f.rows[table], err = db.One(tx, db.Scalar[int], "SELECT count(*) FROM "+table)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	f.memory, f.goroutines = int64(m.HeapAlloc), runtime.NumGoroutine()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil && !strings.Contains(err.Error(), "no such file") {
		t.Fatal(err)
	}
	f.files = len(open)
	return f
}
