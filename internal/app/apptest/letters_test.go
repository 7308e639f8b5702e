package apptest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/terms"
	"github.com/cardea-id/cardea/internal/realm"
)

// PW-09: whoever asks for a letter is answered alike, in status, headers and
// page, whether or not there is an account; and in time, by construction: nothing
// is looked up while they wait. Only the long tests, which run alone, judge the time.
func TestAskingForLettersTellsNothing(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		if _, err := w.Realms.Update(t.Context(), audit.System, realm.Default, 0, realm.Change{Settings: map[string]any{"self_registration": "on"}}); err != nil {
			t.Fatal(err)
		}
		w.Person(t, realm.Default, "known@example.com")
		samples, judged := 5, os.Getenv(Timing) != ""
		if judged {
			samples = 500
		}
		for _, path := range []string{"/forgot", "/register"} {
			v := w.visitor()
			form := v.formToken(t, path)
			said := map[string]string{}
			ask := func(n int, who string) time.Duration {
				w.peer = fmt.Sprintf("10.%d.%d.%d:1", n>>16&255, n>>8&255, n&255) // addresses have a rate
				c := v.open("POST", path, url.Values{"form": {form}, "to": {who}})
				if c.Code != http.StatusOK {
					t.Fatalf("%s: %d %.300s", path, c.Code, c.Body)
				}
				h := c.Header().Clone()
				h.Del("X-Request-Id")
				said[fmt.Sprint(h, c.Body)] = who
				return c.took
			}
			for round := range 3 {
				var known, unknown []time.Duration
				kinds := make([]bool, 2*samples)
				for i := range kinds {
					kinds[i] = i%2 == 0
				}
				rand.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
				for i, is := range kinds {
					if n := round*len(kinds) + i; is {
						known = append(known, ask(n, "known@example.com"))
					} else {
						unknown = append(unknown, ask(n, "other@example.com"))
					}
				}
				if !judged {
					break
				}
				u, p := mannWhitney(known, unknown)
				t.Logf("%s: medians %v and %v, U %.0f, p %.4f", path, median(known), median(unknown), u, p)
				if alike(known, unknown) {
					break
				}
				if round == 2 {
					t.Errorf("%s: whether an account exists shows in the time", path)
				}
			}
			if len(said) != 1 {
				t.Errorf("%s answers in %d ways", path, len(said))
			}
		}
	})
}

// Whoever has terms to accept gets no code without being asked.
func TestTermsNeedInteraction(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		w.Person(t, realm.Default, "person@example.com")
		v := w.visitor()
		v.mustSignIn(t, "person@example.com")
		silent := func() string {
			t.Helper()
			c := v.open("GET", authorize+"?"+url.Values{"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {callback}, "scope": {"openid"}, "prompt": {"none"},
				"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}}.Encode(), nil)
			to, err := url.Parse(c.Header().Get("Location"))
			if err != nil || c.Code != http.StatusSeeOther && c.Code != http.StatusFound {
				t.Fatalf("%d %.300s", c.Code, c.Body)
			}
			if to.Query().Get("code") != "" {
				return "code"
			}
			return to.Query().Get("error")
		}
		if got := silent(); got != "code" {
			t.Fatalf("before there are terms: %s", got)
		}
		made, err := w.Terms.Create(t.Context(), audit.System, realm.Default, terms.New{Document: "terms", Version: "1", Title: "Terms", Text: "Be kind."})
		if err != nil {
			t.Fatal(err)
		}
		if got := silent(); got != "interaction_required" {
			t.Errorf("got %s", got)
		}
		if err := w.Terms.Withdraw(t.Context(), audit.System, realm.Default, made.ID); err != nil {
			t.Fatal(err)
		}
		if got := silent(); got != "code" {
			t.Errorf("after they were withdrawn: %s", got)
		}
	})
}
