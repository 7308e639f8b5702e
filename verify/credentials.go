package verify

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/statuslist"
)

// Credentials put what opens the stream into a request.
type Credentials func(ctx context.Context, r *http.Request) error

// ClientSecret authenticates as a resource server with HTTP Basic, its id and
// secret encoded as RFC 6749, section 2.3.1 demands.
func ClientSecret(id, secret string) Credentials {
	return func(_ context.Context, r *http.Request) error {
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
		return nil
	}
}

// AccessToken authenticates with an access token that has the scope
// cardea:revocations. The function is called for each connection and should
// return a token that still lives for a while.
func AccessToken(token func(ctx context.Context) (string, error)) Credentials {
	return func(ctx context.Context, r *http.Request) error {
		t, err := token(ctx)
		if err == nil {
			r.Header.Set("Authorization", "Bearer "+t)
		}
		return err
	}
}

// assertionLife is how long an assertion counts: long enough for a clock that
// is a minute behind, and within the five minutes that the issuer allows.
const assertionLife = 3 * time.Minute

// PrivateKeyJWT authenticates as a resource server registered for
// private_key_jwt: for each connection key signs an assertion (RFC 7523,
// section 2.2), which is posted to the stream's address. The key may live in a
// security module; keyID is its kid in the client's key set. P-256 signs ES256,
// Ed25519 EdDSA and RSA PS256.
func PrivateKeyJWT(id, keyID string, key crypto.Signer) Credentials {
	return func(ctx context.Context, r *http.Request) error {
		claims, err := json.Marshal(map[string]any{
			"iss": id, "sub": id, "aud": strings.TrimSuffix(r.URL.String(), statuslist.StreamPath),
			"jti": rand.Text(), "exp": clock(ctx).Add(assertionLife).Unix(),
		})
		if err != nil {
			return err
		}
		assertion, err := jose.SignWith(key, keyID, "client-authentication+jwt", claims)
		if err != nil {
			return err
		}
		post(r, url.Values{"client_assertion": {assertion},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}})
		return nil
	}
}

// post turns a request into one that sends form.
func post(r *http.Request, form url.Values) {
	body := form.Encode()
	r.Method, r.ContentLength = http.MethodPost, int64(len(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
}

// clockKey is under which Config.Now comes to Credentials.
type clockKey struct{}

func withClock(ctx context.Context, now func() time.Time) context.Context {
	return context.WithValue(ctx, clockKey{}, now)
}

// clock tells the time by Config.Now, or by this machine outside of a Verifier.
func clock(ctx context.Context) time.Time {
	if now, ok := ctx.Value(clockKey{}).(func() time.Time); ok {
		return now()
	}
	return time.Now()
}
