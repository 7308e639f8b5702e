package oauth

import (
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
)

// credentialsGrant lets a client act for itself (RFC 6749, section 4.4), under
// the one grant that stands for the client and the credential it used. It
// costs no write and no query after the first time.
type credentialsGrant struct{}

// personal are the scopes that say something about a person or need one.
var personal = []string{"openid", "profile", "email", "address", "phone", "offline_access"}

func (credentialsGrant) prove(s *Server, a *asking) (proved, error) {
	c := a.caller
	if c.Public() {
		return proved{}, refuse("unauthorized_client", "a public client cannot act for itself")
	}
	scopes, err := a.ownScopes()
	if err != nil {
		return proved{}, err
	}
	g, held := s.grants.Stood(c.Client, c.credential)
	if !held {
		if g, err = s.standing(a); err != nil {
			return proved{}, err
		}
	}
	return proved{grant: g, unasked: held, scopes: scopes, details: a.details, audience: c.Audience(a.realm.Issuer, scopes, a.resources)}, nil
}

// standing asks for the client's standing grant, and makes one where the last is
// dead.
func (s *Server) standing(a *asking) (*grant.Grant, error) {
	return s.grants.StandingFor(a.request.Context(), a.actor(), a.caller.Client, a.caller.credential)
}

// ownScopes are those asked for, or all the client may have on its own account.
func (a *asking) ownScopes() ([]string, error) {
	text := a.params.Get("scope")
	if i := slices.Index(a.caller.Scopes, text); i >= 0 && client.ValidScope(text) && !slices.Contains(personal, text) {
		return a.caller.Scopes[i : i+1 : i+1], nil // one, as most ask for; nobody changes it
	}
	if text == "" {
		text = strings.Join(slices.DeleteFunc(slices.Clone(a.caller.Scopes), func(scope string) bool { return slices.Contains(personal, scope) }), " ")
	}
	scopes, err := readScope(a.caller.Client, text)
	if err != nil {
		return nil, err
	}
	for _, scope := range scopes {
		if slices.Contains(personal, scope) {
			return nil, refuse("invalid_scope", scope+" needs a person")
		}
	}
	return scopes, nil
}
