package kill

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
	"github.com/cardea-id/cardea/e2e/live"
)

const (
	login    = "ada@example.com"
	password = "turquoise walrus on a bicycle"
	redirect = "http://127.0.0.1/callback"
	verifier = "a-verifier-of-at-least-forty-three-characters-0"
)

// A world remembers what the server acknowledged. Each worker owns its part
// and touches it only while the load runs; verify reads it between.
type world struct {
	server  *live.Server
	secret  string // of the client app
	browser *live.Browser

	people   []*peopleMaker
	families []*family
	codes    []*codeUser
	revokers []*revoker

	mu      sync.Mutex
	problem error
	checked struct{ people, refreshes, codes, revocations, events int }
}

const app = "app"

func newWorld(ctx context.Context, s *live.Server) (*world, error) {
	w := &world{server: s, browser: live.NewBrowser()}
	made, err := s.Admin.Clients.Create(ctx, api.ClientCreate{ID: app, ClientSettings: api.ClientSettings{
		Name: "App", Type: "web", FirstParty: true, RedirectURIs: []string{redirect},
		GrantTypes: []string{"authorization_code", "refresh_token"}, Scopes: []string{"openid", "offline_access"},
	}})
	if err != nil {
		return nil, err
	}
	w.secret = made.Secret
	if err := s.NewPerson(ctx, login, password); err != nil {
		return nil, err
	}
	if _, err := w.browser.SignIn(ctx, w.authorizeURL(), login, password); err != nil {
		return nil, err
	}
	for i := range 2 {
		w.people = append(w.people, &peopleMaker{world: w, name: i})
		w.codes = append(w.codes, &codeUser{world: w})
		w.revokers = append(w.revokers, &revoker{world: w})
	}
	for range 4 {
		f := &family{world: w}
		if err := f.begin(ctx); err != nil {
			return nil, err
		}
		w.families = append(w.families, f)
	}
	return w, nil
}

func (w *world) workers() []func(context.Context) {
	var all []func(context.Context)
	for _, p := range w.people {
		all = append(all, p.work)
	}
	for _, f := range w.families {
		all = append(all, f.work)
	}
	for _, c := range w.codes {
		all = append(all, c.work)
	}
	for _, r := range w.revokers {
		all = append(all, r.work)
	}
	return all
}

// verify asks the restarted server for everything it had acknowledged.
func (w *world) verify(ctx context.Context) error {
	for _, c := range w.codes {
		if err := c.verify(ctx); err != nil {
			return err
		}
	}
	for _, f := range w.families {
		if err := f.verify(ctx); err != nil {
			return err
		}
	}
	for _, r := range w.revokers {
		if err := r.verify(ctx); err != nil {
			return err
		}
	}
	for _, p := range w.people {
		if err := p.verify(ctx); err != nil {
			return err
		}
	}
	return w.verifyLog(ctx)
}

// verifyLog holds the event log to the state: it is intact, and the people in
// the log are the people there are, once each (P-02, P-12).
func (w *world) verifyLog(ctx context.Context) error {
	v, err := w.server.Admin.Events.Verify(ctx)
	if err != nil {
		return err
	}
	if !v.Intact {
		return fmt.Errorf("the event log is not intact: %s", v.Problem)
	}
	logged := map[string]int{}
	for e, err := range w.server.Admin.Events.All(ctx, client.Filter{"action": "principal.create"}) {
		if err != nil {
			return err
		}
		logged[e.Target]++
		w.checked.events++
	}
	for u, err := range w.server.Admin.Users.All(ctx, nil) {
		if err != nil {
			return err
		}
		if logged[u.ID] != 1 {
			return fmt.Errorf("%d events for the creation of %s", logged[u.ID], u.ID)
		}
		delete(logged, u.ID)
	}
	for id := range logged {
		if len(id) > 4 && id[:4] == "usr_" {
			return fmt.Errorf("the log tells of %s, which does not exist", id)
		}
	}
	return nil
}

// report keeps the first thing that went wrong under load. A connection that
// broke or a 5xx is the kill; an answer that no kill explains is a finding.
func (w *world) report(status int, err error) {
	if err == nil || status == 0 || status >= 500 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.problem == nil {
		w.problem = err
	}
}

func (w *world) wrong() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.problem
}

func (w *world) summary() string {
	return fmt.Sprintf("%d people, %d refreshes, %d codes, %d revocations, %d events looked at", w.checked.people, w.checked.refreshes, w.checked.codes, w.checked.revocations, w.checked.events)
}

// fruitful fails when the campaign had nothing to lose.
func (w *world) fruitful() error {
	if c := w.checked; c.people == 0 || c.refreshes == 0 || c.codes == 0 || c.revocations == 0 {
		return errors.New("the load was too light to show anything: " + w.summary())
	}
	return nil
}

func (w *world) authorizeURL() string {
	challenge := sha256.Sum256([]byte(verifier))
	return w.server.Issuer + "/oauth2/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {app}, "redirect_uri": {redirect}, "scope": {"openid offline_access"}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode()
}

// code asks for a code with the session of the world's browser.
func (w *world) code(ctx context.Context) (string, error) {
	page, err := w.browser.Open(ctx, w.authorizeURL())
	if err != nil {
		return "", err
	}
	to, err := url.Parse(page.Location)
	if err != nil {
		return "", err
	}
	code := to.Query().Get("code")
	if code == "" {
		return "", fmt.Errorf("no code from %s: %d %s", page.URL.Path, page.Status, to)
	}
	return code, nil
}

func (w *world) redeem(ctx context.Context, code string) (live.Tokens, int, error) {
	return w.server.Token(ctx, app, w.secret, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier},
	})
}

func (w *world) refresh(ctx context.Context, token string) (live.Tokens, int, error) {
	return w.server.Token(ctx, app, w.secret, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// heeding asks again as long as the answer is that the change is made but not yet
// confirmed everywhere: until its lease has run out, the process that was killed
// counts as a node that has not heard of it.
func heeding(ctx context.Context, ask func(context.Context, string) (live.Tokens, int, error), with string) (live.Tokens, int, error) {
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for late := time.After(time.Minute); ; {
		t, status, err := ask(ctx, with)
		if status != http.StatusServiceUnavailable {
			return t, status, err
		}
		select {
		case <-again.C:
		case <-late:
			return t, status, err
		}
	}
}

// refused reports whether the token endpoint said invalid_grant.
func refused(t live.Tokens, status int) bool {
	return status == http.StatusBadRequest && t.Error == "invalid_grant"
}
