package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A prover makes DPoP proofs (RFC 9449), a fresh one for each request.
type prover struct {
	key  *ecdsa.PrivateKey
	head string
}

func newProver() (*prover, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	enc := base64.RawURLEncoding.EncodeToString
	head := fmt.Sprintf(`{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":%q,"y":%q}}`, enc(point[1:33]), enc(point[33:]))
	return &prover{key, enc([]byte(head))}, nil
}

func (p *prover) proof(method, address string) (string, error) {
	claims := fmt.Sprintf(`{"jti":%q,"htm":%q,"htu":%q,"iat":%d}`, rand.Text(), method, address, time.Now().Unix())
	text := p.head + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, digest[:])
	if err != nil {
		return "", err
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature[:]), nil
}

// paths are where the three requests of a bound sign-in go, and under which
// member the first answer tells what was pushed.
type paths struct{ push, authorize, token, pushed string }

// bound pushes a request, has it authorized with the existing session, and
// redeems the code with a proof: what FAPI 2.0 asks of each sign-in.
func (f *fixture) bound(a account, at paths) func(int) unit {
	return func(i int) unit {
		p, failed := newProver()
		_, query, _ := strings.Cut(f.authorizePath(), "?")
		push := request(http.MethodPost, at.push, f.headers("Authorization", basic(a.id, a.secret)), query)
		return func(c *conn) error {
			if failed != nil {
				return failed
			}
			status, _, body, err := c.send(push)
			if err != nil {
				return err
			}
			var got map[string]any
			if err := json.Unmarshal(body, &got); err != nil || status >= 300 {
				return fmt.Errorf("push answered %d %.300s", status, body)
			}
			pushed, _ := got[at.pushed].(string)
			ask := url.Values{"client_id": {a.id}, "request_uri": {pushed}, "state": {"1234567890"}}
			status, location, body, err := c.send(request(http.MethodGet, at.authorize+"?"+ask.Encode(), f.headers("Cookie", f.cookies[i%len(f.cookies)]), ""))
			if err != nil {
				return err
			}
			u, err := url.Parse(location)
			if err != nil || u.Query().Get("code") == "" {
				return fmt.Errorf("authorize answered %d to %s %.300s", status, location, body)
			}
			proof, err := p.proof(http.MethodPost, f.server.Issuer+"/oauth2/token")
			if err != nil {
				return err
			}
			headers := f.headers("Authorization", basic(a.id, a.secret))
			headers["Dpop"] = proof
			form := url.Values{"grant_type": {"authorization_code"}, "code": {u.Query().Get("code")}, "redirect_uri": {f.redirectURI}, "code_verifier": {verifier}}
			if status, _, body, err = c.send(request(http.MethodPost, at.token, headers, form.Encode())); err == nil && status != http.StatusOK {
				err = fmt.Errorf("code answered %d %.300s", status, body)
			}
			return err
		}
	}
}
