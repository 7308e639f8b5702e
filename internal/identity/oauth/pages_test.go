package oauth_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/identity/client"
)

// browser walks pages as a person's browser does: it keeps cookies, follows
// redirections that stay with us, and sends forms.
type browser struct {
	*door
	cookies map[string]string
}

func (d *door) browser() *browser { return &browser{d, map[string]string{}} }

// send sends a request and follows redirections until a page or the client.
func (b *browser) send(method, target, body string) *httptest.ResponseRecorder {
	b.Helper()
	for range 10 {
		var head []string
		var list []string
		for name, value := range b.cookies {
			list = append(list, name+"="+value)
		}
		if len(list) > 0 {
			head = append(head, "Cookie", strings.Join(list, "; "))
		}
		if method == "POST" {
			head = append(head, "Origin", b.issuer(), "Sec-Fetch-Site", "same-origin")
		}
		w := b.do(method, target, body, head...)
		for _, c := range w.Result().Cookies() {
			if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
				delete(b.cookies, c.Name)
			}
		}
		next := b.local(w)
		if w.Code != http.StatusSeeOther || !strings.HasPrefix(next, "/") {
			return w
		}
		method, target, body = "GET", next, ""
	}
	b.Fatal("the pages send the browser in circles")
	return nil
}

var (
	action = regexp.MustCompile(`<form [^>]*action="([^"]+)"`)
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
)

// submit sends the first form of a page.
func (b *browser) submit(w *httptest.ResponseRecorder, pairs ...string) *httptest.ResponseRecorder {
	b.Helper()
	page := w.Body.String()
	to := action.FindStringSubmatch(page)
	if w.Code != http.StatusOK || to == nil {
		b.Fatalf("%d, no form in %s", w.Code, page)
	}
	form, _, _ := strings.Cut(page[strings.Index(page, to[0]):], "</form>")
	v := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(form, -1) {
		v.Set(m[1], html.UnescapeString(m[2]))
	}
	path := strings.TrimPrefix(html.UnescapeString(to[1]), strings.TrimPrefix(b.issuer(), apptest.Issuer))
	return b.send("POST", path, values(v, pairs...).Encode())
}

func (b *browser) open(v url.Values) *httptest.ResponseRecorder {
	b.Helper()
	return b.send("GET", "/oauth2/authorize?"+v.Encode(), "")
}

func (b *browser) password(w *httptest.ResponseRecorder) *httptest.ResponseRecorder {
	b.Helper()
	return b.submit(w, "identifier", "ada@example.com", "password", apptest.Password, "do", "signin")
}

// TestThroughThePages: nobody is signed in, so the pages take over and bring
// the browser back with a code; the second time nothing is asked.
func TestThroughThePages(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("third", func(s *client.Settings) { s.FirstParty = false })
		b := d.browser()
		asked := b.password(b.open(request("third", "scope", "openid offline_access")))
		if !strings.Contains(asked.Body.String(), "app.example.com") || !strings.Contains(asked.Body.String(), "offline_access") && asked.Code != 200 {
			d.Fatalf("the consent page: %d %s", asked.Code, asked.Body)
		}
		got := d.answer(b.submit(asked, "do", "allow"))
		if got.Get("state") != "s-1" || got.Get("iss") != d.issuer() {
			d.Errorf("%v", got)
		}
		if tokens := d.redeem("third", secret, got.Get("code")); tokens.Refresh == "" {
			d.Errorf("%+v", tokens)
		}
		if again := d.answer(b.open(request("third", "scope", "openid offline_access"))); !again.Has("code") {
			d.Errorf("the second time: %v", again)
		}
	})
}

// TestPromptLoginAndConsent: SE-09. Both are asked, in turn, and once.
func TestPromptLoginAndConsent(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app", func(s *client.Settings) { s.FirstParty = false })
		b := d.browser()
		d.answer(b.submit(b.password(b.open(request("app"))), "do", "allow"))
		d.Clock.Advance(90e9)
		page := b.open(request("app", "prompt", "login consent"))
		if !strings.Contains(page.Body.String(), `name="password"`) {
			d.Fatalf("prompt=login: %s", page.Body)
		}
		page = b.password(page)
		if !strings.Contains(page.Body.String(), `value="allow"`) {
			d.Fatalf("prompt=consent: %s", page.Body)
		}
		got := d.redeem("app", secret, d.answer(b.submit(page, "do", "allow")).Get("code"))
		if at := d.claims(got.ID)["auth_time"]; at != float64(d.Clock.Now().Unix()) {
			d.Errorf("auth_time %v is not that of the new sign-in", at)
		}
	})
}

