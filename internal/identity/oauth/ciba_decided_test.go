package oauth_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/oauth"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

// listener is an address of an application that is told something.
type listener struct {
	origin string
	status atomic.Int32
	got    chan heard
}

// heard is what it was told.
type heard struct {
	Type, Bearer string
	Body         []byte
	reply
	ID string `json:"auth_req_id"`
}

func (d *door) listener(host string) *listener {
	d.Helper()
	l := &listener{got: make(chan heard, 100)}
	l.status.Store(http.StatusNoContent)
	l.origin = d.Outside.Serve(host, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := heard{Type: r.Header.Get("Content-Type"), Bearer: r.Header.Get("Authorization")}
		h.Body, _ = io.ReadAll(r.Body)
		_ = json.Unmarshal(h.Body, &h)
		if r.Method == http.MethodPost && r.URL.Path == "/told" {
			l.got <- h
		}
		w.WriteHeader(int(l.status.Load()))
	}))
	return l
}

func (l *listener) next(t testing.TB) heard {
	t.Helper()
	select {
	case h := <-l.got:
		return h
	case <-time.After(30 * time.Second):
		t.Fatal("nothing arrived")
		return heard{}
	}
}

// quiet fails if something was told.
func (l *listener) quiet(t testing.TB) {
	t.Helper()
	select {
	case h := <-l.got:
		t.Errorf("was told %s", h.Body)
	default:
	}
}

// in moves the clock, and has the queue look.
func (d *door) in(wait time.Duration) {
	d.Clock.Advance(wait)
	d.DB.Wake("job")
}

// toldBy has a client be told at the listener.
func (l *listener) toldBy(mode string) func(*client.Settings) {
	return func(s *client.Settings) { s.DeliveryMode, s.NotificationEndpoint = mode, l.origin+"/told" }
}

const notification = "8d67dc78-7faa-4d41-aabd-67707b374255"

// TestPing: CIBA, section 10.2. The client is told that there is an answer, yes
// or no, and asks for it.
func TestPing(t *testing.T) {
	run(t, func(d *door) {
		l := d.listener("one.example.com")
		secret := d.bank("bank", l.toldBy(client.Ping))
		if got := d.call("bank", secret); got.Error != "invalid_request" {
			d.Errorf("without a notification token: %+v", got)
		}
		for _, bad := range []string{"with blank", "ä", strings.Repeat("x", 1025), "a=b", "=="} {
			if got := d.call("bank", secret, "client_notification_token", bad); got.Error != "invalid_request" {
				d.Errorf("%q: %+v", bad, got)
			}
		}
		b := d.signedIn(d.signIn(d.ada))
		for do, want := range map[string]string{"allow": "", "deny": "access_denied"} {
			got := d.call("bank", secret, "client_notification_token", notification)
			if got.Interval != 5 {
				d.Fatalf("%+v", got)
			}
			d.settled()
			l.quiet(d.T)
			b.submit(b.approvals(), "do", do)
			h := l.next(d.T)
			if h.ID != got.ID || h.Bearer != "Bearer "+notification || h.Type != "application/json" || strings.Count(string(h.Body), `"`) != 4 {
				d.Errorf("%s: %s %s %s", do, h.Type, h.Bearer, h.Body)
			}
			if answer := d.fetchCIBA("bank", secret, got.ID); answer.Error != want || (want == "") != (answer.Access != "") {
				d.Errorf("%s: %+v", do, answer)
			}
		}
		d.settled()
		l.quiet(d.T)
	})
}

// TestAPingIsNotRepeatedToWhoRefusesIt: a client that answers that it will not
// have the notice is told once, and asks if it likes; one that fails is told
// again. Nobody is sent elsewhere.
func TestAPingIsNotRepeatedToWhoRefusesIt(t *testing.T) {
	run(t, func(d *door) {
		l := d.listener("one.example.com")
		secret := d.bank("bank", l.toldBy(client.Ping))
		b := d.signedIn(d.signIn(d.ada))
		for status, again := range map[int]bool{301: false, 307: false, 400: false, 401: false, 403: false, 404: false, 408: true, 429: true, 500: true, 503: true} {
			l.status.Store(int32(status))
			got := d.call("bank", secret, "client_notification_token", notification)
			b.submit(b.approvals(), "do", "allow")
			l.next(d.T)
			d.settled()
			l.status.Store(http.StatusNoContent)
			d.in(time.Minute)
			if again {
				l.next(d.T)
			}
			d.settled()
			l.quiet(d.T)
			if answer := d.fetchCIBA("bank", secret, got.ID); answer.Access == "" {
				d.Errorf("%d: %+v", status, answer)
			}
		}
	})
}

