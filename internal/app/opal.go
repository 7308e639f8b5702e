package app

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/cardea-id/cardea/internal/access/opa"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// fleet joins clients of OPAL with the clients that they are.
type fleet struct {
	agency
	mux *web.Mux
}

// authenticate takes what agents show, and a client's id and secret as a bearer
// token: the base64 of HTTP Basic, since a client of OPAL knows no other scheme and
// has one token for its whole life.
func (f fleet) authenticate(w http.ResponseWriter, r *http.Request, rl *realm.Realm) (*opa.Caller, error) {
	if basic, ok := asBasic(r); ok {
		return f.secret(basic)
	}
	return f.agency.authenticate(w, r, rl)
}

func asBasic(r *http.Request) (*http.Request, bool) {
	shown := r.Header["Authorization"]
	if len(shown) != 1 {
		return nil, false
	}
	scheme, token, _ := strings.Cut(shown[0], " ")
	plain, err := base64.StdEncoding.DecodeString(token)
	if !strings.EqualFold(scheme, "Bearer") || err != nil || bytes.IndexByte(plain, ':') < 1 {
		return nil, false
	}
	basic := r.Clone(r.Context())
	basic.Header.Set("Authorization", "Basic "+token)
	return basic, true
}

// mint asks the token endpoint with the secret that was shown, so that all of its
// rules hold.
func (f fleet) mint(r *http.Request, rl *realm.Realm) (token string, seconds int64, err error) {
	basic, ok := asBasic(r)
	if !ok {
		return "", 0, fault.New(fault.Unauthenticated, "invalid_token", "a token is given for a client's id and secret, as base64 in place of a master token")
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {opa.Scope}, "resource": {rl.Issuer + opa.Path}}.Encode()
	ask := basic.Clone(r.Context())
	ask.Method, ask.URL.Path, ask.URL.RawPath, ask.URL.RawQuery = http.MethodPost, "/oauth2/token", "", ""
	ask.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	ask.Body, ask.ContentLength = io.NopCloser(strings.NewReader(form)), int64(len(form))
	answer := &kept{header: http.Header{}}
	f.mux.ServeHTTP(answer, ask)
	var got struct {
		Token   string `json:"access_token"`
		Seconds int64  `json:"expires_in"`
		Why     string `json:"error_description"`
	}
	if err := json.Unmarshal(answer.body.Bytes(), &got); err != nil || got.Token == "" {
		return "", 0, fault.New(fault.Forbidden, "token_refused", "the token endpoint refuses: %s", got.Why)
	}
	return got.Token, got.Seconds, nil
}

// kept is an answer that goes nowhere.
type kept struct {
	header http.Header
	body   bytes.Buffer
}

func (k *kept) Header() http.Header         { return k.header }
func (k *kept) WriteHeader(int)             {}
func (k *kept) Write(b []byte) (int, error) { return k.body.Write(b) }
