package apptest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

var ownToEachPage = regexp.MustCompile(`name="(form|flow)" value="[^"]*"|data-options="[^"]*"|flow=[A-Za-z0-9_-]+|value="[a-z]+@example.com"`)

// PW-09: whatever is wrong with a sign-in, the answer is the same: status,
// headers and page, alone and on the way to an application.
func TestFailedSignInsLookTheSame(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		ctx := context.Background()
		w.Person(t, realm.Default, "person@example.com")
		gone := w.Person(t, realm.Default, "exiled@example.com")
		if err := w.Grants.SuspendPrincipal(ctx, audit.System, realm.Default, gone.ID, "left", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := w.People.Create(ctx, audit.System, realm.Default, principal.New{Kind: principal.Person, DisplayName: "New",
			Emails: []principal.Email{{Address: "newbie@example.com", Verified: true, Primary: true}}}); err != nil {
			t.Fatal(err)
		}
		for _, door := range []string{"alone", "for an application"} {
			seen := map[string]string{}
			for who, password := range map[string]string{
				"nobody": Password, "person": "a wrong password, sadly", "exiled": Password, "newbie": Password, // of one length, as the page repeats them
			} {
				v := w.visitor()
				form := url.Values{"identifier": {who + "@example.com"}, "password": {password}}
				if door == "alone" {
					form.Set("form", v.formToken(t, "/signin"))
				} else {
					c, _ := v.authorization()
					page := v.open("GET", c.Header().Get("Location"), nil)
					for _, name := range []string{"form", "flow"} {
						value, ok := input(page.Body.Bytes(), name)
						if !ok {
							t.Fatalf("no %s on the page: %d %.300s", name, page.Code, page.Body)
						}
						form.Set(name, value)
					}
				}
				c := v.open("POST", "/signin", form)
				if c.Code != http.StatusUnprocessableEntity {
					t.Errorf("%s, %s: %d", door, who, c.Code)
				}
				seen[ownToEachPage.ReplaceAllString(fmt.Sprintf("%d\n%s\n%s", c.Code, headersOf(c), c.Body), "")] += who + " "
			}
			if len(seen) != 1 {
				lines := map[string]string{}
				for text, who := range seen {
					for line := range strings.Lines(text) {
						lines[line] += who
					}
				}
				for line, who := range lines {
					if len(strings.Fields(who)) < 4 {
						t.Errorf("%s: only %s see %s", door, who, line)
					}
				}
			}
		}
	})
}

// headersOf lists an answer's headers but for the one that names the request.
func headersOf(c call) string {
	h := c.Header().Clone()
	h.Del("X-Request-Id")
	var lines []string
	for name, values := range h {
		lines = append(lines, name+": "+strings.Join(values, ", "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Timing is the variable that has the tests run that measure time: make long
// sets it. What else runs on the machine disturbs them.
const Timing = "CARDEA_TEST_TIMING"

// PW-09: a failed sign-in takes as long for somebody as for nobody, through the
// whole HTTP stack. A leak shows in every round; noise does not, so one good
// round of three is enough.
func TestTiming(t *testing.T) {
	if os.Getenv(Timing) == "" {
		t.Skipf("skipped: %s is not set (make long sets it)", Timing)
	}
	RunCostly(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		guesser := w.guesser(t)
		for round := range 3 {
			known, unknown := guesser.sample(t, round)
			u, p := mannWhitney(known, unknown)
			t.Logf("round %d: medians %v and %v, U %.0f, p %.4f", round, median(known), median(unknown), u, p)
			if alike(known, unknown) {
				return
			}
			e.Clock.Advance(16 * time.Minute) // the guesses are forgotten
		}
		t.Error("whether an account exists shows in the time of a failed sign-in")
	})
}

// A guesser tries wrong passwords over TCP, from an address of its own each
// time, for there is a rate per address.
type guesser struct {
	*visitor
	address string
	people  int
}

func (w *town) guesser(t *testing.T) *guesser {
	t.Helper()
	g := &guesser{visitor: w.visitor(), people: 60} // so that nobody's guesses run out
	for i := range g.people {
		w.Person(t, realm.Default, fmt.Sprintf("known%02d@example.com", i))
	}
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		n++ // one request at a time
		r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1", n>>16&255, n>>8&255, n&255)
		r.Host = strings.TrimPrefix(Issuer, "https://")
		w.Handler.ServeHTTP(out, r)
	}))
	t.Cleanup(server.Close)
	g.address = server.URL
	return g
}

// sample takes 500 samples of each kind in random order, so that what drifts
// hits both.
func (g *guesser) sample(t *testing.T, round int) (known, unknown []time.Duration) {
	t.Helper()
	form := g.formToken(t, "/signin")
	to, _ := url.Parse(Issuer)
	var cookies []string
	for _, c := range g.jar.Cookies(to) {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	kinds := make([]bool, 1000)
	for i := range kinds {
		kinds[i] = i%2 == 0
	}
	rand.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for _, is := range kinds {
		name, n := "known", len(known)
		if !is {
			name, n = "nobody", len(unknown)
		}
		body := url.Values{"form": {form}, "identifier": {fmt.Sprintf("%s%02d@example.com", name, n%g.people)}, "password": {"a wrong password, sadly"}}.Encode()
		r, err := http.NewRequestWithContext(t.Context(), "POST", g.address+"/signin", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", Issuer)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Cookie", strings.Join(cookies, "; "))
		began := time.Now()
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		took := time.Since(began)
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnprocessableEntity {
			t.Fatalf("round %d, %s: %d", round, name, resp.StatusCode)
		}
		if is {
			known = append(known, took)
		} else {
			unknown = append(unknown, took)
		}
	}
	return known, unknown
}
