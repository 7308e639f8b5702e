package client

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/jose"
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

// checkRedirects applies AZ-02: what is registered here is where codes go.
func (s *Settings) checkRedirects(p *problems) {
	check := func(uri string) string { return s.redirectProblem(uri) }
	checkList(p, "redirect_uris", s.RedirectURIs, check)
	checkList(p, "post_logout_redirect_uris", s.PostLogoutRedirectURIs, check)
	if len(s.RedirectURIs) == 0 && s.AllowsGrant(AuthorizationCode) {
		p.add("redirect_uris", "are needed for the authorization code grant")
	}
	checkList(p, "response_modes", s.ResponseModes, func(v string) string {
		if !slices.Contains(ResponseModes(), v) {
			return "must be query, fragment, form_post, query.jwt, fragment.jwt or form_post.jwt"
		}
		if s.RequireSignedResponses && !signedResponse(v) {
			return "contradicts require_signed_authorization_responses"
		}
		return ""
	})
}

// redirectProblem says why uri must not receive answers, or "".
func (s *Settings) redirectProblem(uri string) string {
	u, why := canonical(uri)
	if why != "" {
		return why
	}
	switch u.scheme {
	case "https":
		if u.host == "" {
			return "has no host"
		}
		return ""
	case "http":
		if is, _ := loopback(u.host); !is {
			return "uses http beyond this machine; use https"
		}
		return ""
	}
	if s.Type != Native {
		return "must use https"
	}
	// RFC 8252, section 7.1: a scheme of one's own is based on a domain name
	// one controls, which also keeps javascript:, data: and file: out.
	if first, last, ok := strings.Cut(u.scheme, "."); !ok || first == "" || last == "" || strings.HasSuffix(u.scheme, ".") || strings.Contains(u.scheme, "..") {
		return "has a private-use scheme that is not a reversed domain name, such as com.example.app"
	}
	return ""
}

// checkLogout holds the addresses that are told of sign-outs to the web: https,
// or this machine.
func (s *Settings) checkLogout(p *problems) {
	s.checkFrontChannel(p)
	if s.BackChannelLogoutURI == "" {
		if s.BackChannelLogoutSession {
			p.add("backchannel_logout_session_required", "needs backchannel_logout_uri")
		}
		return
	}
	if why := webProblem(s.BackChannelLogoutURI); why != "" {
		p.add("backchannel_logout_uri", "%s", why)
	} else if !s.AllowsGrant(AuthorizationCode) {
		p.add("backchannel_logout_uri", "is for clients that people sign in to")
	}
}

