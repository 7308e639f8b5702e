package oauth

import (
	"context"
	"slices"
	"strconv"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
)

// standardScopes are those of OpenID Connect Core, section 5.4 and 11, in the
// order of discovery, which reads them too.
var standardScopes = []string{"openid", "profile", "email", "address", "phone", "offline_access"}

// personClaim is a standard claim (OpenID Connect Core, section 5.1), the scope
// that asks for it, and where it comes from. append adds its value to b as JSON,
// or returns b as it was when the person has none.
type personClaim struct {
	name, scope string
	append      func(b []byte, p *principal.Principal) []byte
}

// personClaims has every claim about a person that we give, in the order in
// which it is given. Discovery reads it too.
var personClaims = [...]personClaim{
	{"name", "profile", text(fullName)},
	{"given_name", "profile", text(func(p *principal.Principal) string { return p.Profile.GivenName })},
	{"family_name", "profile", text(func(p *principal.Principal) string { return p.Profile.FamilyName })},
	{"middle_name", "profile", text(func(p *principal.Principal) string { return p.Profile.MiddleName })},
	{"nickname", "profile", text(func(p *principal.Principal) string { return p.Profile.Nickname })},
	{"preferred_username", "profile", text(func(p *principal.Principal) string { return p.Name })},
	{"profile", "profile", text(func(p *principal.Principal) string { return p.Profile.Profile })},
	{"picture", "profile", text(func(p *principal.Principal) string { return p.Profile.Picture })},
	{"website", "profile", text(func(p *principal.Principal) string { return p.Profile.Website })},
	{"gender", "profile", text(func(p *principal.Principal) string { return p.Profile.Gender })},
	{"birthdate", "profile", text(func(p *principal.Principal) string { return p.Profile.Birthdate })},
	{"zoneinfo", "profile", text(func(p *principal.Principal) string { return p.Profile.Zoneinfo })},
	{"locale", "profile", text(func(p *principal.Principal) string { return p.Locale })},
	{"updated_at", "profile", func(b []byte, p *principal.Principal) []byte {
		return strconv.AppendInt(b, p.UpdatedAt.Unix(), 10)
	}},
	{"email", "email", text(func(p *principal.Principal) string { return p.Email().Address })},
	{"email_verified", "email", func(b []byte, p *principal.Principal) []byte {
		if p.Email().Address == "" {
			return b
		}
		return strconv.AppendBool(b, p.Email().Verified)
	}},
	{"address", "address", address},
	{"phone_number", "phone", text(func(p *principal.Principal) string { return p.Profile.PhoneNumber })},
	{"phone_number_verified", "phone", func(b []byte, p *principal.Principal) []byte {
		if p.Profile.PhoneNumber == "" {
			return b
		}
		return strconv.AppendBool(b, p.Profile.PhoneNumberVerified)
	}},
}

// text makes a claim of a string that may be missing.
func text(of func(*principal.Principal) string) func([]byte, *principal.Principal) []byte {
	return func(b []byte, p *principal.Principal) []byte {
		if v := of(p); v != "" {
			return appendString(b, v)
		}
		return b
	}
}

func fullName(p *principal.Principal) string {
	if p.DisplayName != "" {
		return p.DisplayName
	}
	given, family := p.Profile.GivenName, p.Profile.FamilyName
	if given != "" && family != "" {
		return given + " " + family
	}
	return given + family
}

func address(b []byte, p *principal.Principal) []byte {
	a := p.Profile.Address
	if a == (principal.Address{}) {
		return b
	}
	comma := byte('{')
	for _, part := range [...][2]string{{"formatted", a.Formatted}, {"street_address", a.StreetAddress}, {"locality", a.Locality},
		{"region", a.Region}, {"postal_code", a.PostalCode}, {"country", a.Country}} {
		if part[1] == "" {
			continue
		}
		b = append(appendString(append(b, comma), part[0]), ':')
		b = appendString(b, part[1])
		comma = ','
	}
	return append(b, '}')
}

// claimNames are the claims that may come back, for discovery.
func claimNames() []string {
	names := []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr"}
	for _, c := range personClaims {
		names = append(names, c.name)
	}
	return names
}

// appendClaims adds what userinfo says of a person: what the scopes ask for,
// and what the claims parameter does.
func appendClaims(b []byte, p *principal.Principal, scopes []string, asked map[string]claimWanted) []byte {
	for i := range personClaims {
		c := &personClaims[i]
		if !slices.Contains(scopes, c.scope) && !has(asked, c.name) {
			continue
		}
		before := len(b)
		b = append(append(append(b, `,"`...), c.name...), `":`...)
		begin := len(b)
		if b = c.append(b, p); len(b) == begin {
			b = b[:before]
		}
	}
	return b
}

// idTokenClaims are the claims about the person that the client asked to have
// in the ID token by name. What scopes ask for is told by userinfo (OpenID
// Connect Core, section 5.4).
func (s *Server) idTokenClaims(ctx context.Context, rl *realm.Realm, to *client.Client, g *grant.Grant) ([]token.Claim, error) {
	asked, err := s.told(ctx, rl, to, g)
	if err != nil || len(asked.IDToken) == 0 {
		return nil, err
	}
	p, err := s.principals.Cached(ctx, rl.Name, g.Principal)
	if err != nil {
		return nil, err
	}
	var list []token.Claim
	for i := range personClaims {
		c := &personClaims[i]
		if !has(asked.IDToken, c.name) {
			continue
		}
		if value := c.append(nil, p); len(value) > 0 {
			list = append(list, token.Claim{Name: c.name, Value: value})
		}
	}
	return list, nil
}
