package main

import (
	"context"
	"fmt"
	"html"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/cardea-id/cardea/e2e/live"
	"github.com/cardea-id/cardea/internal/identity/credential/passkeytest"
)

// A holder is somebody with a passkey, and the browser that they sign in with.
type holder struct {
	device  *passkeytest.Authenticator
	cookies string // of a browser that is signed out
}

var (
	askedFor  = regexp.MustCompile(`action="[^"]*/signin/(?:passkey|enrol)"[^>]* data-options="([^"]*)"`)
	formToken = regexp.MustCompile(`data-options="[^>]*>\s*<input type="hidden" name="form" value="([^"]*)"`)
)

// holders makes one for each connection: people sign in beside each other, not one
// of them twice at once.
func holders(ctx context.Context, s *live.Server, n int) (all []holder, err error) {
	for i := range n {
		login, password := fmt.Sprintf("passkey%d@example.com", i), "turquoise walrus on a bicycle"
		if err := s.NewPerson(ctx, login, password); err != nil {
			return nil, err
		}
		b, h := live.NewBrowser(), holder{device: passkeytest.New(s.Issuer)}
		b.Address = fmt.Sprintf("10.%d.0.1", i) // a network is held to a rate
		page, err := b.Open(ctx, s.Issuer+"/passkeys/new")
		if err == nil {
			page, err = b.Submit(ctx, page, map[string]string{"identifier": login, "password": password})
		}
		if err != nil {
			return nil, err
		}
		options := askedFor.FindStringSubmatch(page.Text)
		if options == nil {
			return nil, fmt.Errorf("no passkey is asked for at %s: %.1000s", page.URL, page.Text)
		}
		page, err = b.Submit(ctx, page, map[string]string{"answer": h.device.Create([]byte(html.UnescapeString(options[1]))), "name": "bench"})
		if err == nil && strings.Contains(page.Text, `value="later"`) { // recovery codes are offered
			page, err = b.Submit(ctx, page, map[string]string{"do": "later"})
		}
		if err != nil {
			return nil, err
		}
		for c := range strings.SplitSeq(b.Cookies(), "; ") {
			if strings.HasPrefix(c, "__Host-cardea.flow=") || strings.HasPrefix(c, "__Host-cardea.browser-") {
				h.cookies += "; " + c
			}
		}
		h.cookies = strings.TrimPrefix(h.cookies, "; ")
		if !strings.Contains(h.cookies, "__Host-cardea.browser-") {
			return nil, fmt.Errorf("nobody is signed in at %s: %.1000s", page.URL, page.Text)
		}
		all = append(all, h)
	}
	return all, nil
}

// withPasskey opens the sign-in page and answers it with a passkey, which begins
// a session. At the limit server both are the same bytes, and it verifies the
// same signature; here the same is signed for both.
func (f *fixture) withPasskey(page, post, asked string) func(int) unit {
	return func(i int) unit {
		h := f.holders[i%len(f.holders)]
		ask := func(c *conn, method, path, body string) (int, string, []byte, error) {
			headers := f.headers("Cookie", h.cookies)
			headers["Sec-Fetch-Site"], headers["Origin"] = "same-origin", f.server.Issuer
			// Each comes from a network of their own, where addresses change: an
			// address is held to a rate.
			headers["X-Forwarded-For"] = fmt.Sprintf("10.%d.%d.%d", i%len(f.holders), rand.N(256), rand.N(256))
			return c.send(request(method, path, headers, body))
		}
		return func(c *conn) error {
			status, _, body, err := ask(c, http.MethodGet, page, "")
			if err != nil {
				return err
			}
			text, options, token := string(body), asked, "limit"
			if options == "" {
				o, form := askedFor.FindStringSubmatch(text), formToken.FindStringSubmatch(text)
				if status != http.StatusOK || o == nil || form == nil {
					return fmt.Errorf("the sign-in page answered %d %.300s", status, body)
				}
				options, token = html.UnescapeString(o[1]), form[1]
			}
			form := url.Values{"form": {token}, "answer": {h.device.Get([]byte(options))}}
			if status, _, body, err = ask(c, http.MethodPost, post, form.Encode()); err == nil && status != http.StatusSeeOther {
				err = fmt.Errorf("the passkey answered %d %.300s", status, body)
			}
			return err
		}
	}
}
