package client

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
)

// Bounds of a client's record. They keep a record small enough to be held in
// memory by the thousand.
const (
	maxName    = 100 // characters
	maxList    = 50  // entries of a list
	maxScope   = 128 // bytes of one scope
	maxJWKS    = 32 << 10
	maxTTL     = 400 * 24 * 60 * 60 // seconds
	maxContact = 254
)

// problems collects what is wrong, field by field, so that an operator hears
// everything at once.
type problems struct{ err *fault.Error }

func (p *problems) add(field, format string, args ...any) {
	if p.err == nil {
		p.err = fault.New(fault.Invalid, "invalid_client_settings", "the client's settings are not allowed; see the fields")
	}
	if _, said := p.err.Fields[field]; !said {
		p.err.WithField(field, fmt.Sprintf(format, args...))
	}
}

func (p *problems) error() error {
	if p.err == nil {
		return nil
	}
	return p.err
}

// Defaults fills what was left empty with what suits the client's type.
func (s *Settings) Defaults() {
	if s.Type == "" {
		s.Type = Web
	}
	if s.AuthMethod == "" {
		switch {
		case s.Type == SPA || s.Type == Native:
			s.AuthMethod = None
		case s.JWKS != "" || s.JWKSURI != "":
			s.AuthMethod = PrivateKeyJWT
		default:
			s.AuthMethod = SecretBasic
		}
	}
	if len(s.GrantTypes) == 0 {
		s.GrantTypes = []string{AuthorizationCode}
		if s.Type == Service {
			s.GrantTypes = []string{ClientCredentials}
		} else if s.AllowsScope("offline_access") {
			s.GrantTypes = append(s.GrantTypes, RefreshToken)
		}
	}
	if s.DeliveryMode == "" && s.AllowsGrant(CIBA) {
		s.DeliveryMode = Poll
	}
	if s.AccessTokenFormat == "" {
		s.AccessTokenFormat = JWT
	}
	if s.SubjectType == "" {
		s.SubjectType = Public
	}
	if s.SubjectType == Pairwise && s.Sector == "" {
		s.Sector = s.commonHost()
	}
}

// commonHost is the one host of all redirect URIs, or "".
func (s *Settings) commonHost() string {
	host := ""
	for i, uri := range s.RedirectURIs {
		p, why := canonical(uri)
		if why != "" || i > 0 && p.host != host {
			return ""
		}
		host = p.host
	}
	return host
}

// Validate says everything that is wrong with the settings as one
// fault.Invalid with a field for each problem, or nil.
func (s *Settings) Validate() error {
	p := &problems{}
	s.checkIdentity(p)
	s.checkRedirects(p)
	s.checkLogout(p)
	s.checkGrants(p)
	s.checkRequests(p)
	s.checkDelivery(p)
	s.checkAuthentication(p)
	s.checkTokens(p)
	s.checkPages(p)
	s.checkProfile(p)
	return p.error()
}

// validate is Validate for a client as it is: one for which no operator answers
// belongs to strangers.
func (c *Client) validate() error {
	if c.Source != FromOperator && c.FirstParty {
		p := &problems{}
		p.add("first_party", "is not for a client that registered itself; make one of your own")
		return p.error()
	}
	return c.Settings.Validate()
}

func (s *Settings) checkIdentity(p *problems) {
	switch s.Type {
	case Web, SPA, Native, Service:
	default:
		p.add("type", "is %q and must be web, spa, native or service", s.Type)
	}
	if n := utf8.RuneCountInString(s.Name); n == 0 || n > maxName || !printable(s.Name) {
		p.add("name", "must have 1 to %d printable characters", maxName)
	}
	if len(s.Identifiers) > 0 && !s.ResourceServer {
		p.add("identifiers", "are for resource servers only")
	}
	if len(s.ResourceScopes) > 0 && !s.ResourceServer {
		p.add("resource_scopes", "are for resource servers only")
	}
	if s.IntrospectAny && !s.ResourceServer {
		p.add("introspect_any", "is for resource servers only")
	}
	checkList(p, "authorization_details_types", s.DetailTypes, func(v string) string {
		if !ValidScope(v) {
			return "is not the name of a type"
		}
		return ""
	})
	checkAudiences(p, "identifiers", s.Identifiers)
	checkAudiences(p, "resources", s.Resources)
	for field, list := range map[string][]string{"scopes": s.Scopes, "resource_scopes": s.ResourceScopes} {
		checkList(p, field, list, func(v string) string {
			if !ValidScope(v) {
				return "is not a scope (RFC 6749, appendix A.4)"
			}
			return ""
		})
	}
}

