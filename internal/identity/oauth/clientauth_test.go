package oauth_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
)

func basicOf(id, secret string) string {
	return base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id) + ":" + url.QueryEscape(secret)))
}

// TestClientSecrets: CL-01. Two live side by side for a rotation, a third is
// refused, and a revoked one is dead at once.
func TestClientSecrets(t *testing.T) {
	run(t, func(d *door) {
		ctx := context.Background()
		first := d.app("app")
		c, err := d.Clients.ByID(ctx, d.realm, "app")
		if err != nil {
			d.Fatal(err)
		}
		works := func(secret string) bool {
			d.Helper()
			return d.token("app", secret, "grant_type", "client_credentials").Access != ""
		}
		_, text, err := d.Credentials.AddSecret(ctx, audit.System, d.realm, c.Principal, "next", 0)
		if err != nil {
			d.Fatal(err)
		}
		second := string(text)
		if !works(first) || !works(second) || works(first+"x") || works("cdk_") || works(first[:len(first)-1]) {
			d.Error("exactly the two live secrets must work")
		}
		if _, _, err := d.Credentials.AddSecret(ctx, audit.System, d.realm, c.Principal, "third", 0); err == nil {
			d.Error("a third secret was made")
		}
		all, err := d.Credentials.List(ctx, d.realm, c.Principal)
		if err != nil || len(all) != 2 {
			d.Fatalf("%v %v", all, err)
		}
		token := d.token("app", first, "grant_type", "client_credentials").Access
		old := all[0]
		if old.Name == "next" {
			old = all[1]
		}
		if err := d.Grants.RevokeCredential(ctx, audit.System, d.realm, old.ID, "test", nil); err != nil {
			d.Fatal(err)
		}
		if works(first) || !works(second) {
			d.Error("the revoked secret must be dead and the other alive")
		}
		w := d.do("POST", "/oauth2/introspect", "token="+token, "Authorization", "Basic "+basicOf("app", second))
		if w.Body.String() != `{"active":false}` {
			d.Errorf("a token obtained with the revoked secret: %s", w.Body)
		}
	})
}

// TestOneMethodPerClient: CL-03.
func TestOneMethodPerClient(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		post := d.app("post", func(s *client.Settings) { s.AuthMethod = client.SecretPost })
		d.app("spa", public)
		cc := []string{"grant_type", "client_credentials"}
		with := func(pairs ...string) []string { return append(pairs, cc...) }
		if got := d.token("", "", with("client_id", "post", "client_secret", post)...); got.Access == "" {
			d.Errorf("client_secret_post: %+v", got)
		}
		if got := d.token("app", secret, with("client_id", "app")...); got.Access == "" {
			d.Errorf("client_secret_basic with the same client_id in the body: %+v", got)
		}
		d.refuse(d.token("", "", with("client_id", "app", "client_secret", secret)...), 401, "invalid_client")
		d.refuse(d.token("post", post, cc...), 401, "invalid_client")
		d.refuse(d.token("app", "", cc...), 401, "invalid_client")
		d.refuse(d.token("", "", cc...), 401, "invalid_client")
		d.refuse(d.token("app", secret, with("client_secret", secret)...), 400, "invalid_request")
		d.refuse(d.token("app", secret, with("client_assertion", "x")...), 400, "invalid_request")
		d.refuse(d.token("app", secret, with("client_id", "post")...), 400, "invalid_request")
		d.refuse(d.token("spa", "guess", cc...), 401, "invalid_client")
		d.refuse(d.token("unknown", secret, cc...), 401, "invalid_client")
		wrong := d.token("app", "wrong", cc...)
		if h := wrong.Header.Get("WWW-Authenticate"); !strings.HasPrefix(h, `Basic realm="`+d.issuer()+`"`) {
			d.Errorf("WWW-Authenticate: %q", h)
		}
		for _, header := range []string{"Basic", "Basic !!!", "Basic " + base64.StdEncoding.EncodeToString([]byte("nocolon")), "Bearer x", "Basic " + base64.StdEncoding.EncodeToString([]byte("app:%zz"))} {
			got := d.read(d.do("POST", "/oauth2/token", "grant_type=client_credentials", "Authorization", header))
			if got.Status != 401 || got.Error != "invalid_client" {
				d.Errorf("%q: %+v", header, got)
			}
			// RFC 6749, section 5.2: who tries the header is told what it takes.
			if h := got.Header.Get("WWW-Authenticate"); !strings.HasPrefix(h, `Basic realm="`+d.issuer()+`"`) {
				d.Errorf("%q: challenge %q", header, h)
			}
		}
	})
}