// TestPush: CIBA, section 10.3. The client is told all, and asks for nothing.
func TestPush(t *testing.T) {
	run(t, func(d *door) {
		l := d.listener("one.example.com")
		secret := d.bank("bank", l.toldBy(client.Push))
		b := d.signedIn(d.signIn(d.ada))
		got := d.call("bank", secret, "scope", "openid offline_access", "client_notification_token", notification)
		if got.Status != 200 || got.Interval != 0 {
			d.Fatalf("%+v", got)
		}
		d.refuse(d.fetchCIBA("bank", secret, got.ID), 400, "unauthorized_client")
		b.submit(b.approvals(), "do", "allow")
		h := l.next(d.T)
		if h.ID != got.ID || h.Bearer != "Bearer "+notification || h.Type != "application/json" || h.Access == "" || h.Refresh == "" || h.reply.Type != "Bearer" {
			d.Fatalf("%s %s %s", h.Type, h.Bearer, h.Body)
		}
		id := d.claims(h.reply.ID)
		if id["sub"] != d.ada.ID || id["urn:openid:params:jwt:claim:auth_req_id"] != got.ID || id["urn:openid:params:jwt:claim:rt_hash"] != token.HalfHash("ES256", h.Refresh) || id["at_hash"] != token.HalfHash("ES256", h.Access) {
			d.Errorf("ID token: %v", id)
		}
		if !d.alive(h.Access) {
			d.Error("the access token is dead")
		}
		if next := d.token("bank", secret, "grant_type", "refresh_token", "refresh_token", h.Refresh); next.Refresh == "" {
			d.Errorf("refresh: %+v", next)
		}
		d.call("bank", secret, "client_notification_token", notification)
		b.submit(b.approvals(), "do", "deny")
		if h := l.next(d.T); h.Error != "access_denied" || h.Access != "" || h.ID == "" || h.ID == got.ID {
			d.Errorf("denied: %s", h.Body)
		}
		d.settled()
		l.quiet(d.T)
	})
}

// TestPushIsRepeated: a client that fails is told again, of the one grant there
// is, and nothing is kept once it has heard.
func TestPushIsRepeated(t *testing.T) {
	run(t, func(d *door) {
		l := d.listener("one.example.com")
		l.status.Store(http.StatusInternalServerError)
		secret := d.bank("bank", l.toldBy(client.Push))
		b := d.signedIn(d.signIn(d.ada))
		d.call("bank", secret, "scope", "openid offline_access", "client_notification_token", notification)
		b.submit(b.approvals(), "do", "allow")
		first := l.next(d.T)
		d.settled()
		l.status.Store(http.StatusOK)
		d.in(time.Minute)
		second := l.next(d.T)
		d.settled()
		if second.Refresh != first.Refresh || second.Access == first.Access || d.claims(second.Access)["gid"] != d.claims(first.Access)["gid"] {
			d.Errorf("told %s, then %s", first.Body, second.Body)
		}
		if !d.alive(second.Access) {
			d.Error("the access token is dead")
		}
		births, decided := 0, ""
		for _, e := range d.Events(d.T, d.realm) {
			if e.Action == "grant.create" {
				births++
			}
			if e.Action == "approval.approve" {
				decided = e.Target
			}
		}
		if births != 1 {
			d.Errorf("%d grants were born", births)
		}
		kept, err := d.Approvals.ByID(context.Background(), d.realm, decided)
		if err != nil {
			d.Fatal(err)
		}
		if s, err := d.Approvals.Secrets(kept); err == nil {
			d.Errorf("kept after delivery: %d bytes", len(s.Code))
		}
		d.in(time.Hour)
		d.settled()
		l.quiet(d.T)
	})
}

// TestPushPassesTheGate: what ended between the decision and its delivery is not
// delivered.
func TestPushPassesTheGate(t *testing.T) {
	run(t, func(d *door) {
		l := d.listener("one.example.com")
		l.status.Store(http.StatusInternalServerError)
		secret := d.bank("bank", l.toldBy(client.Push))
		b := d.signedIn(d.signIn(d.ada))
		d.call("bank", secret, "client_notification_token", notification)
		b.submit(b.approvals(), "do", "allow")
		if h := l.next(d.T); h.Access == "" {
			d.Fatalf("%s", h.Body)
		}
		d.settled()
		if err := d.Grants.SignOutEverywhere(context.Background(), audit.System, d.realm, d.ada.ID, "test"); err != nil {
			d.Fatal(err)
		}
		l.status.Store(http.StatusOK)
		d.in(time.Minute)
		if h := l.next(d.T); h.Error != "transaction_failed" || h.Access != "" || h.Refresh != "" {
			d.Errorf("after the sign-out: %s", h.Body)
		}
	})
}

