// Package client speaks to the admin API of a Cardea realm: typed methods on
// the types of package api, lists as iterators, failures as *Problem.
//
//	c, err := client.New("https://id.example.com", client.WithToken(token))
//	for u, err := range c.Users.All(ctx, client.Filter{"q": "ada"}) { … }
//
// It imports nothing but the standard library and package api.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 16 << 20

// TokenSource gives the access token for a request. It is asked for each
// request, so that it can refresh the token when it is about to expire.
type TokenSource func(ctx context.Context) (string, error)

// Client speaks to one realm. It is safe for concurrent use.
type Client struct {
	base  string
	http  *http.Client
	token TokenSource
	agent string
	wait  func(ctx context.Context, d time.Duration) error
	tries int
	again func(ctx context.Context, s StepUp) error
	Users Users
	// Policies decide what everybody may do.
	Policies Policies
	// Agents decide elsewhere.
	Agents Agents
	// Invitations ask for accounts; Terms are what accounts must accept.
	Invitations Invitations
	Terms       Terms
	Groups      Groups

	Organizations Organizations
	Services      Services
	Clients       Clients

	AuthorizationDetailTypes AuthorizationDetailTypes

	SigningKeys SigningKeys
	// InitialAccessTokens let others register clients.
	InitialAccessTokens InitialAccessTokens
	Sessions            Sessions
	Grants              Grants
	Consents            Consents
	Realms              Realms
	Operators           Operators
	Events              Events
	Activity            Activity
	TrustedIssuers      TrustedIssuers
	Jobs                Jobs
	Facts               Facts
	FactSources         FactSources
	FactImports         FactImports
	Incidents           Incidents
	Mail                Mail
	Decisions           Decisions
}

// Option changes how a Client works.
type Option func(*Client)

// WithToken sends one fixed access token.
func WithToken(token string) Option {
	return WithTokenSource(func(context.Context) (string, error) { return token, nil })
}

// WithTokenSource asks source for the access token of each request.
func WithTokenSource(source TokenSource) Option { return func(c *Client) { c.token = source } }

// WithHTTPClient sends requests through h, whose redirect policy is kept.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithUserAgent names the program in requests and so in the event log.
func WithUserAgent(agent string) Option { return func(c *Client) { c.agent = agent } }

// WithTries sets how often a request that was answered 503 is sent in all; the
// default is 4. 1 never repeats.
func WithTries(n int) Option { return func(c *Client) { c.tries = max(1, n) } }

// New makes a client for the realm with the given issuer URL. It is https, since
// every request carries a token; http is for localhost and loopback addresses.
func New(issuer string, opts ...Option) (*Client, error) {
	if err := checkIssuer(issuer); err != nil {
		return nil, err
	}
	c := &Client{
		base:  strings.TrimSuffix(issuer, "/") + "/api/v1",
		agent: "cardea-go",
		tries: 4,
		wait:  sleep,
		// A redirect would carry the token elsewhere; the API has none.
		http: &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	for _, o := range opts {
		o(c)
	}
	c.Invitations, c.Terms = Invitations{c}, Terms{c}
	c.Users, c.Groups, c.Organizations, c.Services = Users{c}, Groups{c}, Organizations{c}, Services{c}
	c.InitialAccessTokens = InitialAccessTokens{c}
	c.Clients, c.SigningKeys, c.Sessions, c.Grants = Clients{c}, SigningKeys{c}, Sessions{c}, Grants{c}
	c.AuthorizationDetailTypes = AuthorizationDetailTypes{c}
	c.Consents, c.Realms, c.Operators, c.Events, c.Activity = Consents{c}, Realms{c}, Operators{c}, Events{c}, Activity{c}
	c.Decisions, c.FactSources, c.FactImports = Decisions{c}, FactSources{c}, FactImports{c}
	c.TrustedIssuers, c.Jobs, c.Facts, c.Incidents, c.Mail = TrustedIssuers{c}, Jobs{c}, Facts{c}, Incidents{c}, Mail{c}
	c.Policies = Policies{c}
	c.Agents = Agents{c}
	return c, nil
}

func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return fmt.Errorf("issuer %q is not a URL such as https://id.example.com", issuer)
	}
	ip := net.ParseIP(u.Hostname())
	here := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !here) {
		return fmt.Errorf("issuer %q must be https: requests carry tokens", issuer)
	}
	return nil
}

// request is one call of the API.
type request struct {
	method string
	path   string // below /api/v1, segments already escaped
	query  url.Values
	body   any
	match  int64  // the version to insist on; 0 insists on none
	key    string // by which the server knows a request that is sent again
}

// do sends a request and decodes the answer into out, if out is not nil. A 503
// is repeated after the time the server names: the API answers 503 only when
// the same request can safely be sent again.
func (c *Client) do(ctx context.Context, req request, out any) error {
	var body []byte
	if req.body != nil {
		var err error
		if body, err = json.Marshal(req.body); err != nil {
			return err
		}
	}
	stepped := c.again == nil
	for try := 1; ; try++ {
		problem, err := c.once(ctx, req, body, out)
		if err != nil || problem == nil {
			return err
		}
		if s, asked := problem.StepUp(); asked && !stepped {
			if err := c.again(ctx, s); err != nil {
				return errors.Join(problem, err)
			}
			stepped = true
			continue
		}
		if problem.Status != http.StatusServiceUnavailable || try >= c.tries {
			return problem
		}
		pause := max(problem.RetryAfter, time.Duration(try)*200*time.Millisecond)
		if err := c.wait(ctx, min(pause, 10*time.Second)); err != nil {
			return errors.Join(problem, err)
		}
	}
}

func (c *Client) once(ctx context.Context, req request, body []byte, out any) (*Problem, error) {
	target := c.base + req.path
	if len(req.query) > 0 {
		target += "?" + req.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, req.method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json, application/problem+json")
	r.Header.Set("User-Agent", c.agent)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if req.match > 0 {
		r.Header.Set("If-Match", strconv.Quote(strconv.FormatInt(req.match, 10)))
	}
	if req.key != "" {
		r.Header.Set("Idempotency-Key", strconv.Quote(req.key))
	}
	if c.token != nil {
		token, err := c.token(ctx)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxAnswer:
		return nil, fmt.Errorf("the answer to %s %s is larger than %d bytes", req.method, req.path, maxAnswer)
	case res.StatusCode >= 300:
		return problemFrom(res, data), nil
	case out == nil || res.StatusCode == http.StatusNoContent:
		return nil, nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return nil, fmt.Errorf("the answer to %s %s is not what this client understands: %w", req.method, req.path, err)
	}
	return nil, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
