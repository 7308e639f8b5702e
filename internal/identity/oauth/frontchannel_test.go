package oauth_test

import (
	"context"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/client"
)

var frameSource = regexp.MustCompile(`<iframe src="([^"]*)"`)

// framesOf are the addresses that a page loads in frames.
func framesOf(w *httptest.ResponseRecorder) (all []string) {
	for _, m := range frameSource.FindAllStringSubmatch(w.Body.String(), -1) {
		all = append(all, html.UnescapeString(m[1]))
	}
	return all
}

// OpenID Connect Front-Channel Logout 1.0: the page after a sign-out loads the
// addresses of the applications of this very session, with issuer and session,
// may frame their origins and no others, and leads on.
func TestFrontChannelLogout(t *testing.T) {
	run(t, func(d *door) {
		framed := func(uri string) func(*client.Settings) {
			return func(s *client.Settings) { s.FrontChannelLogoutURI, s.FrontChannelLogoutSession = uri, true }
		}
		app := d.app("app")
		first := d.app("first", framed("https://app.example.com/out"))
		second := d.app("second", func(s *client.Settings) {
			s.RedirectURIs = append(s.RedirectURIs, "https://second.example.com:8443/cb")
			s.FrontChannelLogoutURI = "https://second.example.com:8443/out?a=b&c=d"
		})
		never := d.app("never", framed("https://app.example.com/never"))
		off := d.app("off", framed("https://app.example.com/off"))
		bob := d.signIn(d.Person(d.T, d.realm, "bob@example.com"))
		d.tokens(bob, "never", never)
		bye := "https://app.example.com/bye"
		for name, target := range map[string]string{"with an address": bye + "?state=s+1", "without": strings.TrimPrefix(d.issuer(), "https://id.cardea.test") + "/signedout"} {
			cookie := d.signIn(d.ada)
			id := d.tokens(cookie, "app", app).ID
			one := d.claims(d.tokens(cookie, "first", first).ID)
			two := d.claims(d.tokens(cookie, "second", second).ID)
			d.tokens(cookie, "off", off)
			c, err := d.Clients.ByID(context.Background(), d.realm, "off")
			if err != nil {
				d.Fatal(err)
			}
			if err := d.Grants.DisableClient(context.Background(), audit.System, d.realm, "off", c.Version, nil); err != nil {
				d.Fatal(err)
			}
			ask := values(nil, "id_token_hint", id)
			if strings.HasPrefix(target, bye) {
				ask.Set("post_logout_redirect_uri", bye)
				ask.Set("state", "s 1")
			}
			w := d.get("/oauth2/logout?"+ask.Encode(), cookie)
			if _, err := d.Clients.Enable(context.Background(), audit.System, d.realm, "off", 0); err != nil {
				d.Fatal(err)
			}
			iss := url.QueryEscape(d.issuer())
			want := []string{"https://app.example.com/out?iss=" + iss + "&sid=" + one["sid"].(string), "https://second.example.com:8443/out?a=b&c=d&iss=" + iss + "&sid=" + two["sid"].(string)}
			if got := framesOf(w); w.Code != http.StatusOK || strings.Join(got, "\n") != strings.Join(want, "\n") {
				d.Errorf("%s: %d, frames %v, want %v", name, w.Code, got, want)
			}
			policy := w.Header().Get("Content-Security-Policy")
			if !strings.HasSuffix(policy, "; frame-src https://app.example.com https://second.example.com:8443") || !strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "default-src 'none'") {
				d.Errorf("%s: policy %q", name, policy)
			}
			if body := html.UnescapeString(w.Body.String()); !strings.Contains(body, `content="0;url=`+target+`"`) || !strings.Contains(body, `href="`+target+`"`) {
				d.Errorf("%s: it does not lead to %s: %s", name, target, body)
			}
			if d.authorize(cookie, request("app", "prompt", "none")).Has("code") {
				d.Errorf("%s: still signed in", name)
			}
			if again := d.get("/oauth2/logout?"+ask.Encode(), cookie); again.Code != http.StatusSeeOther || len(framesOf(again)) != 0 {
				d.Errorf("%s: again: %d %s", name, again.Code, again.Body)
			}
		}
		// Where nobody is to be told there is no page in between.
		cookie := d.signIn(d.ada)
		id := d.tokens(cookie, "app", app).ID
		if w := d.get("/oauth2/logout?id_token_hint="+id, cookie); w.Code != http.StatusSeeOther || w.Header().Get("Content-Security-Policy") != "" && strings.Contains(w.Header().Get("Content-Security-Policy"), "frame-src") {
			d.Errorf("nobody to tell: %d", w.Code)
		}
	})
}

// The sign-out of a page of ours tells them too: the one that asks, and the list
// of accounts.
func TestOurOwnPagesTellByFrames(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app", func(s *client.Settings) { s.FrontChannelLogoutURI = "https://app.example.com/out" })
		for path, fields := range map[string][2]string{"/signout": {"do", "here"}, "/accounts": {"do", "signout"}} {
			cookie := d.signIn(d.ada)
			d.tokens(cookie, "app", secret)
			page := d.get(path, cookie)
			form, account := inputOf(page, "form"), inputOf(page, "account")
			if account == "" {
				account = valueOf(page, "account")
			}
			browser := cookie
			for _, c := range page.Result().Cookies() {
				browser += "; " + c.Name + "=" + c.Value
			}
			w := d.do("POST", path, values(nil, "form", form, "account", account, fields[0], fields[1]).Encode(), "Cookie", browser,
				"Origin", "https://id.cardea.test", "Sec-Fetch-Site", "same-origin")
			if got := framesOf(w); w.Code != http.StatusOK || len(got) != 1 || !strings.HasPrefix(got[0], "https://app.example.com/out?iss=") {
				d.Errorf("%s: %d, frames %v: %s", path, w.Code, got, w.Body)
			}
		}
	})
}

func inputOf(w *httptest.ResponseRecorder, name string) string {
	m := regexp.MustCompile(`<input type="hidden" name="` + name + `" value="([^"]*)"`).FindStringSubmatch(w.Body.String())
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

func valueOf(w *httptest.ResponseRecorder, name string) string {
	m := regexp.MustCompile(`name="` + name + `" value="(ses_[^"]*)"`).FindStringSubmatch(w.Body.String())
	if m == nil {
		return ""
	}
	return m[1]
}