// TestPeopleAreNotified: the realm's webhook is told of requests that wait for
// somebody who exists, with a token that the realm has signed.
func TestPeopleAreNotified(t *testing.T) {
	run(t, func(d *door) {
		l := d.listener("two.example.com")
		hook := l.origin + "/told"
		if _, err := d.Realms.Update(context.Background(), audit.System, d.realm, 0, realm.Change{Settings: map[string]any{"approval_webhook": hook}}); err != nil {
			d.Fatal(err)
		}
		secret := d.bank("bank")
		d.tv("tvset")
		d.call("bank", secret, "login_hint", "nobody@example.com")
		d.device("tvset")
		d.settled()
		l.quiet(d.T)
		l.status.Store(http.StatusBadGateway)
		d.call("bank", secret, "binding_message", "W4-SCT")
		first := l.next(d.T)
		d.settled()
		l.status.Store(http.StatusOK)
		d.in(10 * time.Second)
		again := l.next(d.T)
		keys, err := d.Ring.Verifiers(context.Background(), d.realm)
		if err != nil {
			d.Fatal(err)
		}
		_, err = jose.Verify(string(again.Body), jose.Want{Typ: []string{oauth.TypeNotice}, Keys: keys, MaxBytes: 8 << 10})
		if err != nil || again.Type != "application/jwt" || again.Bearer != "" {
			d.Fatalf("%s %s: %v", again.Type, again.Body, err)
		}

		got, before := d.claims(string(again.Body)), d.claims(string(first.Body))
		if got["iss"] != d.issuer() || got["aud"] != hook || got["sub"] != d.ada.ID || got["client_id"] != "bank" || got["binding_message"] != "W4-SCT" ||
			got["page"] != d.issuer()+"/account/approvals" || got["scope"] != "email openid" || got["jti"] != before["jti"] {
			d.Errorf("%v, before that %v", got, before)
		}
		for name := range got {
			if strings.Contains(name, "auth_req") {
				d.Errorf("the notice holds %s", name)
			}
		}
		d.settled()
		l.quiet(d.T)
	})
}

// TestPushedDetailsAreRepeated: RFC 9396. A client that is told again is told of
// the same authorization details.
func TestPushedDetailsAreRepeated(t *testing.T) {
	run(t, func(d *door) {
		d.payments()
		l := d.listener("one.example.com")
		l.status.Store(http.StatusInternalServerError)
		secret := d.bank("bank", detailed, l.toldBy(client.Push))
		b := d.signedIn(d.signIn(d.ada))
		d.call("bank", secret, "authorization_details", "["+toEve+"]", "client_notification_token", notification)
		b.submit(b.approvals(), "do", "allow")
		d.hasDetails("first", "bank", secret, l.next(d.T).reply, "["+toEve+"]")
		d.settled()
		l.status.Store(http.StatusOK)
		d.in(time.Minute)
		d.hasDetails("again", "bank", secret, l.next(d.T).reply, "["+toEve+"]")
		d.settled()
	})
}

// TestPushedTokensAreBound: what a client shows with its request, since it makes
// no other, is what its tokens are bound to, as at the token endpoint. Leave
// Instance out of what backchannelAuthentication keeps to see it fail.
func TestPushedTokensAreBound(t *testing.T) {
	run(t, func(d *door) {
		l, b := d.listener("one.example.com"), d.signedIn(d.signIn(d.ada))
		attester, _ := jose.Generate("a1", jose.ES256)
		phone, _ := jose.Generate("", jose.ES256)
		other, _ := jose.Generate("", jose.EdDSA)
		d.bank("wallet", l.toldBy(client.Push), func(s *client.Settings) {
			s.AuthMethod, s.AttesterJWKS = client.AttestedJWT, string(jose.Set{attester.Public()}.JSON())
		})
		ask := url.Values{"scope": {"openid offline_access"}, "login_hint": {"ada@example.com"}, "client_notification_token": {notification}}.Encode()
		told := func(head ...string) heard {
			d.Helper()
			if w := d.do("POST", "/oauth2/bc-authorize", ask, head...); w.Code != http.StatusOK {
				d.Fatalf("%d %s", w.Code, w.Body)
			}
			b.submit(b.approvals(), "do", "allow")
			return l.next(d.T)
		}
		h := told("OAuth-Client-Attestation", d.attestation(attester, phone, "wallet", nil), "OAuth-Client-Attestation-PoP", d.pop(phone, nil))
		refresh := func(key *jose.Key) reply {
			return d.present(d.attestation(attester, key, "wallet", nil), d.pop(key, nil), "grant_type", "refresh_token", "refresh_token", h.Refresh)
		}
		d.refuse(refresh(other), 400, "invalid_grant")
		if next := refresh(phone); next.Access == "" {
			d.Errorf("to the instance that asked: %+v", next)
		}

		secret, p := d.bank("bank", l.toldBy(client.Push)), d.prover()
		basic := "Basic " + basicOf("bank", secret)
		h = told("Authorization", basic, "DPoP", p.proof("POST", "/oauth2/bc-authorize", ""))
		if h.reply.Type != "DPoP" || d.userinfo("Bearer", h.Access, "").Code != 401 || d.userinfo("DPoP", h.Access, p.proof("GET", "/oauth2/userinfo", h.Access)).Code != 200 {
			d.Errorf("with a proof: %s", h.Body)
		}
		if w := d.do("POST", "/oauth2/bc-authorize", ask, "Authorization", basic, "DPoP", p.proof("POST", "/oauth2/token", "")); !strings.Contains(w.Body.String(), "invalid_dpop_proof") {
			d.Errorf("with a proof for elsewhere: %d %s", w.Code, w.Body)
		}
	})
}
