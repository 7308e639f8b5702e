package demo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// A provider is Cardea as the application sees it: what its discovery document
// says (OpenID Connect Discovery 1.0), and the calls of OAuth 2.0.
type provider struct {
	issuer, clientID string
	clientSecret     string
	http             *http.Client

	mu     sync.Mutex
	doc    *discovery
	signer keySet
}

type discovery struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	UserInfo      string `json:"userinfo_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	EndSession    string `json:"end_session_endpoint"`
	JWKS          string `json:"jwks_uri"`
}

// tokens is a token response (RFC 6749, section 5.1).
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Expires int64  `json:"expires_in"`
	Scope   string `json:"scope"`
}

const maxAnswer = 256 << 10

func newProvider(c Config) *provider {
	return &provider{
		issuer: c.Issuer, clientID: c.ClientID, clientSecret: c.ClientSecret,
		http: &http.Client{
			Timeout:       10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// discover reads the discovery document once. The issuer in it must be the one
// that was asked, else somebody else's keys would be trusted.
func (p *provider) discover(ctx context.Context) (*discovery, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.doc != nil {
		return p.doc, nil
	}
	var doc discovery
	if err := p.get(ctx, p.issuer+"/.well-known/openid-configuration", "", &doc); err != nil {
		return nil, err
	}
	if doc.Issuer != p.issuer {
		return nil, fmt.Errorf("discovery names issuer %q, not %q", doc.Issuer, p.issuer)
	}
	p.doc = &doc
	return p.doc, nil
}

// redeem exchanges a code for tokens (RFC 6749, section 4.1.3; RFC 7636).
func (p *provider) redeem(ctx context.Context, code, verifier, redirectURI string) (*tokens, error) {
	doc, err := p.discover(ctx)
	if err != nil {
		return nil, err
	}
	var t tokens
	err = p.post(ctx, doc.Token, url.Values{
		"grant_type": {"authorization_code"}, "code": {code},
		"code_verifier": {verifier}, "redirect_uri": {redirectURI},
	}, &t)
	return &t, err
}

// revoke ends the grant that a token belongs to (RFC 7009). When it returns
// without an error, Cardea has made sure of it.
func (p *provider) revoke(ctx context.Context, t *tokens) error {
	doc, err := p.discover(ctx)
	if err != nil {
		return err
	}
	form := url.Values{"token": {t.Access}, "token_type_hint": {"access_token"}}
	if t.Refresh != "" {
		form = url.Values{"token": {t.Refresh}, "token_type_hint": {"refresh_token"}}
	}
	return p.post(ctx, doc.Revocation, form, nil)
}

// userinfo asks who signed in (OpenID Connect Core 1.0, section 5.3).
func (p *provider) userinfo(ctx context.Context, accessToken string) (claims, error) {
	doc, err := p.discover(ctx)
	if err != nil {
		return nil, err
	}
	who := claims{}
	return who, p.get(ctx, doc.UserInfo, accessToken, &who)
}

func (p *provider) get(ctx context.Context, address, bearer string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	return p.do(req, into)
}

// post sends a form as the client, with HTTP Basic (RFC 6749, section 2.3.1:
// id and secret are form-encoded first).
func (p *provider) post(ctx context.Context, address string, form url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(p.clientID), url.QueryEscape(p.clientSecret))
	return p.do(req, into)
}

func (p *provider) do(req *http.Request, into any) error {
	resp, err := p.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var e struct {
			Code        string `json:"error"`
			Description string `json:"error_description"`
		}
		_ = json.Unmarshal(body, &e)
		return fmt.Errorf("%s answered %d %s %s", req.URL.Path, resp.StatusCode, e.Code, e.Description)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

// claims is the payload of a token, or a userinfo answer.
type claims map[string]any

func (c claims) text(name string) string { s, _ := c[name].(string); return s }

// peek decodes one part of a compact JWS without believing it: 0 is the
// header, 1 the payload.
func peek(token string, part int) (claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("not a signed token")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[part])
	if err != nil {
		return nil, err
	}
	c := claims{}
	return c, json.Unmarshal(raw, &c)
}
