package oauth

import (
	"context"
	"slices"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/realm"
)

// keep is what a claims parameter asks for about the person within the scopes
// that are allowed; how it asks is dropped.
func (c claimsRequest) keep(allowed func(scope string) bool) claimsRequest {
	part := func(asked map[string]claimWanted) (kept map[string]claimWanted) {
		if len(asked) == 0 {
			return nil
		}
		for i := range personClaims {
			if one := &personClaims[i]; has(asked, one.name) && allowed(one.scope) {
				if kept == nil {
					kept = make(map[string]claimWanted, len(asked))
				}
				kept[one.name] = claimWanted{}
			}
		}
		return kept
	}
	return claimsRequest{UserInfo: part(c.UserInfo), IDToken: part(c.IDToken)}
}

// scopes are those that the claims about the person belong to, sorted.
func (c claimsRequest) scopes() []string {
	var list []string
	for i := range personClaims {
		if one := &personClaims[i]; has(c.UserInfo, one.name) || has(c.IDToken, one.name) {
			list = append(list, one.scope)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// text is the claims about the person as a claims parameter, or "" for none.
func (c claimsRequest) text() string {
	if len(c.UserInfo) == 0 && len(c.IDToken) == 0 {
		return ""
	}
	b := appendNames([]byte(`{"userinfo":{`), c.UserInfo)
	b = appendNames(append(b, `},"id_token":{`...), c.IDToken)
	return string(append(b, `}}`...))
}

func appendNames(b []byte, asked map[string]claimWanted) []byte {
	first := true
	for i := range personClaims {
		name := personClaims[i].name
		if !has(asked, name) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		b, first = append(append(append(b, '"'), name...), `":null`...), false
	}
	return b
}

// told is what may be told today of the claims that a grant was asked for by
// name: what its client may still ask for, and the person still agrees to.
func (s *Server) told(ctx context.Context, rl *realm.Realm, c *client.Client, g *grant.Grant) (claimsRequest, error) {
	if g.Claims == "" {
		return claimsRequest{}, nil
	}
	asked, err := parseClaims(g.Claims)
	if err != nil {
		return claimsRequest{}, err
	}
	if !g.Consent {
		return asked.keep(c.AllowsScope), nil
	}
	given, err := s.grants.Consent(ctx, rl.Name, g.Principal, g.Client)
	if err != nil || given == nil {
		return claimsRequest{}, err
	}
	return asked.keep(func(scope string) bool { return c.AllowsScope(scope) && given.Covers([]string{scope}) }), nil
}