// assertion makes a client assertion; a nil value takes a claim away.
func (d *door) assertion(k *jose.Key, id string, change map[string]any) string {
	d.Helper()
	now := d.Clock.Now()
	claims := map[string]any{"iss": id, "sub": id, "aud": d.issuer(), "jti": rnd(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	for name, v := range change {
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
	}
	b, err := json.Marshal(claims)
	if err != nil {
		d.Fatal(err)
	}
	text, err := jose.Sign(k, "JWT", b)
	if err != nil {
		d.Fatal(err)
	}
	return text
}

func rnd() string { return strings.ReplaceAll(string(randomText()), "cdt_", "") }

// TestPrivateKeyJWT: CL-02. An assertion is for this issuer alone, lives
// minutes, counts once, and is signed by a registered key.
func TestPrivateKeyJWT(t *testing.T) {
	run(t, func(d *door) {
		key, _ := jose.Generate("k1", jose.ES256)
		stranger, _ := jose.Generate("k1", jose.ES256)
		jwks := jose.Set{key.Public()}.JSON()
		withKeys := func(s *client.Settings) { s.AuthMethod, s.JWKS = client.PrivateKeyJWT, string(jwks) }
		d.app("jwt", withKeys)
		d.app("jwt2", withKeys)
		d.app("legacy", func(s *client.Settings) { withKeys(s); s.LegacyAssertionAudience = true })
		ask := func(assertion string, pairs ...string) reply {
			d.Helper()
			return d.token("", "", append([]string{"grant_type", "client_credentials", "client_assertion", assertion,
				"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, pairs...)...)
		}
		good := d.assertion(key, "jwt", nil)
		if got := ask(good, "client_id", "jwt"); got.Access == "" {
			d.Fatalf("a good assertion: %+v", got)
		}
		d.refuse(ask(good), 401, "invalid_client") // once
		for _, header := range []string{`{"alg":"none"}`, `{"alg":"HS256"}`} {
			parts := strings.Split(d.assertion(key, "jwt", nil), ".")
			parts[0] = base64.RawURLEncoding.EncodeToString([]byte(header))
			d.refuse(ask(strings.Join(parts, ".")), 401, "invalid_client")
		}
		now := d.Clock.Now()
		for name, change := range map[string]map[string]any{
			"token endpoint as audience":    {"aud": d.issuer() + "/oauth2/token"},
			"audience of others too":        {"aud": []string{d.issuer(), "https://evil.example.com"}},
			"audience of the neighbour":     {"aud": d.issuer() + "/realms/neighbour"},
			"no audience":                   {"aud": nil},
			"issuer of another":             {"iss": "jwt2"},
			"no issuer":                     {"iss": nil},
			"no jti":                        {"jti": nil},
			"long jti":                      {"jti": strings.Repeat("x", 300)},
			"no expiry":                     {"exp": nil},
			"expired":                       {"exp": now.Add(-time.Minute).Unix()},
			"48 hours":                      {"exp": now.Add(48 * time.Hour).Unix()},
			"7 minutes":                     {"exp": now.Add(7 * time.Minute).Unix()},
			"not yet":                       {"nbf": now.Add(time.Hour).Unix()},
			"issued in the future":          {"iat": now.Add(time.Hour).Unix()},
			"subject is unknown":            {"sub": "nobody", "iss": "nobody"},
			"audience as a list of strings": {"aud": []any{1}},
		} {
			if got := ask(d.assertion(key, "jwt", change)); got.Status != 401 || got.Error != "invalid_client" || got.Access != "" {
				d.Errorf("%s: %+v", name, got)
			}
		}
		if got := ask(d.assertion(key, "jwt", map[string]any{"aud": []string{d.issuer()}})); got.Access == "" {
			d.Errorf("a list of one audience: %+v", got)
		}
		if got := ask(d.assertion(key, "legacy", map[string]any{"aud": d.issuer() + "/oauth2/token"})); got.Access == "" {
			d.Errorf("the opt-out: %+v", got)
		}
		d.refuse(ask(d.assertion(stranger, "jwt", nil)), 401, "invalid_client")
		d.refuse(ask(strings.Repeat("x", 5000)), 401, "invalid_client")
		d.refuse(ask(""), 401, "invalid_client")
		d.refuse(ask(d.assertion(key, "jwt", nil), "client_id", "jwt2"), 400, "invalid_request")
		d.refuse(ask(d.assertion(key, "jwt", nil), "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), 401, "invalid_client")
		// The same jti of another client is another jti.
		same := map[string]any{"jti": "shared"}
		if ask(d.assertion(key, "jwt", same)).Access == "" || ask(d.assertion(key, "jwt2", same)).Access == "" {
			d.Error("clients share the memory of assertion ids")
		}
		// A key taken away is dead, with what was obtained by it.
		got := ask(d.assertion(key, "jwt", nil))
		fresh, _ := jose.Generate("k2", jose.EdDSA)
		if err := d.change("jwt", func(s *client.Settings) {
			s.JWKS = string(bytes.Clone(jose.Set{fresh.Public()}.JSON()))
		}); err != nil {
			d.Fatal(err)
		}
		d.refuse(ask(d.assertion(key, "jwt", nil)), 401, "invalid_client")
		if now := ask(d.assertion(fresh, "jwt", nil)); now.Access == "" || d.claims(now.Access)["gid"] == d.claims(got.Access)["gid"] {
			d.Errorf("the new key: %+v", now)
		}
	})
}

// P-10, CL-02: the database fails over to a standby that never heard of an
// assertion. It is not accepted again, nor is any that could have been used
// before; one made a minute later is. Set From to now in spendAssertion to see
// it fail.
func TestAnAssertionIsNotReplayedAfterAFailover(t *testing.T) {
	run(t, func(d *door) {
		d.crossed = true
		key, _ := jose.Generate("k1", jose.ES256)
		d.app("jwt", func(s *client.Settings) {
			s.AuthMethod, s.JWKS = client.PrivateKeyJWT, string(jose.Set{key.Public()}.JSON())
		})
		ask := func(assertion string) reply {
			d.Helper()
			return d.token("", "", "grant_type", "client_credentials", "client_assertion", assertion,
				"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		}
		if got := ask(d.assertion(key, "jwt", nil)); got.Access == "" { // makes the standing grant
			d.Fatalf("a good assertion: %+v", got)
		}
		kept := d.logHeads()
		life := map[string]any{"exp": d.Clock.Now().Add(5 * time.Minute).Unix()}
		used, later := d.assertion(key, "jwt", life), d.assertion(key, "jwt", life)
		for _, a := range []string{used, later} {
			if got := ask(a); got.Access == "" {
				d.Fatalf("a good assertion: %+v", got)
			}
		}
		d.Person(d.T, d.realm, "lost@example.com")
		d.failOver(kept)
		d.refuse(ask(used), 401, "invalid_client")
		d.refuse(ask(d.assertion(key, "jwt", nil)), 401, "invalid_client")
		d.Clock.Advance(jose.MaxSkew + time.Second)
		d.refuse(ask(later), 401, "invalid_client")
		if got := ask(d.assertion(key, "jwt", nil)); got.Access == "" {
			d.Errorf("one made later: %+v", got)
		}
	})
}

// logHead is a row of log_heads.
type logHead struct {
	realm           string
	seq             int64
	chain, frontier []byte
}

func (d *door) logHeads() (heads []logHead) {
	d.Helper()
	err := d.DB.SystemView(context.Background(), func(tx *db.Tx) (err error) {
		heads, err = db.All(tx, func(r db.Row) (h logHead, err error) { return h, r.Scan(&h.realm, &h.seq, &h.chain, &h.frontier) },
			`SELECT realm, seq, chain, frontier FROM log_heads ORDER BY realm`)
		return err
	})
	if err != nil {
		d.Fatal(err)
	}
	return heads
}

// failOver gives the database the look of a standby that had got the log up to
// kept and no assertion id, and waits until the node says yes again.
func (d *door) failOver(kept []logHead) {
	d.Helper()
	old := d.Env.Log.Applied().Epoch
	err := d.DB.System(context.Background(), func(tx *db.Tx) error {
		if _, err := tx.Exec(`DELETE FROM once_seen`); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM events WHERE position > $1`, kept[0].seq); err != nil {
			return err
		}
		for _, h := range kept {
			if _, err := tx.Exec(`UPDATE log_heads SET seq = $2, chain = $3, frontier = $4 WHERE realm = $1`, h.realm, h.seq, append([]byte{}, h.chain...), append([]byte{}, h.frontier...)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		d.Fatal(err)
	}
	for deadline := time.Now().Add(15 * time.Second); d.Env.Log.Applied().Epoch == old || d.Env.Log.Live() != nil; {
		if time.Now().After(deadline) {
			d.Fatal("the node does not come back")
		}
		<-time.After(5 * time.Millisecond)
	}
}
