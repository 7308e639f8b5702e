package oauth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/identity/trust"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

// foreign is a token of an issuer that the realm trusts for a use, whose
// signature, type, audience and times are as they must be.
type foreign struct {
	issuer  *trust.Issuer
	claims  jose.Claims
	subject string
	expires time.Time
	from    time.Time // when it could first have been accepted
}

// foreignWant says what a token of another issuer must be.
type foreignWant struct {
	use      trust.Use
	types    []string
	audience func(*trust.Issuer) []string
	alone    bool // it is for nobody else
	issuedAt bool // it says when it was made
}

// unacceptable says in words what is wrong with somebody's token. Callers say
// which token, and put it into their grant's error.
type unacceptable struct {
	words string
	cause error // of package jose, or nil
}

func (e *unacceptable) Error() string { return e.words }

func (e *unacceptable) Unwrap() error { return e.cause }

func wrong(words string) error { return &unacceptable{words: words} }

// readForeign reads a token of another issuer. What its header says about keys
// counts for nothing but to pick one of those that the issuer registered.
func (s *Server) readForeign(ctx context.Context, rl *realm.Realm, text string, want foreignWant) (*foreign, error) {
	u, err := jose.Parse(text, token.MaxBytes)
	if err != nil {
		return nil, foreignProblem(err)
	}
	issuer, err := s.trust.ByIssuer(ctx, rl.Name, u.Issuer())
	if fault.Is(err, fault.NotFound) || err == nil && !issuer.For(want.use) {
		return nil, wrong("is of an issuer that is not trusted for this")
	}
	if err != nil {
		return nil, err
	}
	if !issuer.AllowsAlgorithm(u.Alg) {
		return nil, foreignProblem(jose.ErrAlgorithm)
	}
	keys, err := s.foreignKeys(ctx, issuer, u.Kid, u.Alg)
	if err != nil {
		return nil, foreignProblem(err)
	}
	verified, err := u.Verify(jose.Want{Typ: want.types, Keys: keys, Alg: u.Alg})
	if err != nil {
		return nil, foreignProblem(err)
	}
	expected := jose.Expect{Now: s.now(), Issuer: issuer.Settings.Issuer, Audience: want.audience(issuer), AloneAud: want.alone,
		Skew: 10 * time.Second, MaxLife: issuer.Life(), NeedIssuedAt: want.issuedAt}
	if err := verified.Claims.Check(expected); err != nil {
		return nil, foreignProblem(err)
	}
	f := &foreign{issuer: issuer, claims: verified.Claims}
	if f.subject, err = f.claims.String("sub"); err != nil {
		return nil, foreignProblem(err)
	}
	if f.expires, err = f.claims.Time("exp"); err != nil {
		return nil, foreignProblem(err)
	}
	if f.from, err = f.claims.Earliest(expected); err != nil {
		return nil, foreignProblem(err)
	}
	if f.claims.Has("act") {
		// Who that is nobody here knows, and an actor is never dropped.
		return nil, wrong("has an actor, which is not taken from another issuer")
	}
	return f, nil
}

// foreignKeys are the keys of an issuer: those that were registered with it, or
// those that it publishes.
func (s *Server) foreignKeys(ctx context.Context, i *trust.Issuer, kid, alg string) (jose.Set, error) {
	if i.JWKSURI == "" {
		return i.Keys(), nil
	}
	set, err := s.fetched.get(ctx, s.fetch, i.Realm+" "+i.ID, i.JWKSURI, s.now(), func(set jose.Set) bool { return set.Find(kid, alg) != nil })
	if fault.Is(err, fault.Unavailable) {
		return nil, fault.New(fault.Unavailable, "issuer_keys_unreachable", "the keys of the issuer cannot be fetched; try again").WithRetry(fetchFailed)
	}
	return set, err
}

// foreignProblem words what is wrong. Problems of ours keep their own error.
func foreignProblem(err error) error {
	for kind, words := range map[error]string{
		jose.ErrExpired: "has expired", jose.ErrSignature: "has a signature that does not verify", jose.ErrKey: "was signed with no key of its issuer",
		jose.ErrClaim: "has claims that are not as required: iss, sub, aud, exp and its times", jose.ErrAlgorithm: "is signed with an algorithm that is not allowed",
		jose.ErrMalformed: "is malformed", jose.ErrHeader: "has a header that is not allowed", jose.ErrType: "has another type",
		jose.ErrBadKey: "is of an issuer whose keys cannot be used",
	} {
		if errors.Is(err, kind) {
			return &unacceptable{words, kind}
		}
	}
	return err
}

// linked finds out who the subject is here.
func (s *Server) linked(a *asking, f *foreign) (*trust.Link, error) {
	ctx := a.request.Context()
	l, err := s.trust.Who(ctx, f.issuer, f.subject)
	if fault.Is(err, fault.NotFound) && f.issuer.LinkByEmail {
		l, err = s.linkByEmail(a, f)
	}
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) || fault.Is(err, fault.Forbidden) || fault.Is(err, fault.Invalid) {
		return nil, wrong("is about somebody who is not known here")
	}
	return l, err
}

// linkByEmail links a subject with the person whose address the issuer has
// verified, and we have too. From then on the subject counts and not the address.
func (s *Server) linkByEmail(a *asking, f *foreign) (*trust.Link, error) {
	address, err := f.claims.String("email")
	verified, _ := f.claims.Raw("email_verified")
	if err != nil || address == "" || string(verified) != "true" {
		return nil, fault.New(fault.NotFound, "email_unverified", "the issuer verified no address")
	}
	ctx := a.request.Context()
	who, err := s.principals.ByIdentifier(ctx, a.realm.Name, address)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(who.Emails, func(e principal.Email) bool {
		return e.Verified && principal.Canonical(e.Address) == principal.Canonical(address)
	}) {
		return nil, fault.New(fault.NotFound, "email_unverified", "the address is not verified here")
	}
	return s.trust.Link(ctx, a.actor(), a.realm.Name, f.issuer.ID, f.subject, who.ID)
}

// resources are those that an assertion is for (RFC 8707), and whether it says so
// at all.
func (f *foreign) resources() ([]string, bool, error) {
	list, err := f.claims.Strings("resource")
	if err != nil || len(list) > maxResources {
		return nil, true, wrong("has resources that cannot be read")
	}
	return list, f.claims.Has("resource"), nil
}

// scopes are those that a token of another issuer says it has, and whether it
// says so at all.
func (f *foreign) scopes() ([]string, bool, error) {
	text, err := f.claims.String("scope")
	if err != nil || len(text) > maxScope {
		return nil, true, wrong("has a scope that cannot be read")
	}
	return strings.Fields(text), f.claims.Has("scope"), nil
}
