package main

import (
	"bytes"
	"context"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// browser is enough of one to fill in forms. It sends Secure cookies to
// localhost, as real ones do.
type browser struct {
	t       *testing.T
	cookies map[string]string
	http    *http.Client
}

func newBrowser(t *testing.T) *browser {
	return &browser{t, map[string]string{}, &http.Client{Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// open follows redirects until there is a page that does not lead on by itself.
func (b *browser) open(method, target string, form url.Values) (*url.URL, string) {
	b.t.Helper()
	for range 10 {
		r, err := http.NewRequest(method, target, strings.NewReader(form.Encode()))
		if err != nil {
			b.t.Fatal(err)
		}
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
		}
		for k, v := range b.cookies {
			r.AddCookie(&http.Cookie{Name: k, Value: v})
		}
		res, err := b.http.Do(r)
		if err != nil {
			b.t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		for _, c := range res.Cookies() {
			b.cookies[c.Name] = c.Value
		}
		to := res.Header.Get("Location")
		if m := refreshPattern.FindSubmatch(body); m != nil {
			to = html.UnescapeString(string(m[1]))
		} else if res.StatusCode/100 != 3 {
			return r.URL, string(body)
		}
		next, err := r.URL.Parse(to)
		if err != nil {
			b.t.Fatal(err)
		}
		method, target, form = http.MethodGet, next.String(), nil
	}
	b.t.Fatal("too many redirects")
	return nil, ""
}

var (
	formPattern   = regexp.MustCompile(`(?s)<form[^>]*class="(?:form|actions)[^>]*action="([^"]*)"[^>]*>(.*?)</form>`)
	hiddenPattern = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)

	refreshPattern = regexp.MustCompile(`<meta http-equiv="refresh" content="0;url=([^"]*)">`)
)

// submit fills in the form of a page and sends it.
func (b *browser) submit(at *url.URL, page string, fields url.Values) (*url.URL, string) {
	b.t.Helper()
	m := formPattern.FindStringSubmatch(page)
	if m == nil {
		b.t.Fatalf("there is no form at %s:\n%s", at, page)
	}
	for _, h := range hiddenPattern.FindAllStringSubmatch(m[2], -1) {
		fields.Set(html.UnescapeString(h[1]), html.UnescapeString(h[2]))
	}
	action, err := at.Parse(html.UnescapeString(m[1]))
	if err != nil {
		b.t.Fatal(err)
	}
	return b.open(http.MethodPost, action.String(), fields)
}

// AD-05 and the command line as people use them: the server prints a link, the
// link makes the first administrator, and they log in through their browser.
func TestFirstAdministratorSetsUpAndLogsIn(t *testing.T) {
	const password = "turquoise walrus on a bicycle"
	s, printed := startVirgin(t)
	link := regexp.MustCompile(`http://\S+/setup\?link=\S+`).FindString(printed)
	if link == "" {
		t.Fatalf("no set-up link is printed:\n%s", printed)
	}
	b := newBrowser(t)
	at, page := b.open(http.MethodGet, link, nil)
	at, page = b.submit(at, page, url.Values{"name": {"Ada Lovelace"}, "email": {"ada@example.com"}, "username": {"ada"}, "password": {password}})
	if strings.Contains(page, "setup") && strings.Contains(page, "wrong") {
		t.Fatalf("set-up ended at %s:\n%s", at, page)
	}

	visit := func(target string) error {
		go func() {
			at, page := b.open(http.MethodGet, target, nil)
			for range 4 { // sign-in, then consent, in whichever order the server asks
				if strings.HasPrefix(at.Path, "/callback") {
					return
				}
				fields := url.Values{"identifier": {"ada"}, "password": {password}, "do": {"signin"}}
				if strings.Contains(at.Path, "consent") {
					fields = url.Values{"do": {"allow"}}
				}
				at, page = b.submit(at, page, fields)
			}
		}()
		return nil
	}
	var out, errs bytes.Buffer
	c := &console{getenv: s.getenv, in: strings.NewReader(""), out: &out, err: &errs, openBrowser: visit}
	root := newRoot(c)
	root.SetArgs([]string{"login", s.issuer, "--timeout", "20s"})
	if err := root.ExecuteContext(context.Background()); err != nil {
		t.Fatalf("login: %v\n%s", err, errs.String())
	}
	if !strings.Contains(out.String(), s.issuer+" as Ada Lovelace, owner.") {
		t.Errorf("login says %s", out.String())
	}
	file := filepath.Join(s.env["CARDEA_HOME"], "logins.json")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the logins are kept with mode %v: %v", info.Mode(), err)
	}
	if got, errs, err := s.run("whoami"); err != nil || !strings.Contains(got, "owner") || !strings.Contains(got, "Ada Lovelace") {
		t.Errorf("whoami: %v %s\n%s", err, errs, got)
	}

	// An expired access token is renewed on the way, and the renewal is kept.
	store, err := c.tokens()
	if err != nil {
		t.Fatal(err)
	}
	old := store.Logins[s.issuer]
	old.Expires = time.Now().Add(-time.Minute)
	store.Logins[s.issuer] = old
	if err := store.save(); err != nil {
		t.Fatal(err)
	}
	if _, errs, err := s.run("user", "list"); err != nil {
		t.Fatalf("after expiry: %v %s", err, errs)
	}
	if store, err = c.tokens(); err != nil || store.Logins[s.issuer].Refresh == old.Refresh || store.Logins[s.issuer].Access == old.Access {
		t.Errorf("the login was not renewed: %v", err)
	}

	// Logins that others can read are not used.
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, errs, err := s.run("whoami"); err == nil || !strings.Contains(errs, "chmod 600") {
		t.Errorf("a login file that everyone can read: %v %s", err, errs)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	kept := store.Logins[s.issuer]
	if out, errs, err := s.run("logout"); err != nil || !strings.Contains(out, "logged out") {
		t.Fatalf("logout: %v %s", err, errs)
	}
	if _, err := refresh(context.Background(), s.issuer, kept); err == nil {
		t.Error("the refresh token works after logout")
	}
	if _, errs, err := s.run("whoami"); err == nil || !strings.Contains(errs, "not logged in") {
		t.Errorf("whoami after logout: %v %s", err, errs)
	}
}

// Only the answer to our question, from the server we asked, is taken.
// A browser may be signed in as somebody who administers nothing: whoever logs in
// by it hears so at once.
func TestLoginAsSomebodyWhoAdministersNothing(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"code": "not_an_operator", "detail": "only operators of this realm may ask"}`)
	}))
	defer server.Close()
	home := t.TempDir()
	var out, errs bytes.Buffer
	c := &console{out: &out, err: &errs, getenv: func(name string) string { return map[string]string{"CARDEA_HOME": home}[name] }}
	if err := c.keepLogin(t.Context(), server.URL, login{Access: "x", Expires: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if err := c.sayLogin(t.Context(), server.URL); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "logged in at "+server.URL) || !strings.Contains(errs.String(), server.URL+"/accounts") {
		t.Errorf("login says %s%s", out.String(), errs.String())
	}
}

func TestCallbackTakesOnlyItsOwnAnswer(t *testing.T) {
	answers := make(chan answer, 1)
	h := callback("https://id.example.com", "the-state", answers)
	ask := func(query string) int {
		w := &statusWriter{header: http.Header{}, status: 200}
		r, _ := http.NewRequest(http.MethodGet, "http://127.0.0.1/callback?"+query, nil)
		h.ServeHTTP(w, r)
		return w.status
	}
	for _, query := range []string{"", "code=c", "code=c&state=other&iss=https://id.example.com", "code=c&state=the-state", "code=c&state=the-state&iss=https://evil.example"} {
		if status := ask(query); status != http.StatusBadRequest {
			t.Errorf("?%s: got %d", query, status)
		}
	}
	if len(answers) != 0 {
		t.Fatal("a foreign answer was taken")
	}
	if status := ask("code=c&state=the-state&iss=https://id.example.com"); status != 200 {
		t.Errorf("got %d", status)
	}
	if a := <-answers; a.code != "c" || a.err != nil {
		t.Errorf("got %+v", a)
	}
	ask("error=access_denied&state=the-state&iss=https://id.example.com")
	if a := <-answers; a.err == nil || errors.Is(a.err, context.Canceled) {
		t.Errorf("got %+v", a)
	}
}

type statusWriter struct {
	header http.Header
	status int
}

func (w *statusWriter) Header() http.Header         { return w.header }
func (w *statusWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *statusWriter) WriteHeader(status int)      { w.status = status }
