package oauth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/logout"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/jose"
)

// receiver is an application that is told of sign-outs.
type receiver struct {
	origin string
	status atomic.Int32
	got    chan string // the logout tokens of requests that have the right form
	hits   atomic.Int32
}

func (d *door) receiver(host string) *receiver {
	d.Helper()
	r := &receiver{got: make(chan string, 100)}
	r.status.Store(http.StatusOK)
	r.origin = d.Outside.Serve(host, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.hits.Add(1)
		if q.Method == http.MethodPost && q.URL.Path == "/logout" && q.URL.RawQuery == "" &&
			q.Header.Get("Content-Type") == "application/x-www-form-urlencoded" && q.Header.Get("Cookie") == "" && q.ParseForm() == nil && len(q.PostForm) == 1 {
			r.got <- q.PostForm.Get("logout_token")
		}
		if s := int(r.status.Load()); s == http.StatusFound {
			http.Redirect(w, q, "/elsewhere", s)
		} else {
			w.WriteHeader(s)
		}
	}))
	return r
}

// told has a client be told at the receiver.
func (r *receiver) told(s *client.Settings) { s.BackChannelLogoutURI = r.origin + "/logout" }

// next is the next token that arrives. The two seconds that are promised are held
// against it by the long tests, which run alone (SE-04).
func (r *receiver) next(t testing.TB) string {
	t.Helper()
	patience := 30 * time.Second
	if os.Getenv("CARDEA_TEST_TIMING") != "" {
		patience = 2 * time.Second
	}
	select {
	case text := <-r.got:
		return text
	case <-time.After(patience):
		t.Errorf("nothing arrived within %v", patience)
		return ""
	}
}

