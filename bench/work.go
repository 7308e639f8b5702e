package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// A work is one kind of answer, with how to ask both servers for it.
type work struct {
	name    string
	target  float64 // ratio to reach
	cardea  func(i int) unit
	limit   func(i int) unit
	durable bool // measured on each database
}

const verifier = "0123456789abcdefghijklmnopqrstuvwxyz-0123456789"

// works builds every work for a prepared installation. Both servers are sent the
// same requests, at other addresses.
func works(f *fixture) []work {
	form := func(id, secret, path string, values url.Values) []byte {
		return request(http.MethodPost, path, f.headers("Authorization", basic(id, secret)), values.Encode())
	}
	credentials := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
	introspect := func(path string) func(int) unit {
		return repeat(form(f.api.id, f.api.secret, path, url.Values{"token": {f.accessToken}}), 200)
	}
	token := func(a account, path string) func(int) unit {
		return repeat(form(a.id, a.secret, path, credentials), 200)
	}
	userinfo := func(path string) func(int) unit {
		return repeat(request(http.MethodGet, path, f.headers("Authorization", "Bearer "+f.userToken), ""), 200)
	}
	get := func(path string) func(int) unit {
		return repeat(request(http.MethodGet, path, f.headers("Accept", "*/*"), ""), 200)
	}
	ask := func(path, body string) func(int) unit {
		return repeat(asking(path, body, f.headers("Authorization", "Bearer "+f.askToken)), 200)
	}
	return []work{
		{"discovery", 0.90, get("/.well-known/openid-configuration"), get("/discovery"), false},
		{"JWKS", 0.90, get("/oauth2/jwks"), get("/jwks"), false},
		{"client_credentials, JWT ES256", 0.80, token(f.jwt, "/oauth2/token"), token(f.jwt, "/jwt"), false},
		{"client_credentials, opaque", 0.70, token(f.opaque, "/oauth2/token"), token(f.opaque, "/opaque"), false},
		{"introspection", 0.70, introspect("/oauth2/introspect"), introspect("/active/introspect"), false},
		{"userinfo", 0.70, userinfo("/oauth2/userinfo"), userinfo("/active/userinfo"), false},
		{"decision, AuthZEN", 0.80, ask("/access/v1/evaluation", question), ask("/decide", question), false},
		{"20 decisions at once, AuthZEN", 0.80, ask("/access/v1/evaluations", many), ask("/decide-many", many), false},
		{"refresh with rotation", 0.60, f.refreshing, func(int) unit { return f.refreshingAtLimit() }, true},
		{"code + PKCE, both requests", 0.50, f.signingIn, f.signingInAtLimit, true},
		{"PAR, code and token, DPoP", 0.50, f.bound(f.web, paths{"/oauth2/par", "/oauth2/authorize", "/oauth2/token", "request_uri"}),
			f.bound(f.web, paths{"/push", "/authorize", "/bound", "refresh_token"}), true},
		{"passkey sign-in, page and session", 0.50, f.withPasskey("/signin", "/signin/passkey", ""),
			f.withPasskey("/active/signin", "/passkey", fmt.Sprintf(`{"challenge":%q,"rpId":"localhost"}`, strings.Repeat("x", 75))), true},
	}
}

// besides builds the works that are measured beside another answer of Cardea's.
func besides(f *fixture) []work {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
	other := request(http.MethodPost, "/oauth2/token", map[string]string{"Authorization": basic(f.jwt.id, f.jwt.secret)}, form.Encode())
	return []work{
		{"token exchange, beside client_credentials", 0.70, f.exchanging, repeat(other, http.StatusOK), false},
	}
}

