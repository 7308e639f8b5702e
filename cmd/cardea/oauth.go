package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

// cliClient is the public native client that every realm is made with.
const cliClient = "cardea-cli"

// loginScope is what a login asks for.
const loginScope = "openid offline_access " + api.Scope

// endpoints is what the login needs of a realm's metadata (RFC 8414).
type endpoints struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	Device        string `json:"device_authorization_endpoint"` // "" where the server is older
}

var oauthHTTP = &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// discover reads a realm's metadata and insists that it is about that realm,
// and that nothing is sent to anybody but the server that the user named.
func discover(ctx context.Context, issuer string) (endpoints, error) {
	var e endpoints
	home, err := origin(issuer)
	if err != nil {
		return e, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, issuer+"/.well-known/openid-configuration", nil)
	if err != nil {
		return e, err
	}
	err = fetchJSON(req, &e)
	var elsewhere unexpected
	var noJSON *json.SyntaxError
	if errors.As(err, &elsewhere) && elsewhere.status == http.StatusNotFound || errors.As(err, &noJSON) {
		return e, fmt.Errorf("%s is no issuer: nothing at %s describes one", issuer, req.URL)
	}
	if err != nil {
		return e, fmt.Errorf("%s: %w", issuer, err)
	}
	if e.Issuer != issuer {
		return e, fmt.Errorf("%s says that its issuer is %q; log in there", issuer, e.Issuer)
	}
	for _, one := range []struct {
		name    string
		address *string
	}{{"authorization_endpoint", &e.Authorization}, {"token_endpoint", &e.Token}, {"revocation_endpoint", &e.Revocation}, {"device_authorization_endpoint", &e.Device}} {
		if one.address == &e.Device && e.Device == "" {
			continue
		}
		if at, err := origin(*one.address); err != nil || at != home {
			return endpoints{}, fmt.Errorf("%s names the %s %q, which is not at %s; nothing was sent there", issuer, one.name, *one.address, home)
		}
		u, err := url.Parse(*one.address)
		if err != nil {
			return endpoints{}, err
		}
		*one.address = u.String() // escapes what a terminal or a browser could misread
	}
	return e, nil
}

// proof is a code verifier and its challenge (RFC 7636).
type proof struct{ verifier, challenge string }

func newProof() proof {
	v := randomText()
	sum := sha256.Sum256([]byte(v))
	return proof{v, base64.RawURLEncoding.EncodeToString(sum[:])}
}

func randomText() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// authorizeURL is where the browser begins.
func authorizeURL(e endpoints, redirect, state string, p proof, least client.StepUp) string {
	q := url.Values{
		"response_type":         {"code"},
		"client_id":             {cliClient},
		"redirect_uri":          {redirect},
		"scope":                 {loginScope},
		"resource":              {e.Issuer + api.Path},
		"state":                 {state},
		"code_challenge":        {p.challenge},
		"code_challenge_method": {"S256"},
	}
	demand(q, least)
	return e.Authorization + "?" + q.Encode()
}

// demand adds the sign-in that would do to a request (RFC 9470, section 4).
func demand(q url.Values, least client.StepUp) {
	if least.ACR != "" {
		q.Set("acr_values", least.ACR)
	}
	if least.MaxAge > 0 {
		q.Set("max_age", strconv.Itoa(int(least.MaxAge.Seconds())))
	}
}

// redeem exchanges the code for tokens.
func redeem(ctx context.Context, e endpoints, code, redirect string, p proof) (login, error) {
	return askToken(ctx, e.Token, url.Values{
		"grant_type":    {"authorization_code"},
		"client_id":     {cliClient},
		"code":          {code},
		"redirect_uri":  {redirect},
		"code_verifier": {p.verifier},
		"resource":      {e.Issuer + api.Path},
	})
}

func refresh(ctx context.Context, issuer string, old login) (login, error) {
	e, err := discover(ctx, issuer)
	if err != nil {
		return login{}, err
	}
	fresh, err := askToken(ctx, e.Token, url.Values{
		"grant_type":    {"refresh_token"},
		"client_id":     {cliClient},
		"refresh_token": {old.Refresh},
		"resource":      {issuer + api.Path},
	})
	if err == nil && fresh.Refresh == "" {
		fresh.Refresh = old.Refresh
	}
	return fresh, err
}

// revoke ends the login on the server (RFC 7009).
func revoke(ctx context.Context, issuer string, old login) error {
	e, err := discover(ctx, issuer)
	if err != nil {
		return err
	}
	token := firstOf(old.Refresh, old.Access)
	req, err := postForm(ctx, e.Revocation, url.Values{"client_id": {cliClient}, "token": {token}})
	if err != nil {
		return err
	}
	return fetchJSON(req, nil)
}

func askToken(ctx context.Context, endpoint string, form url.Values) (login, error) {
	req, err := postForm(ctx, endpoint, form)
	if err != nil {
		return login{}, err
	}
	var answer struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Expires int64  `json:"expires_in"`
		Scope   string `json:"scope"`
	}
	if err := fetchJSON(req, &answer); err != nil {
		return login{}, err
	}
	if answer.Access == "" {
		return login{}, errors.New("the server gave no access token")
	}
	return login{Access: answer.Access, Refresh: answer.Refresh, Expires: time.Now().Add(time.Duration(answer.Expires) * time.Second).UTC()}, nil
}

func postForm(ctx context.Context, endpoint string, form url.Values) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, err
}

// refused is an answer in the words of RFC 6749, section 5.2.
type refused struct{ code, text string }

func (r *refused) Error() string { return r.text }

// unexpected is an answer that is neither what was asked for nor a refusal.
type unexpected struct {
	status int
	text   string
}

func (u unexpected) Error() string { return "the server answered " + u.text }

// fetchJSON sends req and decodes the answer into out. A refusal in the words
// of RFC 6749 is a *refused.
func fetchJSON(req *http.Request, out any) error {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "cardea-cli/"+version)
	res, err := oauthHTTP.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		var refusal struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}
		if json.Unmarshal(data, &refusal) == nil && refusal.Error != "" {
			return &refused{refusal.Error, cell(firstOf(refusal.Description, refusal.Error))}
		}
		return unexpected{res.StatusCode, res.Status}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}
