// Package trust owns whom else a realm believes: issuers of tokens beside itself,
// for what their word counts, and who their subjects are here.
//
// A subject is somebody here only where it is linked, and a link is a credential
// of the principal: what is obtained through it dies with it. The package
// verifies nothing and fetches nothing; the oauth door does.
package trust

import (
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
)

// Use is something that an issuer's word can count for.
type Use string

// The uses.
const (
	TokenExchange Use = "token_exchange" // its tokens may be exchanged (RFC 8693)
	JWTBearer     Use = "jwt_bearer"     // its assertions are authorization grants (RFC 7523, section 2.1)
	IDJAG         Use = "id_jag"         // so are its identity assertions (draft-ietf-oauth-identity-assertion-authz-grant)
	LoginHint     Use = "login_hint"     // it says whom a client wants to ask (OpenID Connect CIBA, section 7.1)
)

// Uses lists them all.
func Uses() []Use { return []Use{TokenExchange, JWTBearer, IDJAG, LoginHint} }

// Algorithms are the signing algorithms that may be allowed.
func Algorithms() []string { return []string{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA} }

// Settings is what an operator decides about an issuer. The zero value of every
// list but Algorithms allows nothing.
type Settings struct {
	Name   string `json:"name"`
	Issuer string `json:"issuer"` // the iss of its tokens, exactly; it never changes

	JWKS       string   `json:"jwks,omitempty"`     // its public keys as a JWK set
	JWKSURI    string   `json:"jwks_uri,omitempty"` // or where they are
	Algorithms []string `json:"algorithms"`         // all we know, if empty when it is set

	Uses []Use `json:"uses,omitempty"`
	// Audiences are the aud values of tokens that may be exchanged, one of which
	// a token must name. Empty: our issuer alone. Assertions are always for our
	// issuer alone.
	Audiences []string `json:"audiences,omitempty"`
	// Scopes are the most that anybody gets on its word.
	Scopes []string `json:"scopes,omitempty"`
	// LinkByEmail links a subject that is not known yet with the person who has
	// the same verified e-mail address. Whoever controls the issuer can then act
	// as any person of the realm.
	LinkByEmail bool `json:"link_by_email,omitempty"`
	// MaxLife is how many seconds ahead the exp of its tokens may be.
	MaxLife int64 `json:"max_life,omitempty"`
}

// Issuer is somebody whose word counts. Values from [Registry.ByIssuer] are
// shared between requests and must not be changed.
type Issuer struct {
	Realm   string
	ID      string // "tis_…"
	Version int64
	Created time.Time
	Updated time.Time
	Settings

	keys jose.Set
}

// For reports whether its word counts for a use.
func (i *Issuer) For(use Use) bool { return slices.Contains(i.Uses, use) }

// Keys are its keys if they were registered with it; none if they are at
// JWKSURI.
func (i *Issuer) Keys() jose.Set { return i.keys }

// AllowsAlgorithm reports whether its tokens may be signed so.
func (i *Issuer) AllowsAlgorithm(alg string) bool { return slices.Contains(i.Algorithms, alg) }

// AllowsScope reports whether a scope may be had on its word.
func (i *Issuer) AllowsScope(scope string) bool { return slices.Contains(i.Scopes, scope) }

// Life is how far ahead the exp of its tokens may be.
func (i *Issuer) Life() time.Duration { return time.Duration(i.MaxLife) * time.Second }

// AudiencesFor are the aud values of which a token to be exchanged must name one.
func (i *Issuer) AudiencesFor(ours string) []string {
	if len(i.Audiences) == 0 {
		return []string{ours}
	}
	return i.Audiences
}

// Link says who a subject of an issuer is here.
type Link struct {
	ID        string // of the credential that it is
	Issuer    string // id
	Subject   string
	Principal string
	Created   time.Time
}

// Relaxed lists in plain words where the settings depart from the strict
// defaults.
func (s *Settings) Relaxed() []string {
	if !s.LinkByEmail {
		return nil
	}
	return []string{"links subjects by e-mail: whoever controls the issuer can act as any person who has a verified address"}
}