// settled waits until no job is waiting to be done now.
func (d *door) settled() {
	d.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		waiting, _, err := d.Jobs.Depth(context.Background())
		if err != nil {
			d.Fatal(err)
		}
		due := 0
		page, _, err := d.Jobs.List(context.Background(), d.realm, job.Filter{State: job.Waiting}, "", 500)
		if err != nil {
			d.Fatal(err)
		}
		for _, j := range page {
			if d.Jobs.Running(j) || !j.Due.After(d.Clock.Now()) {
				due++
			}
		}
		if due == 0 {
			return
		}
		if time.Now().After(deadline) {
			d.Fatalf("%d jobs wait, %d of them for nothing", waiting, due)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// later moves the clock to when failed jobs are due, and has the queue look.
func (d *door) later() {
	d.Clock.Advance(time.Hour)
	d.DB.Wake("job")
}

// SE-04, OpenID Connect Back-Channel Logout 1.0, sections 2.2 to 2.6: whichever
// way a session ends, each application that somebody was signed in to with it is
// told within two seconds, as its ID tokens named person and session. Take the
// call of tell out of EndTx or endMany to see it fail.
func TestEveryEndOfASessionIsTold(t *testing.T) {
	run(t, func(d *door) {
		one, two := d.receiver("one.example.com"), d.receiver("two.example.com")
		first := d.app("first", one.told)
		second := d.app("second", two.told, func(s *client.Settings) {
			s.SubjectType, s.IDTokenAlg, s.BackChannelLogoutSession = client.Pairwise, "RS256", true
		})
		third := d.app("third")
		ctx := context.Background()
		session := func(cookie string) *session.Session {
			_, text, _ := strings.Cut(cookie, "=")
			e, err := d.Sessions.FromSecret(ctx, d.realm, text)
			if err != nil {
				d.Fatal(err)
			}
			return e
		}
		other := d.signIn(d.Person(d.T, d.realm, "other@example.com"))
		d.tokens(other, "first", first) // of a session that goes on
		for i, way := range []struct {
			name string
			end  func(e *ending) error
		}{
			{"sign-out", func(e *ending) error { return d.Grants.EndSession(ctx, audit.System, d.realm, e.ID, "sign_out") }},
			{"sign-out by an application", func(e *ending) error {
				if w := d.get("/oauth2/logout?id_token_hint="+e.hint, e.cookie); w.Code != http.StatusSeeOther {
					return fmt.Errorf("%d %s", w.Code, w.Body)
				}
				return nil
			}},
			{"everywhere", func(e *ending) error {
				return d.Grants.SignOutEverywhere(ctx, audit.System, d.realm, e.Principal, "test")
			}},
			{"suspension", func(e *ending) error {
				return d.Grants.SuspendPrincipal(ctx, audit.System, d.realm, e.Principal, "test", nil)
			}},
			{"deletion", func(e *ending) error {
				return d.Grants.DeletePrincipal(ctx, audit.System, d.realm, e.Principal, "test", nil)
			}},
			{"credential", func(e *ending) error {
				return d.Grants.RevokeCredential(ctx, audit.System, d.realm, e.Credential, "test", nil)
			}},
		} {
			cookie := d.signIn(d.Person(d.T, d.realm, fmt.Sprintf("p%d@example.com", i)))
			e := &ending{Session: session(cookie), cookie: cookie}
			id := d.tokens(cookie, "first", first, "scope", "openid offline_access")
			pairwise := d.tokens(cookie, "second", second)
			d.tokens(cookie, "third", third) // is told of nothing
			d.revoke("first", first, id.Refresh)
			e.hint = id.ID
			if err := way.end(e); err != nil {
				d.Fatalf("%s: %v", way.name, err)
			}
			d.checkLogout(way.name, one.next(d.T), id.ID, "first", "ES256")
			d.checkLogout(way.name, two.next(d.T), pairwise.ID, "second", "RS256")
		}
		d.settled()
		if one.hits.Load() != 6 || two.hits.Load() != 6 {
			d.Errorf("told %d and %d times, want 6 each", one.hits.Load(), two.hits.Load())
		}
	})
}

// ending is a session with what its browser and its application hold.
type ending struct {
	*session.Session
	cookie, hint string
}

func (d *door) revoke(id, secret, token string) {
	d.Helper()
	w := d.do("POST", "/oauth2/revoke", values(nil, "token", token).Encode(), "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(id+":"+secret)))
	if w.Code != http.StatusOK {
		d.Fatalf("revoke: %d %s", w.Code, w.Body)
	}
}

// checkLogout verifies a logout token as section 2.6 has it, against the ID token
// that the same client got in the same session.
func (d *door) checkLogout(what, text, idToken, id, alg string) {
	d.Helper()
	keys, err := d.Ring.Verifiers(context.Background(), d.realm)
	if err != nil {
		d.Fatal(err)
	}
	v, err := jose.Verify(text, jose.Want{Typ: []string{"logout+jwt"}, Keys: keys})
	if err != nil {
		d.Errorf("%s: %v: %q", what, err, text)
		return
	}
	var head struct{ Alg string }
	b, _ := base64.RawURLEncoding.DecodeString(text[:strings.IndexByte(text, '.')])
	if err := json.Unmarshal(b, &head); err != nil || head.Alg != alg {
		d.Errorf("%s: signed with %q, want %q", what, head.Alg, alg)
	}
	got, was := d.claims(text), d.claims(idToken)
	events, _ := json.Marshal(got["events"])
	now := float64(d.Clock.Now().Unix())
	if got["iss"] != d.issuer() || got["aud"] != id || got["sub"] != was["sub"] || got["sid"] != was["sid"] || got["sid"] == nil || got["iat"] != now || got["exp"] != now+120 ||
		got["jti"] == nil || got["nonce"] != nil || string(events) != `{"http://schemas.openid.net/event/backchannel-logout":{}}` || len(got) != 8 {
		d.Errorf("%s: %v, want that of %v", what, got, was)
	}
	_ = v
	// JW-04: it is not taken for anything else.
	if d.alive(text) {
		d.Errorf("%s: the logout token is taken for an access token", what)
	}
	if w := d.get("/oauth2/logout?id_token_hint="+text+"&client_id="+id, ""); w.Code != http.StatusSeeOther || w.Header().Get("Location") == "" {
		d.Errorf("%s: the logout token is taken for a hint: %d", what, w.Code)
	}
}

// What a receiver does not take is sent again, with a token of its own, until it
// does; redirections are not followed; operators see it all by client and by
// session.
func TestDeliveriesAreRepeatedAndVisible(t *testing.T) {
	run(t, func(d *door) {
		ctx := context.Background()
		shop := d.receiver("one.example.com")
		secret := d.app("shop", shop.told)
		gone := d.app("gone", func(s *client.Settings) { s.BackChannelLogoutURI = "https://nowhere.example.com/logout" })
		cookie := d.signIn(d.ada)
		id := d.tokens(cookie, "shop", secret).ID
		d.tokens(cookie, "gone", gone)
		_, text, _ := strings.Cut(cookie, "=")
		e, err := d.Sessions.FromSecret(ctx, d.realm, text)
		if err != nil {
			d.Fatal(err)
		}
		shop.status.Store(http.StatusFound)
		if err := d.Grants.EndSession(ctx, audit.System, d.realm, e.ID, "test"); err != nil {
			d.Fatal(err)
		}
		first := shop.next(d.T)
		for _, status := range []int32{http.StatusBadRequest, http.StatusInternalServerError, http.StatusCreated} {
			d.settled()
			shop.status.Store(status)
			d.later()
			if again := shop.next(d.T); again == first {
				d.Error("an old token was sent again")
			}
		}
		d.settled()
		of := func(f job.Filter) *job.Job {
			d.Helper()
			page, _, err := d.Jobs.List(ctx, d.realm, f, "", 10)
			if err != nil || len(page) != 1 {
				d.Fatalf("%+v: %v, %v", f, page, err)
			}
			return page[0]
		}
		f := job.Filter{Kind: logout.KindDelivery, Target: "shop", Subject: e.ID}
		if j := of(f); j.State != job.Waiting || j.Attempts != 4 || !strings.Contains(j.LastError, "answered 201") {
			d.Errorf("%+v", j)
		}
		if j := of(job.Filter{Target: "gone"}); j.State != job.Waiting || !strings.Contains(j.LastError, "no such host") {
			d.Errorf("%+v", j)
		}
		shop.status.Store(http.StatusNoContent)
		d.later()
		d.checkLogout("at last", shop.next(d.T), id, "shop", "ES256")
		d.settled()
		if j := of(f); j.State != job.Done || j.Attempts != 5 || shop.hits.Load() != 5 {
			d.Errorf("%d hits, %+v", shop.hits.Load(), j)
		}
		if c, err := d.Clients.ByID(ctx, d.realm, "gone"); err != nil {
			d.Error(err)
		} else if err := d.Grants.DisableClient(ctx, audit.System, d.realm, "gone", c.Version, nil); err != nil {
			d.Error(err)
		}
		d.later()
		for deadline := time.Now().Add(30 * time.Second); of(job.Filter{Target: "gone"}).State != job.Dead; {
			if time.Now().After(deadline) {
				d.Fatalf("a disabled client is still to be told: %+v", of(job.Filter{Target: "gone"}))
			}
			<-time.After(10 * time.Millisecond)
		}
	})
}

// Of two nodes that end a session at once, and do what is to be done, one tells
// the application, and once.
func TestTwoNodesTellOnce(t *testing.T) {
	run(t, func(d *door) {
		if d.DB.Engine() == db.SQLite {
			d.Skip("SQLite serves one node")
		}
		other, ctx := d.Node(d.T), context.Background()
		shop := d.receiver("one.example.com")
		secret := d.app("shop", shop.told)
		for range 10 {
			cookie := d.signIn(d.ada)
			id := d.tokens(cookie, "shop", secret).ID
			_, text, _ := strings.Cut(cookie, "=")
			e, err := d.Sessions.FromSecret(ctx, d.realm, text)
			if err != nil {
				d.Fatal(err)
			}
			errs := make(chan error, 2)
			go func() { errs <- other.Grants.EndSession(ctx, audit.System, d.realm, e.ID, "test") }()
			go func() { errs <- d.Grants.SignOutEverywhere(ctx, audit.System, d.realm, e.Principal, "test") }()
			for range 2 {
				if err := <-errs; err != nil {
					d.Fatal(err)
				}
			}
			d.checkLogout("one of two", shop.next(d.T), id, "shop", "ES256")
		}
		d.settled()
		if shop.hits.Load() != 10 {
			d.Errorf("told %d times of 10 sessions", shop.hits.Load())
		}
	})
}

// Sessions that run out are told to nobody, and neither are realms beside.
func TestWhatIsNotTold(t *testing.T) {
	run(t, func(d *door) {
		shop := d.receiver("one.example.com")
		secret := d.app("shop", shop.told)
		cookie := d.signIn(d.ada)
		d.tokens(cookie, "shop", secret)
		d.Clock.Advance(60 * 24 * time.Hour)
		if err := d.Grants.SignOutEverywhere(context.Background(), audit.System, d.realm, d.ada.ID, "test"); err != nil {
			d.Fatal(err)
		}
		d.settled()
		if shop.hits.Load() != 0 {
			d.Errorf("told %d times", shop.hits.Load())
		}
	})
}
