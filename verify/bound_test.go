package verify

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
)

// proofOf makes a DPoP proof for GET /orders of this API; change edits its claims.
func proofOf(t *testing.T, key *ecdsa.PrivateKey, access string, at time.Time, change func(map[string]any)) string {
	t.Helper()
	public, err := jose.NewPublicKey("", "", &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(access))
	enc := base64.RawURLEncoding.EncodeToString
	c := map[string]any{"jti": rand.Text(), "htm": "GET", "htu": api + "/orders", "iat": at.Unix(), "ath": enc(sum[:])}
	if change != nil {
		change(c)
	}
	claims, _ := json.Marshal(c)
	text := enc([]byte(`{"typ":"dpop+jwt","alg":"ES256","jwk":`+string(public.JWK())+`}`)) + "." + enc(claims)
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return text + "." + enc(sig)
}

// CL-04: an API that uses this package takes a bound token only with what it is
// bound to, and each proof once.
func TestBoundTokensNeedWhatTheyAreBoundTo(t *testing.T) {
	i, v, _ := ready(t, func(c *Config) { c.URL = api; c.DPoPNonceKey = make([]byte, 32) })
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	public, _ := jose.NewPublicKey("", "", &key.PublicKey)
	cert := &x509.Certificate{Raw: []byte("a certificate")}
	bound := i.token(0, func(c map[string]any) { c["cnf"] = map[string]any{"jkt": public.Thumbprint()} })
	tied := i.token(0, func(c map[string]any) { c["cnf"] = map[string]any{"x5t#S256": jose.CertificateThumbprint(cert)} })
	odd := i.token(0, func(c map[string]any) { c["cnf"] = map[string]any{"kid": "x"} })
	plain := i.token(0, nil)
	nonce := v.nonces.At(i.now())
	with := func(name string, value any) func(map[string]any) {
		return func(c map[string]any) { c["nonce"] = nonce; c[name] = value }
	}
	ask := func(scheme, token string, shown *x509.Certificate, proofs ...string) error {
		r := httptest.NewRequest("GET", "http://evil.example.com/orders?x=1", nil)
		r.Header.Set("Authorization", scheme+" "+token)
		for _, p := range proofs {
			r.Header.Add("DPoP", p)
		}
		if shown != nil {
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{shown}}
		}
		_, err := v.Request(r)
		return err
	}
	proof := func(k *ecdsa.PrivateKey, change func(map[string]any)) string {
		return proofOf(t, k, bound, i.now(), change)
	}
	good := proof(key, with("nonce", nonce))
	if err := ask("DPoP", bound, nil, good); err != nil {
		t.Fatalf("a good proof: %v", err)
	}
	if err := ask("Bearer", tied, cert); err != nil {
		t.Errorf("a token with its certificate: %v", err)
	}
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"the proof again":       {ask("DPoP", bound, nil, good), ErrProof},
		"as bearer":             {ask("Bearer", bound, nil), ErrBound},
		"bearer with proof":     {ask("Bearer", bound, nil, proof(key, with("nonce", nonce))), ErrBound},
		"no proof":              {ask("DPoP", bound, nil), ErrProof},
		"two proofs":            {ask("DPoP", bound, nil, proof(key, with("nonce", nonce)), proof(key, with("nonce", nonce))), ErrProof},
		"another key":           {ask("DPoP", bound, nil, proof(other, with("nonce", nonce))), ErrBound},
		"htm":                   {ask("DPoP", bound, nil, proof(key, with("htm", "POST"))), ErrProof},
		"htu":                   {ask("DPoP", bound, nil, proof(key, with("htu", api+"/other"))), ErrProof},
		"htu of the Host":       {ask("DPoP", bound, nil, proof(key, with("htu", "http://evil.example.com/orders"))), ErrProof},
		"ath":                   {ask("DPoP", bound, nil, proof(key, with("ath", "x"))), ErrProof},
		"old":                   {ask("DPoP", bound, nil, proof(key, with("iat", i.now().Add(-time.Minute).Unix()))), ErrProof},
		"ahead":                 {ask("DPoP", bound, nil, proof(key, with("iat", i.now().Add(12*time.Second).Unix()))), ErrProof},
		"no nonce":              {ask("DPoP", bound, nil, proof(key, nil)), ErrNonce},
		"forged nonce":          {ask("DPoP", bound, nil, proof(key, with("nonce", nonce[:len(nonce)-2]+"AA"))), ErrNonce},
		"unbound with proof":    {ask("DPoP", plain, nil, proofOf(t, key, plain, i.now(), with("nonce", nonce))), ErrBound},
		"tied without":          {ask("Bearer", tied, nil), ErrBound},
		"tied to another":       {ask("Bearer", tied, &x509.Certificate{Raw: []byte("b")}), ErrBound},
		"an unknown binding":    {ask("Bearer", odd, cert), ErrInvalid},
		"Verify of a bound one": {verdict(v, bound), ErrBound},
		"Verify of a tied one":  {verdict(v, tied), ErrBound},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	w := httptest.NewRecorder()
	v.Challenge(w, ask("DPoP", bound, nil, proof(key, nil)))
	if w.Code != http.StatusUnauthorized || w.Header().Get("DPoP-Nonce") != nonce {
		t.Errorf("challenge: %d %v", w.Code, w.Header())
	}
}

// What is remembered of proofs is bounded, and full refuses rather than forgets.
func TestSeenProofsAreBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	s := &seenProofs{now: func() time.Time { return now }, most: 2}
	see := func(id string) (bool, error) { return s.seen(t.Context(), id, time.Time{}) }
	for _, id := range []string{"a", "b"} {
		if seen, err := see(id); seen || err != nil {
			t.Fatal(seen, err)
		}
	}
	if _, err := see("c"); !errors.Is(err, errFull) {
		t.Errorf("full: %v", err)
	}
	now = now.Add(2 * jose.ProofAge)
	if seen, err := see("a"); !seen || err != nil {
		t.Errorf("after one turn: %v %v", seen, err)
	}
	now = now.Add(2 * jose.ProofAge)
	if seen, err := see("c"); seen || err != nil {
		t.Errorf("after two turns: %v %v", seen, err)
	}
}
