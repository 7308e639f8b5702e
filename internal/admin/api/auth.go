package api

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// Token is what a good access token says.
type Token struct {
	Principal string
	Client    string
	Session   string
	Scopes    []string
	Audience  []string
	ACR       string // the assurance of the person's sign-in
	AMR       []string
	AuthTime  time.Time // zero for programs
	ID        string    // of the token
	Grant     string
	Minted    audit.Position
}

// Presented is an access token as a request presents it: with a proof of
// possession (RFC 9449, section 7.1), or as it is.
type Presented struct {
	Token string
	DPoP  bool
}

// Caller is an operator who asks.
type Caller struct {
	Realm *realm.Realm
	Role  operator.Role
	By    audit.Actor

	acr      string
	amr      []string
	authTime time.Time
	token    string
	grant    string
	minted   audit.Position
}

// challenge is a refusal that tells the client how to authenticate (RFC 6750,
// section 3).
type challenge struct {
	fault *fault.Error
	code  string   // invalid_token, insufficient_scope or "" when there was no token
	dpop  bool     // the token was presented with a proof
	more  []string // parameters of the code, names and values
	plain string   // the description, where the fault's detail is not fit for a header
}

func (c *challenge) Error() string { return c.fault.Error() }
func (c *challenge) Unwrap() error { return c.fault }

func unauthenticated(code, format string, args ...any) error {
	return &challenge{fault: fault.New(fault.Unauthenticated, cmp.Or(code, "token_missing"), format, args...), code: code}
}

// malformed is the answer to a token that came in a way in which none does (RFC
// 6750, section 3.1).
func malformed(detail string) error {
	return &challenge{fault: fault.New(fault.Invalid, "invalid_request", "%s", detail), code: "invalid_request"}
}

// authenticate finds out who asks. It counts those it refuses, per address.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (*Caller, error) {
	c, err := s.caller(w, r)
	var told *challenge
	if err == nil || !errors.As(err, &told) && !fault.Is(err, fault.Forbidden) {
		return c, err
	}
	if wait, ok := s.allowAddr(r); !ok {
		return nil, tooMany(wait)
	}
	return nil, err
}

func (s *Server) caller(w http.ResponseWriter, r *http.Request) (*Caller, error) {
	ctx := r.Context()
	rl := realm.From(ctx)
	if rl == nil {
		return nil, fault.New(fault.NotFound, "not_found", "there is nothing at this address")
	}
	if r.URL.Query().Has("access_token") {
		return nil, malformed("a token in an address is not accepted: addresses are logged")
	}
	shown, err := presentedIn(r)
	if err != nil {
		return nil, err
	}
	t, err := s.Authenticate(w, r, rl, shown)
	if code := fault.Code(err); code == "invalid_dpop_proof" || code == "use_dpop_nonce" {
		return nil, &challenge{fault: fault.New(fault.Unauthenticated, code, "%s", err.Error()), code: code, dpop: shown.DPoP}
	}
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Forbidden) || fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		return nil, &challenge{fault: fault.New(fault.Unauthenticated, "invalid_token", "the access token is not valid here, has expired, was revoked or is bound otherwise"), code: "invalid_token", dpop: shown.DPoP}
	}
	if err != nil {
		return nil, err
	}
	if !slices.Contains(t.Audience, rl.Issuer+wire.Path) {
		return nil, unauthenticated("invalid_token", "the access token is not for this API")
	}
	if !slices.Contains(t.Scopes, wire.Scope) {
		return nil, &challenge{fault: fault.New(fault.Forbidden, "insufficient_scope", "the access token lacks the scope %s", wire.Scope), code: "insufficient_scope", dpop: shown.DPoP}
	}
	o, err := s.Operators.ByPrincipal(ctx, rl.Name, t.Principal)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.Forbidden, "not_an_operator", "only operators of this realm may ask")
	}
	if err != nil {
		return nil, err
	}
	by := audit.Actor{Kind: kindOf(t.Principal), ID: t.Principal, Client: t.Client, Session: t.Session, UserAgent: clip(r.UserAgent())}
	if ip := web.ClientIP(ctx); ip.IsValid() {
		by.IP = ip.String()
	}
	return &Caller{Realm: rl, Role: o.Role, By: by, acr: t.ACR, amr: t.AMR, authTime: t.AuthTime,
		token: t.ID, grant: t.Grant, minted: t.Minted}, nil
}

// presentedIn takes the token from the one place where it may be.
func presentedIn(r *http.Request) (Presented, error) {
	all := r.Header.Values("Authorization")
	if len(all) == 0 {
		return Presented{}, unauthenticated("", "an access token is needed")
	}
	scheme, token, _ := strings.Cut(all[0], " ")
	dpop := strings.EqualFold(scheme, "DPoP")
	if len(all) == 1 && !dpop && !strings.EqualFold(scheme, "Bearer") {
		return Presented{}, unauthenticated("", "an access token is needed, as Authorization: Bearer TOKEN, or DPoP TOKEN")
	}
	if len(all) > 1 || token == "" || len(token) > 16<<10 || strings.ContainsAny(token, " ,\t") {
		return Presented{}, malformed("want one header: Authorization: Bearer TOKEN, or DPoP TOKEN")
	}
	return Presented{token, dpop}, nil
}

func (s *Server) allowAddr(r *http.Request) (time.Duration, bool) {
	if s.Limiter == nil {
		return 0, true
	}
	return s.Limiter.AllowAddr(string(refused), web.ClientIP(r.Context()))
}

func tooMany(wait time.Duration) error {
	return fault.New(fault.TooMany, "too_many_requests", "too many requests, wait a moment").WithRetry(wait)
}

// fail writes an error, with the challenge that belongs to it.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var c *challenge
	if rl := realm.From(r.Context()); rl != nil && errors.As(err, &c) {
		w.Header().Set("WWW-Authenticate", c.header(rl))
	}
	web.Problem(w, r, err)
}

func (c *challenge) header(rl *realm.Realm) string {
	params := []string{"realm", rl.Issuer, "scope", wire.Scope, "resource_metadata", rl.ResourceMetadata(wire.Path)} // RFC 9728, section 5.1
	if c.code != "" {
		params = append(params, "error", c.code, "error_description", cmp.Or(c.plain, c.fault.Detail))
	}
	params = append(params, c.more...)
	if !c.dpop {
		return web.Challenge("Bearer", params...)
	}
	return web.Challenge("DPoP", append(params, "algs", strings.Join(client.Algorithms(), " "))...)
}

func kindOf(principal string) string {
	switch prefix, _, _ := strings.Cut(principal, "_"); prefix {
	case "svc":
		return "service"
	case "wkl":
		return "workload"
	case "agt":
		return "agent"
	}
	return "person"
}

func clip(s string) string {
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:200], "")
	}
	return s
}
