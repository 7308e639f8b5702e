// Package soak loads two nodes on one PostgreSQL as fast as they answer and
// counts the answers that are no yes. A node that cannot renew its lease under
// load answers 503, however healthy its database is.
package soak

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/e2e/live"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

const (
	redirect = "http://127.0.0.1/callback"
	proof    = "0123456789abcdefghijklmnopqrstuvwxyz-0123456789"
	// perNode is how many requests of each kind a node has to answer at a time:
	// more than it has processors and database connections.
	perNode = 16
)

// lasting is CARDEA_TEST_SOAK, which make long sets, else so short that it only
// shows that the test works.
func lasting(t *testing.T) time.Duration {
	text := os.Getenv("CARDEA_TEST_SOAK")
	if text == "" {
		return 2 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("CARDEA_TEST_SOAK: %v", err)
	}
	return d
}

// A node keeps its lease under load: not one answer is node_stale.
func TestLeasesHoldUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("runs whole servers")
	}
	database := dbtest.URL(t, db.Postgres)
	binary, err := live.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lasting(t)+3*time.Minute)
	defer cancel()
	first, err := live.Install(ctx, live.Options{Binary: binary, Dir: t.TempDir(), Database: database})
	if err != nil {
		t.Fatal(err)
	}
	second, err := first.Twin()
	if err != nil {
		t.Fatal(err)
	}
	nodes := []*live.Server{first, second}
	for _, n := range nodes {
		if err := n.Start(ctx); err != nil {
			t.Fatal(err)
		}
		defer n.Kill()
	}
	l, err := prepare(ctx, first)
	if err != nil {
		t.Fatal(err)
	}

	during, stop := context.WithTimeout(ctx, lasting(t))
	defer stop()
	var load sync.WaitGroup
	for i := range perNode * len(nodes) {
		load.Go(func() { l.robots(during, nodes[i%len(nodes)]) })
		load.Go(func() { l.family(during, nodes, i) })
	}
	load.Wait()
	t.Logf("in %s: %d tokens by client_credentials, %d by refresh", lasting(t), l.credentials.Load(), l.refreshes.Load())
	if l.credentials.Load() == 0 || l.refreshes.Load() == 0 {
		t.Error("there was no load")
	}
	if n := l.stale.Load(); n > 0 {
		t.Errorf("%d answers were node_stale", n)
	}
	if n := l.wrong.Load(); n > 0 {
		t.Errorf("%d answers were no yes, the first: %v", n, *l.firstWrong.Load())
	}
	if t.Failed() {
		for _, n := range nodes {
			t.Logf("the end of what a node says:\n%s", warnings(n.Log(1<<20)))
		}
	}
}

// load is what the workers share.
type load struct {
	host        string
	robot, app  account
	families    []string // a refresh token for each worker
	credentials atomic.Int64
	refreshes   atomic.Int64
	stale       atomic.Int64
	wrong       atomic.Int64
	firstWrong  atomic.Pointer[string]
	http        *http.Client
}

type account struct{ id, secret string }

// prepare makes a service, an application, and a grant for each worker.
func prepare(ctx context.Context, s *live.Server) (*load, error) {
	l := &load{host: strings.TrimPrefix(s.Issuer, "http://"), http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 10 * perNode}}}
	for _, one := range []struct {
		into *account
		make api.ClientCreate
	}{
		{&l.robot, api.ClientCreate{ID: "robot", ClientSettings: api.ClientSettings{Name: "Robot", Type: "service",
			GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}, Resources: []string{"https://api.example"}}}},
		{&l.app, api.ClientCreate{ID: "app", ClientSettings: api.ClientSettings{Name: "App", Type: "web", FirstParty: true, RedirectURIs: []string{redirect},
			GrantTypes: []string{"authorization_code", "refresh_token"}, Scopes: []string{"openid", "offline_access"}}}},
	} {
		made, err := s.Admin.Clients.Create(ctx, one.make)
		if err != nil {
			return nil, err
		}
		*one.into = account{made.Client.ID, made.Secret}
	}
	const login, password = "soak@example.com", "turquoise walrus on a bicycle"
	if err := s.NewPerson(ctx, login, password); err != nil {
		return nil, err
	}
	challenge := sha256.Sum256([]byte(proof))
	address := s.Issuer + "/oauth2/authorize?" + url.Values{"response_type": {"code"}, "client_id": {l.app.id}, "redirect_uri": {redirect},
		"scope": {"openid offline_access"}, "state": {"1234567890"}, "nonce": {"1234567890"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"}}.Encode()
	b := live.NewBrowser()
	if _, err := b.SignIn(ctx, address, login, password); err != nil {
		return nil, err
	}
	for range 2 * perNode {
		page, err := b.Open(ctx, address)
		if err != nil {
			return nil, err
		}
		to, err := url.Parse(page.Location)
		if err != nil {
			return nil, err
		}
		t, _, err := s.Token(ctx, l.app.id, l.app.secret, url.Values{"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")},
			"redirect_uri": {redirect}, "code_verifier": {proof}})
		if err != nil {
			return nil, err
		}
		l.families = append(l.families, t.Refresh)
	}
	return l, nil
}

// robots gets tokens by client_credentials from one node.
func (l *load) robots(ctx context.Context, node *live.Server) {
	for ctx.Err() == nil {
		if _, ok := l.ask(ctx, node, l.robot, url.Values{"grant_type": {"client_credentials"}}); ok {
			l.credentials.Add(1)
		}
	}
}

// family refreshes one grant, at one node after the other.
func (l *load) family(ctx context.Context, nodes []*live.Server, i int) {
	next := l.families[i]
	for n := i; ctx.Err() == nil; n++ {
		t, ok := l.ask(ctx, nodes[n%len(nodes)], l.app, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {next}})
		if !ok {
			continue // a repetition gets the same successor
		}
		l.refreshes.Add(1)
		next = t.Refresh
	}
}

// ask asks a node for tokens and notes an answer that is no yes.
func (l *load) ask(ctx context.Context, node *live.Server, who account, form url.Values) (t live.Tokens, ok bool) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+node.Listen+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		l.no(err.Error())
		return t, false
	}
	r.Host = l.host
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(who.id, who.secret)
	resp, err := l.http.Do(r)
	if ctx.Err() != nil {
		return t, false // the end cut it short
	}
	if err != nil {
		l.no(err.Error())
		return t, false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if ctx.Err() != nil {
		return t, false
	}
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(body, &t) != nil {
		if resp.StatusCode == http.StatusServiceUnavailable && bytes.Contains(body, []byte("lost touch")) {
			l.stale.Add(1)
		}
		l.no(fmt.Sprintf("%s %v: %.300s", resp.Status, err, body))
		return t, false
	}
	return t, true
}

func (l *load) no(why string) {
	l.wrong.Add(1)
	l.firstWrong.CompareAndSwap(nil, &why)
}

// warnings are the lines of a log that tell of no request.
func warnings(log string) string {
	var b strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `"path":`) && !strings.Contains(line, `"status":200`) && b.Len() < 4000 {
			b.WriteString(line)
		}
	}
	return b.String()
}