// webProblem says why uri is not an address of the web that can be called
// safely, or "".
func webProblem(uri string) string {
	u, why := canonical(uri)
	if why != "" {
		return why
	}
	if u.host == "" || u.scheme != "https" && u.scheme != "http" {
		return "must use https"
	}
	if is, _ := loopback(u.host); u.scheme == "http" && !is {
		return "uses http beyond this machine; use https"
	}
	return ""
}

func (s *Settings) checkTokens(p *problems) {
	if s.AccessTokenFormat != JWT && s.AccessTokenFormat != Opaque {
		p.add("access_token_format", "must be jwt or opaque")
	}
	for field, alg := range s.algorithms() {
		if alg != "" && !slices.Contains(Algorithms(), alg) {
			p.add(field, "is %q and must be ES256, RS256, PS256 or EdDSA", alg)
		}
	}
	switch s.SubjectType {
	case Public:
		if s.Sector != "" {
			p.add("sector_identifier", "is for pairwise subjects only")
		}
	case Pairwise:
		if why := hostName(s.Sector); s.Sector == "" {
			p.add("sector_identifier", "is needed, because the redirect URIs do not share one host")
		} else if why != "" {
			p.add("sector_identifier", "%s", why)
		}
	default:
		p.add("subject_type", "must be public or pairwise")
	}
	if s.LeastACR != "" && !slices.Contains([]string{"aal1", "aal2", "aal3"}, s.LeastACR) {
		p.add("least_acr", "must be aal1, aal2 or aal3")
	}
	checkList(p, "factors", s.Factors, func(v string) string {
		if !realm.KnownFactor(v) {
			return "must be password, totp, recovery, passkey or email"
		}
		return ""
	})
	if len(s.Factors) > 0 && !slices.Contains(s.Factors, "password") && !slices.Contains(s.Factors, "passkey") {
		p.add("factors", "must hold password or passkey, or nobody could sign in")
	}
	for field, ttl := range map[string]int64{
		"access_token_ttl": s.AccessTokenTTL, "id_token_ttl": s.IDTokenTTL, "refresh_idle_ttl": s.RefreshIdleTTL,
		"refresh_absolute_ttl": s.RefreshAbsoluteTTL, "default_max_age": s.DefaultMaxAge,
	} {
		if ttl < 0 || ttl > maxTTL {
			p.add(field, "must be between 0 and %d seconds", maxTTL)
		}
	}
}

func (s *Settings) checkPages(p *problems) {
	checkList(p, "contacts", s.Contacts, func(v string) string {
		if v == "" || len(v) > maxContact || !printable(v) {
			return "must be a short line of text"
		}
		return ""
	})
	for field, uri := range map[string]string{"client_uri": s.ClientURI, "policy_uri": s.PolicyURI, "tos_uri": s.TermsURI} {
		if uri == "" {
			continue
		}
		if u, why := canonical(uri); why != "" {
			p.add(field, "%s", why)
		} else if is, _ := loopback(u.host); u.scheme != "https" && !(u.scheme == "http" && is) {
			p.add(field, "must use https")
		}
	}
}

// checkList applies check to each entry and refuses long or repeated lists.
func checkList(p *problems, field string, list []string, check func(string) string) {
	if len(list) > maxList {
		p.add(field, "has more than %d entries", maxList)
		return
	}
	for i, v := range list {
		if why := check(v); why != "" {
			p.add(field, "%q %s", v, why)
		} else if slices.Contains(list[:i], v) {
			p.add(field, "%q is listed twice", v)
		}
	}
}

func checkAudiences(p *problems, field string, list []string) {
	checkList(p, field, list, func(v string) string {
		if !ValidResource(v) {
			return "must be an absolute URI without fragment (RFC 8707, section 2)"
		}
		return ""
	})
}

// ValidResource reports whether v is an absolute URI without a fragment, as a
// resource indicator must be (RFC 8707, section 2).
func ValidResource(v string) bool {
	if v == "" || len(v) > maxURI || characters(v) != "" {
		return false
	}
	scheme, rest, ok := strings.Cut(v, ":")
	return ok && validScheme(scheme) && rest != ""
}

// ValidScope reports whether v is one scope token (RFC 6749, appendix A.4) of
// a length we carry.
func ValidScope(v string) bool {
	if v == "" || len(v) > maxScope {
		return false
	}
	for i := 0; i < len(v); i++ {
		if c := v[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