// exchanging trades the same token again and again for one that says who acts,
// as an API does that calls another one for its callers.
func (f *fixture) exchanging(int) unit {
	own := func(c *conn, a account) (string, error) {
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
		status, _, body, err := c.send(request(http.MethodPost, "/oauth2/token", map[string]string{"Authorization": basic(a.id, a.secret)}, form.Encode()))
		if err != nil {
			return "", err
		}
		var got struct {
			Access string `json:"access_token"`
		}
		if err := json.Unmarshal(body, &got); err != nil || status != http.StatusOK {
			return "", fmt.Errorf("client_credentials answered %d %.300s", status, body)
		}
		return got.Access, nil
	}
	var exchange unit
	return func(c *conn) error {
		if exchange != nil {
			return exchange(c)
		}
		subject, err := own(c, f.jwt)
		if err != nil {
			return err
		}
		acting, err := own(c, f.broker)
		if err != nil {
			return err
		}
		const access = "urn:ietf:params:oauth:token-type:access_token"
		form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "scope": {scope},
			"subject_token": {subject}, "subject_token_type": {access}, "actor_token": {acting}, "actor_token_type": {access}}
		exchange = repeat(request(http.MethodPost, "/oauth2/token", map[string]string{"Authorization": basic(f.broker.id, f.broker.secret)}, form.Encode()), http.StatusOK)(0)
		return exchange(c)
	}
}

// refreshing keeps one refresh family per connection going: each request sends
// the token that the last one got.
func (f *fixture) refreshing(i int) unit {
	token := f.refreshTokens[i]
	return func(c *conn) error {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
		status, _, body, err := c.send(request(http.MethodPost, "/oauth2/token", f.headers("Authorization", basic(f.web.id, f.web.secret)), form.Encode()))
		if err != nil {
			return err
		}
		var next struct {
			Refresh string `json:"refresh_token"`
		}
		if err := json.Unmarshal(body, &next); err != nil || status != 200 || next.Refresh == "" {
			return fmt.Errorf("refresh answered %d %.300s", status, body)
		}
		token = next.Refresh
		f.refreshTokens[i] = token
		return nil
	}
}

func (f *fixture) refreshingAtLimit() unit {
	token := "cdr_" + strings.Repeat("x", 49)
	return func(c *conn) error {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
		status, _, body, err := c.send(request(http.MethodPost, "/refresh", f.headers("Authorization", basic(f.web.id, f.web.secret)), form.Encode()))
		if err != nil || status != 200 {
			return fmt.Errorf("limit answered %d %w", status, err)
		}
		var next struct {
			Refresh string `json:"refresh_token"`
		}
		if err := json.Unmarshal(body, &next); err != nil {
			return err
		}
		token = next.Refresh
		return nil
	}
}

// signingIn asks for a code with an existing session and redeems it.
func (f *fixture) signingIn(i int) unit {
	authorize := request(http.MethodGet, f.authorizePath(), f.headers("Cookie", f.cookies[i%len(f.cookies)]), "")
	return f.codeUnit(authorize, "/oauth2/token", f.web, f.redirectURI)
}

func (f *fixture) signingInAtLimit(i int) unit {
	_, query, _ := strings.Cut(f.authorizePath(), "?")
	authorize := request(http.MethodGet, "/authorize?"+query, f.headers("Cookie", f.cookies[i%len(f.cookies)]), "")
	return f.codeUnit(authorize, "/refresh", f.web, f.redirectURI)
}

func (f *fixture) codeUnit(authorize []byte, tokenPath string, a account, redirectURI string) unit {
	return func(c *conn) error {
		status, location, body, err := c.send(authorize)
		if err != nil {
			return err
		}
		u, err := url.Parse(location)
		if err != nil || status != http.StatusSeeOther || u.Query().Get("code") == "" {
			return fmt.Errorf("authorize answered %d to %s %.300s", status, location, body)
		}
		form := url.Values{"grant_type": {"authorization_code"}, "code": {u.Query().Get("code")}, "redirect_uri": {redirectURI}, "code_verifier": {verifier}}
		status, _, body, err = c.send(request(http.MethodPost, tokenPath, f.headers("Authorization", basic(a.id, a.secret)), form.Encode()))
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("code answered %d %.300s", status, body)
		}
		return err
	}
}

// headers are those of a request that reaches the server under its own name.
func (f *fixture) headers(name, value string) map[string]string {
	return map[string]string{"Host": strings.TrimPrefix(f.server.Issuer, "http://"), name: value}
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}
