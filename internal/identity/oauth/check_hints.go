package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/trust"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/secret"
)

// checkHints finds out who is to be asked (CIBA, section 7.1): exactly one hint
// says so. A login_hint that is nobody's is answered like one that is somebody's,
// so that no client learns who has an account; nobody will ever decide about
// that request.
func checkHints(ctx context.Context, s *Server, a *authorization) (err error) {
	login, vouched, token := a.params.Get("login_hint"), a.params.Get("login_hint_token"), a.params.Get("id_token_hint")
	switch {
	case login != "" && vouched+token == "":
		a.person, err = s.personOf(ctx, a.realm.Name, login)
	case vouched != "" && login+token == "":
		a.person, err = s.personVouched(ctx, a, vouched)
	case token != "" && login+vouched == "":
		a.person, err = s.personHinted(ctx, a, token)
	default:
		err = badRequest("exactly one of login_hint, login_hint_token and id_token_hint must be sent")
	}
	return err
}

// typeLoginHint is the type of login_hint_tokens, so that nothing else that
// speaks of somebody passes for one (RFC 8725, section 3.11).
const typeLoginHint = "login-hint+jwt"

// personVouched finds whom a trusted issuer means. Its word only says who is
// asked: the person decides.
func (s *Server) personVouched(ctx context.Context, a *authorization, text string) (string, error) {
	f, err := s.readForeign(ctx, a.realm, text, foreignWant{use: trust.LoginHint, types: []string{typeLoginHint}, alone: true, issuedAt: true,
		audience: func(*trust.Issuer) []string { return []string{a.realm.Issuer} }})
	var bad *unacceptable
	switch {
	case errors.Is(err, jose.ErrExpired):
		return "", refuse("expired_login_hint_token", "the login_hint_token has expired")
	case errors.As(err, &bad):
		return "", badRequest("the login_hint_token " + bad.words)
	case err != nil:
		return "", err
	}
	if id, err := f.claims.String("client_id"); err != nil || f.claims.Has("client_id") && id != a.client.ID {
		return "", badRequest("the login_hint_token is for another client")
	}
	link, err := s.trust.Who(ctx, f.issuer, f.subject)
	if err != nil {
		return "", gonePerson(err)
	}
	who, err := s.principals.Live(ctx, a.realm.Name, link.Principal)
	if err == nil && who.Principal.Kind != principal.Person {
		err = fault.New(fault.NotFound, "not_a_person", "a service cannot be asked")
	}
	if err != nil {
		return "", gonePerson(err)
	}
	return link.Principal, nil
}

// personOf finds somebody by what they sign in with. Whoever cannot be asked
// gets a name that is nobody's.
func (s *Server) personOf(ctx context.Context, realm, login string) (string, error) {
	p, err := s.principals.ByIdentifier(ctx, realm, login)
	if err == nil && p.Kind == principal.Person {
		if _, err = s.principals.Live(ctx, realm, p.ID); err == nil {
			return p.ID, nil
		}
	}
	if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Forbidden) {
		return "", err
	}
	return "?" + base64.RawURLEncoding.EncodeToString(secret.Hash(principal.Canonical(strings.TrimSpace(login)))), nil
}

// personHinted finds the subject of an ID token that the client was given. What
// pairwise clients call somebody leads nobody back to them.
func (s *Server) personHinted(ctx context.Context, a *authorization, token string) (string, error) {
	read, err := s.tokens.Hint(ctx, a.realm.Name, token)
	if err != nil {
		return "", err
	}
	if read.Client != a.client.ID {
		return "", badRequest("id_token_hint was issued to another client")
	}
	if a.client.SubjectType == client.Pairwise {
		return "", refuse("unknown_user_id", "a pairwise subject cannot be asked by id_token_hint; send login_hint")
	}
	if _, err := s.principals.Live(ctx, a.realm.Name, read.Subject); err != nil {
		return "", gonePerson(err)
	}
	return read.Subject, nil
}
