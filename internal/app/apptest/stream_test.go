package apptest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/verify"
)

const api = "https://api.example"

// outside is a program with a real connection to it: a recorder has no
// deadlines to set, and a verifier wants an address.
type outside struct {
	*Env
	http *http.Client
}

func reach(t *testing.T, e *Env) *outside {
	t.Helper()
	site := httptest.NewServer(e.Handler)
	t.Cleanup(site.Close)
	address := site.Listener.Addr().String()
	// https names the realm; what carries it here is a plain connection.
	plain := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	carrier := &http.Transport{DialTLSContext: plain}
	t.Cleanup(carrier.CloseIdleConnections)
	return &outside{e, &http.Client{Transport: carrier}}
}

// service registers a client that acts for itself.
func (o *outside) service(t *testing.T, id string, change func(*client.Settings)) string {
	t.Helper()
	s := client.Settings{Name: id, Type: client.Service, GrantTypes: []string{client.ClientCredentials},
		Scopes: []string{"read", "cardea:revocations"}, Resources: []string{api}}
	change(&s)
	return o.Client(t, realm.Default, id, s)
}

// token obtains an access token by client_credentials.
func (o *outside) token(t *testing.T, id, secret, scope string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", Issuer+"/oauth2/token",
		strings.NewReader(url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(id, secret)
	resp, err := o.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.Access == "" {
		t.Fatalf("no token for %s: %s %v", id, resp.Status, err)
	}
	return got.Access
}

// ask asks for the stream of an issuer and tells the status and the challenge.
func (o *outside) ask(t *testing.T, issuer string, as func(*http.Request)) (int, []string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, err := http.NewRequestWithContext(ctx, "GET", issuer+"/status-lists/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	as(r)
	resp, err := o.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header.Values("WWW-Authenticate")
}

// form makes a request a POST with these pairs.
func form(pairs ...string) func(*http.Request) {
	return func(r *http.Request) {
		v := url.Values{}
		for i := 0; i+1 < len(pairs); i += 2 {
			v.Add(pairs[i], pairs[i+1])
		}
		posted, _ := http.NewRequest("POST", r.URL.String(), strings.NewReader(v.Encode()))
		r.Method, r.Body, r.ContentLength = "POST", posted.Body, posted.ContentLength
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
}

func basic(id, secret string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(id, secret) }
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func both(one, two func(*http.Request)) func(*http.Request) {
	return func(r *http.Request) { one(r); two(r) }
}

// assertion is what a client signs to prove itself to an issuer.
func (o *outside) assertion(t *testing.T, key *jose.Key, id, issuer string) []string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{"iss": id, "sub": id, "aud": issuer, "jti": rand.Text(), "exp": o.Clock.Now().Add(time.Minute).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	text, err := jose.Sign(key, "JWT", claims)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"client_assertion", text, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
}

// Who may follow the revocation stream: a resource server in the way it is
// registered for, or a token that was issued for it; nobody else.
func TestWhoMayFollowTheStream(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		o, ctx := reach(t, e), context.Background()
		before := len(e.Events(t, Neighbour))
		server := func(s *client.Settings) { s.ResourceServer = true }
		secret := o.service(t, "the-api", server)
		posts := o.service(t, "posts", func(s *client.Settings) { s.ResourceServer, s.AuthMethod = true, client.SecretPost })
		other := o.service(t, "other", func(*client.Settings) {})
		off := o.service(t, "off", server)
		if err := e.Grants.DisableClient(ctx, audit.System, realm.Default, "off", 0, nil); err != nil {
			t.Fatal(err)
		}
		idle := o.service(t, "idle", server)
		c, err := e.Clients.ByID(ctx, realm.Default, "idle")
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Grants.SuspendPrincipal(ctx, audit.System, realm.Default, c.Principal, "test", nil); err != nil {
			t.Fatal(err)
		}
		key, _ := jose.Generate("k1", jose.ES256)
		stranger, _ := jose.Generate("k1", jose.ES256)
		o.service(t, "signs", func(s *client.Settings) {
			s.ResourceServer, s.AuthMethod, s.JWKS = true, client.PrivateKeyJWT, string(jose.Set{key.Public()}.JSON())
		})
		o.service(t, "signs-too", func(s *client.Settings) {
			s.AuthMethod, s.JWKS = client.PrivateKeyJWT, string(jose.Set{key.Public()}.JSON())
		})
		e.Client(t, realm.Default, "spa", client.Settings{Name: "spa", Type: client.SPA, AuthMethod: client.None, RedirectURIs: []string{"https://spa.example/cb"},
			GrantTypes: []string{client.AuthorizationCode}, Scopes: []string{"openid"}})
		once := o.assertion(t, key, "signs", Issuer)
		for _, c := range []struct {
			name   string
			as     func(*http.Request)
			status int
		}{
			{"nobody", func(*http.Request) {}, 401},
			{"a resource server", basic("the-api", secret), 200},
			{"the same by POST", both(form(), basic("the-api", secret)), 200},
			{"a wrong secret", basic("the-api", secret[:len(secret)-1]), 401},
			{"a secret in the body of a client that uses Basic", form("client_id", "the-api", "client_secret", secret), 401},
			{"two ways at once", both(form("client_id", "the-api", "client_secret", secret), basic("the-api", secret)), 400},
			{"a client that posts its secret, by Basic", basic("posts", posts), 401},
			{"a client that posts its secret", form("client_id", "posts", "client_secret", posts), 200},
			{"a client that is no resource server", basic("other", other), 403},
			{"a disabled client", basic("off", off), 401},
			{"a client whose service is suspended", basic("idle", idle), 401},
			{"a public client", form("client_id", "spa"), 401},
			{"an assertion", form(once...), 200},
			{"the same assertion", form(once...), 401},
			{"an assertion for the neighbour", form(o.assertion(t, key, "signs", IssuerOf(Neighbour))...), 401},
			{"an assertion by another key", form(o.assertion(t, stranger, "signs", Issuer)...), 401},
			{"an assertion of a client that is no resource server", form(o.assertion(t, key, "signs-too", Issuer)...), 403},
			{"a token for the stream", bearer(o.token(t, "other", other, "cardea:revocations")), 200},
			{"a token for something else", bearer(o.token(t, "other", other, "read")), 401},
			{"a token and a form", both(form(o.assertion(t, key, "signs", Issuer)...), bearer(o.token(t, "other", other, "cardea:revocations"))), 401},
		} {
			status, challenge := o.ask(t, Issuer, c.as)
			if status != c.status {
				t.Errorf("%s: %d, want %d", c.name, status, c.status)
			}
			if status == 401 && !strings.Contains(strings.Join(challenge, ", "), "Bearer") {
				t.Errorf("%s: challenge %q", c.name, challenge)
			}
		}
		if after := len(e.Events(t, Neighbour)); after != before {
			t.Errorf("the neighbour has %d events of that", after-before)
		}
		if status, _ := o.ask(t, IssuerOf(Neighbour), basic("the-api", secret)); status != 401 {
			t.Errorf("at the neighbour's stream: %d", status)
		}
		if err := e.Log.FlushActivity(ctx); err != nil {
			t.Fatal(err)
		}
		told, err := e.Log.Activities(ctx, realm.Default, audit.ActivityFilter{Client: "the-api"})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(told.Records, func(a audit.Activity) bool { return a.Action == "client.refuse" && a.Target == "the-api" }) {
			t.Errorf("the log tells of no refused client: %+v", told.Records)
		}
	})
}

// follows starts a verifier of the default realm.
func (o *outside) follows(t *testing.T, c verify.Credentials, change ...func(*verify.Config)) *verify.Verifier {
	t.Helper()
	cfg := verify.Config{Issuer: Issuer, Audience: api, Credentials: c, HTTPClient: o.http, Now: o.Clock.Now}
	for _, f := range change {
		f(&cfg)
	}
	v, err := verify.New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := v.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return v
}

func refused(v *verify.Verifier, token string) bool {
	_, err := v.Verify(context.Background(), token)
	return errors.Is(err, verify.ErrRevoked)
}

// until polls, since another goroutine must act.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick, deadline := time.NewTicker(2*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// A resource server without a secret follows with assertions that its key signs,
// and loses the stream when the key is taken away.
func TestAVerifierWithAKeyOfItsOwn(t *testing.T) {
	t.Parallel() // it waits most of the time
	Run(t, func(t *testing.T, e *Env) {
		o, ctx := reach(t, e), context.Background()
		signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		public, err := jose.NewPublicKey("k1", jose.ES256, signer.Public())
		if err != nil {
			t.Fatal(err)
		}
		o.service(t, "the-api", func(s *client.Settings) {
			s.ResourceServer, s.AuthMethod, s.JWKS = true, client.PrivateKeyJWT, string(jose.Set{public}.JSON())
		})
		secret := o.service(t, "robot", func(*client.Settings) {})
		troubles := make(chan error, 100)
		v := o.follows(t, verify.PrivateKeyJWT("the-api", "k1", signer), func(c *verify.Config) {
			c.OnError = func(err error) {
				select {
				case troubles <- err:
				default:
				}
			}
		})
		token := o.token(t, "robot", secret, "read")
		got, err := v.Verify(ctx, token)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Grants.Revoke(ctx, audit.System, realm.Default, got.GrantID, "test"); err != nil {
			t.Fatal(err)
		}
		until(t, "the revoked token is refused", func() bool { return refused(v, token) })

		c, err := e.Clients.ByID(ctx, realm.Default, "the-api")
		if err != nil {
			t.Fatal(err)
		}
		keys, err := e.Credentials.Keys(ctx, realm.Default, c.Principal)
		if err != nil || len(keys) != 1 {
			t.Fatalf("%v %v", keys, err)
		}
		if err := e.Grants.RevokeCredential(ctx, audit.System, realm.Default, keys[0].ID, "test", nil); err != nil {
			t.Fatal(err)
		}
		for refusedKey := false; !refusedKey; {
			select {
			case err := <-troubles:
				refusedKey = strings.Contains(err.Error(), "401")
			case <-time.After(30 * time.Second):
				t.Fatal("the stream goes on with a key that was taken away")
			}
		}
	})
}