// TestTurningBack: whoever does not agree leaves the client with access_denied.
func TestTurningBack(t *testing.T) {
	run(t, func(d *door) {
		d.app("app", func(s *client.Settings) { s.FirstParty = false })
		b := d.browser()
		if got := d.answer(b.submit(b.open(request("app")), "identifier", "", "password", "", "do", "cancel")); got.Get("error") != "access_denied" || got.Get("state") != "s-1" {
			d.Errorf("at the sign-in: %v", got)
		}
		if got := d.answer(b.submit(b.password(b.open(request("app"))), "do", "deny")); got.Get("error") != "access_denied" {
			d.Errorf("at the consent: %v", got)
		}
	})
}

// TestFormsDoNotRedirectToClients: AZ-08, WB-01. A form of ours that redirected
// to the client would bind the client's own redirections to our form-action,
// and it would have to name the client. Whatever the answer, a page leads on.
func TestFormsDoNotRedirectToClients(t *testing.T) {
	run(t, func(d *door) {
		d.app("app", func(s *client.Settings) { s.FirstParty = false })
		d.app("tool", public, func(s *client.Settings) { s.Type, s.RedirectURIs = client.Native, []string{"com.example.app:/cb"} })
		b := d.browser()
		form := b.open(request("app", "response_mode", "fragment"))
		if csp := form.Header().Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self'") {
			d.Errorf("the form may lead elsewhere: %s", csp)
		}
		for name, w := range map[string]*httptest.ResponseRecorder{
			"cancelled": b.submit(form, "do", "cancel"),
			"allowed":   b.submit(b.password(b.open(request("app"))), "do", "allow"),
			"denied":    b.submit(b.open(request("app", "prompt", "consent")), "do", "deny"),
			"confirmed": b.password(b.open(request("app", "prompt", "login"))),
		} {
			if w.Code != http.StatusOK || w.Header().Get("Location") != "" || w.Header().Get("Referrer-Policy") != "no-referrer" || w.Header().Get("Cache-Control") != "no-store" {
				d.Errorf("%s: %d %v", name, w.Code, w.Header())
			}
			if got := d.answer(w); got.Get("state") != "s-1" || got.Get("iss") != d.issuer() {
				d.Errorf("%s: %v", name, got)
			}
		}
		// A program on this device leads no further.
		w := b.submit(b.open(request("tool", "redirect_uri", "com.example.app:/cb")), "do", "allow")
		if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || !strings.HasPrefix(to, "com.example.app:/cb?code=") {
			d.Errorf("to a program: %d %s", w.Code, to)
		}
		// Nobody pressed anything: the client is redirected to at once.
		if w := b.open(request("app")); w.Code != http.StatusSeeOther {
			d.Errorf("without a form: %d %s", w.Code, w.Body)
		}
	})
}

// TestFlowsStayInTheirBrowser: SE-03. What one browser began another cannot
// end, and nothing ends twice.
func TestFlowsStayInTheirBrowser(t *testing.T) {
	run(t, func(d *door) {
		d.app("app")
		b := d.browser()
		w := d.get("/oauth2/authorize?"+request("app").Encode(), "")
		at, err := url.Parse(w.Header().Get("Location"))
		if err != nil || at.Query().Get("flow") == "" {
			d.Fatalf("%v %v", w.Header(), err)
		}
		back := "/oauth2/authorize/continue?flow=" + url.QueryEscape(at.Query().Get("flow"))
		for name, w := range map[string]*httptest.ResponseRecorder{
			"another browser": d.get(back, d.signIn(d.ada)),
			"unknown":         d.get("/oauth2/authorize/continue?flow=cdf_x", ""),
			"none":            d.get("/oauth2/authorize/continue", ""),
		} {
			if w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" {
				d.Errorf("%s: %d %v", name, w.Code, w.Header())
			}
		}
		if got := d.answer(b.password(b.open(request("app")))); !got.Has("code") {
			d.Errorf("%v", got)
		}
	})
}