// checkFrontChannel holds the frame to an origin of the redirect URIs (OpenID
// Connect Front-Channel Logout 1.0, section 2).
func (s *Settings) checkFrontChannel(p *problems) {
	if s.FrontChannelLogoutURI == "" {
		if s.FrontChannelLogoutSession {
			p.add("frontchannel_logout_session_required", "needs frontchannel_logout_uri")
		}
		return
	}
	if why := webProblem(s.FrontChannelLogoutURI); why != "" {
		p.add("frontchannel_logout_uri", "%s", why)
		return
	}
	u, _ := canonical(s.FrontChannelLogoutURI)
	same := slices.ContainsFunc(s.RedirectURIs, func(uri string) bool {
		r, why := canonical(uri)
		return why == "" && r.origin() == u.origin()
	})
	if !same {
		p.add("frontchannel_logout_uri", "must have scheme, host and port of a redirect URI")
	} else if strings.HasPrefix(u.host, "[") {
		p.add("frontchannel_logout_uri", "cannot have an IPv6 address: a page's policy cannot name it (CSP Level 3, section 2.3.1)")
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

func (s *Settings) checkGrants(p *problems) {
	checkList(p, "grant_types", s.GrantTypes, func(v string) string {
		if !slices.Contains(GrantTypes(), v) {
			return "is not a grant type we serve"
		}
		return ""
	})
	for _, grantType := range []string{ClientCredentials, TokenExchange, JWTBearer} {
		if s.AllowsGrant(grantType) && s.Public() {
			p.add("grant_types", "%s needs a client that authenticates", grantType)
		}
	}
	s.checkAssertions(p)
	for field, on := range map[string]bool{"token_exchange_delegation": s.ExchangeDelegation, "token_exchange_impersonation": s.ExchangeImpersonation} {
		if on && !s.AllowsGrant(TokenExchange) {
			p.add(field, "needs the grant type %s", TokenExchange)
		}
	}
	if s.AllowsGrant(AuthorizationCode) && s.Type == Service {
		p.add("grant_types", "a service has no people in front of it; use type web for the authorization code grant")
	}
	if s.AllowsGrant(DeviceCode) && (s.Type == Service || s.Type == SPA) {
		p.add("grant_types", "the device grant is for programs that people use without a browser; use type native or web")
	}
	if s.AllowsGrant(CIBA) && (s.Public() || s.Type == Service) {
		p.add("grant_types", "back-channel authentication needs a client that authenticates and has people to ask; use type web")
	}
	if s.AllowsGrant(RefreshToken) && !slices.ContainsFunc(renewable(), s.AllowsGrant) {
		p.add("grant_types", "refresh_token needs a grant type by which people allow something, such as authorization_code")
	}
}

// checkDelivery holds the modes of CIBA, section 4 to what can be kept: nothing
// is pushed that must be bound to a key, since nobody shows one.
func (s *Settings) checkDelivery(p *problems) {
	told := s.DeliveryMode == Ping || s.DeliveryMode == Push
	switch {
	case s.DeliveryMode != "" && !slices.Contains(DeliveryModes(), s.DeliveryMode):
		p.add("backchannel_token_delivery_mode", "must be poll, ping or push")
	case s.DeliveryMode != "" && !s.AllowsGrant(CIBA):
		p.add("backchannel_token_delivery_mode", "is for clients with the grant type %s only", CIBA)
	case s.DeliveryMode == Push && (s.DPoPBoundAccessTokens || s.TLSBoundAccessTokens):
		p.add("backchannel_token_delivery_mode", "tokens that are bound to a key or a certificate cannot be pushed; use ping")
	}
	if s.BackchannelRequestAlg != "" && !s.AllowsGrant(CIBA) {
		p.add("backchannel_authentication_request_signing_alg", "is for clients with the grant type %s only", CIBA)
	}
	switch u, why := canonical(s.NotificationEndpoint); {
	case s.NotificationEndpoint == "" && told:
		p.add("backchannel_client_notification_endpoint", "is needed for ping and push")
	case s.NotificationEndpoint == "":
	case !told:
		p.add("backchannel_client_notification_endpoint", "is for ping and push only")
	case why != "":
		p.add("backchannel_client_notification_endpoint", "%s", why)
	case u.scheme != "https":
		p.add("backchannel_client_notification_endpoint", "must use https")
	}
}

// renewable are the grant types that can give a refresh token.
func renewable() []string { return []string{AuthorizationCode, DeviceCode, CIBA} }

func (s *Settings) checkAuthentication(p *problems) {
	switch s.AuthMethod {
	case None:
		if s.Type == Service || s.ResourceServer {
			p.add("token_endpoint_auth_method", "none does not fit a service or resource server")
		}
		if s.PKCEOptional {
			p.add("pkce_optional", "is for confidential clients only")
		}
	case SecretBasic, SecretPost, SecretJWT, PrivateKeyJWT, TLSClientAuth, SelfSignedTLS, AttestedJWT:
		if s.Type == SPA {
			p.add("token_endpoint_auth_method", "a single-page application cannot keep a secret; use none")
		}
	default:
		p.add("token_endpoint_auth_method", "is %q and must be none, client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt, tls_client_auth, self_signed_tls_client_auth or attest_jwt_client_auth", s.AuthMethod)
	}
	s.checkKeys(p)
	s.checkAttesters(p)
	s.checkCertificate(p)
}

func (s *Settings) checkAttesters(p *problems) {
	switch {
	case s.AttesterJWKS == "":
	case s.AuthMethod != AttestedJWT:
		p.add("attester_jwks", "is for attest_jwt_client_auth only")
	case len(s.AttesterJWKS) > maxJWKS:
		p.add("attester_jwks", "is larger than %d bytes", maxJWKS)
	default:
		if _, err := credential.ParseKeys([]byte(s.AttesterJWKS)); err != nil {
			p.add("attester_jwks", "%s", err)
		}
	}
}

// checkKeys looks at the keys that the client may sign with: assertions, and
// requests however it authenticates (RFC 7591, section 2).
func (s *Settings) checkKeys(p *problems) {
	if s.AuthMethod != PrivateKeyJWT {
		if s.AuthSigningAlg != "" && (s.AuthMethod != SecretJWT || s.AuthSigningAlg != jose.HS256) {
			p.add("token_endpoint_auth_signing_alg", "is for private_key_jwt, or HS256 for client_secret_jwt")
		}
		if s.LegacyAssertionAudience {
			p.add("legacy_assertion_audience", "is for private_key_jwt only")
		}
	}
	needed := s.AuthMethod == PrivateKeyJWT || s.AuthMethod == SelfSignedTLS || s.signsRequests()
	if s.JWKS == "" && s.JWKSURI == "" && !needed {
		return
	}
	if (s.JWKS == "") == (s.JWKSURI == "") {
		p.add("jwks", "give either jwks or jwks_uri")
		return
	}
	if s.JWKSURI != "" {
		if u, why := canonical(s.JWKSURI); why != "" {
			p.add("jwks_uri", "%s", why)
		} else if u.scheme != "https" {
			p.add("jwks_uri", "must use https")
		}
		return
	}
	if len(s.JWKS) > maxJWKS {
		p.add("jwks", "is larger than %d bytes", maxJWKS)
	} else if _, err := credential.ParseKeys([]byte(s.JWKS)); err != nil {
		p.add("jwks", "%s", err)
	}
}

// signsRequests reports whether the client's settings speak of request objects,
// for which it needs keys however it authenticates.
func (s *Settings) signsRequests() bool {
	return s.BackchannelRequestAlg != "" || s.RequestObjectAlg != "" || len(s.RequestURIs) > 0 || s.RequireSignedRequestObject
}

// checkRequests looks at how authorization requests may come.
func (s *Settings) checkRequests(p *problems) {
	if s.AllowsGrant(AuthorizationCode) {
		checkList(p, "request_uris", s.RequestURIs, func(v string) string {
			// The one kind of address that may have a fragment (OpenID Connect
			// Core, section 6.2). It is compared, and never sent.
			address, fragment, _ := strings.Cut(v, "#")
			if characters(fragment) != "" || len(v) > maxURI {
				return "has a fragment that is too long, or not of URI characters"
			}
			if u, why := canonical(address); why != "" {
				return why
			} else if u.scheme != "https" {
				return "must use https"
			}
			return ""
		})
		return
	}
	for field, on := range map[string]bool{"require_signed_authorization_responses": s.RequireSignedResponses,
		"require_pushed_authorization_requests": s.RequirePushedRequests,
		"require_signed_request_object":         s.RequireSignedRequestObject, "request_uris": len(s.RequestURIs) > 0, "request_object_signing_alg": s.RequestObjectAlg != ""} {
		if on {
			p.add(field, "is for clients with the authorization code grant")
		}
	}
}

// signingAlg is the algorithm of assertions that the client signs with a key.
func (s *Settings) signingAlg() string {
	if s.AuthMethod == SecretJWT {
		return ""
	}
	return s.AuthSigningAlg
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
