package oauth

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

// checkHints finds out who is to be asked (CIBA, section 7.1): exactly one hint
// says so. A login_hint that is nobody's is answered like one that is somebody's,
// so that no client learns who has an account; nobody will ever decide about
// that request.
func checkHints(ctx context.Context, s *Server, a *authorization) (err error) {
	if a.params.Get("login_hint_token") != "" {
		return badRequest("login_hint_token is not supported; send login_hint or id_token_hint")
	}
	login, token := a.params.Get("login_hint"), a.params.Get("id_token_hint")
	if (login == "") == (token == "") {
		return badRequest("exactly one of login_hint and id_token_hint must be sent")
	}
	if login != "" {
		a.person, err = s.personOf(ctx, a.realm.Name, login)
		return err
	}
	a.person, err = s.personHinted(ctx, a, token)
	return err
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
