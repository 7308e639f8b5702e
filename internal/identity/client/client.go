// Package client owns the applications that rely on us for sign-in, and what
// each of them may ask for. A client acts through a service principal of its
// own, made together with it; its secrets and keys are credentials of that
// principal. The package knows nothing of HTTP: the oauth door asks it, and
// grant kills what a client was given.
package client

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
)

// Type says what kind of application a client is, which decides the redirect
// URIs and the authentication it may have.
type Type string

const (
	Web     Type = "web"     // runs on a server and can keep a secret
	SPA     Type = "spa"     // runs in a browser; public
	Native  Type = "native"  // runs on a person's device; public
	Service Type = "service" // has no people in front of it
)

// AuthMethod is how a client authenticates at the token endpoint: one of the
// values of OpenID Connect Core, section 9.
type AuthMethod string

const (
	None          AuthMethod = "none"
	SecretBasic   AuthMethod = "client_secret_basic"
	SecretPost    AuthMethod = "client_secret_post"
	SecretJWT     AuthMethod = "client_secret_jwt"
	PrivateKeyJWT AuthMethod = "private_key_jwt"
	TLSClientAuth AuthMethod = "tls_client_auth"             // RFC 8705, section 2.1
	SelfSignedTLS AuthMethod = "self_signed_tls_client_auth" // RFC 8705, section 2.2
	AttestedJWT   AuthMethod = "attest_jwt_client_auth"      // draft-ietf-oauth-attestation-based-client-auth
)

// Grant types a client may be allowed.
const (
	AuthorizationCode = "authorization_code"
	RefreshToken      = "refresh_token"
	ClientCredentials = "client_credentials"
	TokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693
	JWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"     // RFC 7523, section 2.1
	DeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"
	CIBA              = "urn:openid:params:grant-type:ciba"
)

// GrantTypes are all of them.
func GrantTypes() []string {
	return []string{AuthorizationCode, RefreshToken, ClientCredentials, DeviceCode, CIBA, TokenExchange, JWTBearer}
}

// DeliveryModes are the ways in which a client learns what a person decided who
// was asked by the back channel (CIBA, section 5).
func DeliveryModes() []string { return []string{Poll, Ping, Push} }

// The delivery modes.
const (
	Poll = "poll" // the client asks
	Ping = "ping" // it is told that it may ask
	Push = "push" // it is told all
)

// TokenFormat is the shape of a client's access tokens.
type TokenFormat string

const (
	JWT    TokenFormat = "jwt"    // RFC 9068
	Opaque TokenFormat = "opaque" // sealed, only Cardea can read it
)

// SubjectType says whether clients see the same identifier for a person
// (OpenID Connect Core, section 8).
type SubjectType string

const (
	Public   SubjectType = "public"
	Pairwise SubjectType = "pairwise"
)

// Client is a registered application. Values from [Registry.ByID] are shared
// between requests and must not be changed.
type Client struct {
	Realm     string
	ID        string // the client_id: "cli_…", or a name chosen when it was made
	Principal string // its service principal, "svc_…"
	Version   int64  // counts changes, for conditional updates
	Created   time.Time
	Updated   time.Time
	Enabled   bool
	BuiltIn   bool // made with the realm; may be disabled but not deleted
	Source    Source
	// Life rises whenever the client is disabled. What was born in an earlier
	// life of it is dead, also when its end was not written down yet.
	Life int64
	Settings

	terms *atomic.Pointer[Terms] // the last; nil for a client that is no row
}

// Source says by whose word a client is what it is.
type Source string

// The sources of clients. Only an operator answers for a client.
const (
	FromOperator     Source = ""
	FromRegistration Source = "registration" // it registered itself (RFC 7591)
	FromDocument     Source = "document"     // its id is the address of its metadata
)

// Settings is what an operator decides about a client. The zero value of
// every field is the strict choice or is replaced by [Settings.Defaults].
type Settings struct {
	Name string `json:"name"`
	Type Type   `json:"type"`

	// Profile asks for more than the realm's does; empty: for what that asks.
	Profile Profile `json:"profile,omitempty"`

	// ResourceServer marks an API: it may follow the revocation stream and
	// ask about the tokens whose audience names it.
	ResourceServer bool `json:"resource_server,omitempty"`
	// Identifiers are the audiences a resource server answers to, besides
	// its client id.
	Identifiers []string `json:"identifiers,omitempty"`
	// ResourceScopes are the scopes that a resource server understands, for
	// clients that look for them in its metadata (RFC 9728).
	ResourceScopes []string `json:"resource_scopes,omitempty"`

	RedirectURIs           []string `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	// BackChannelLogoutURI is told of the ends of sessions (OpenID Connect
	// Back-Channel Logout 1.0). The tokens it gets always name the session;
	// BackChannelLogoutSession says that the client relies on that.
	BackChannelLogoutURI     string `json:"backchannel_logout_uri,omitempty"`
	BackChannelLogoutSession bool   `json:"backchannel_logout_session_required,omitempty"`
	// FrontChannelLogoutURI is loaded in a frame by the browser that signs out
	// (OpenID Connect Front-Channel Logout 1.0), always with iss and sid.
	FrontChannelLogoutURI     string   `json:"frontchannel_logout_uri,omitempty"`
	FrontChannelLogoutSession bool     `json:"frontchannel_logout_session_required,omitempty"`
	GrantTypes                []string `json:"grant_types,omitempty"`
	ResponseModes             []string `json:"response_modes,omitempty"` // empty: all
	// RequirePushedRequests refuses authorization requests that the client did
	// not push (RFC 9126, section 6).
	RequirePushedRequests bool `json:"require_pushed_authorization_requests,omitempty"`
	// RequestObjectAlg is the one algorithm of its request objects (RFC 9101);
	// empty: any we know. RequestURIs are where they may be fetched from, as exact
	// strings. RequireSignedRequestObject refuses requests that it did not sign.
	RequestObjectAlg           string   `json:"request_object_signing_alg,omitempty"`
	RequestURIs                []string `json:"request_uris,omitempty"`
	RequireSignedRequestObject bool     `json:"require_signed_request_object,omitempty"`

	Scopes []string `json:"scopes,omitempty"` // what it may ask for; empty allows nothing
	// Resources are the audiences it may ask tokens for (RFC 8707). A request
	// that names none gets them all.
	Resources []string `json:"resources,omitempty"`

	// DetailTypes are the types of authorization details it may ask for (RFC 9396).
	DetailTypes []string `json:"authorization_details_types,omitempty"`

	AuthMethod AuthMethod `json:"token_endpoint_auth_method"`
	// AuthSigningAlg is the one algorithm of its assertions; empty: any of its
	// keys, or HS256 for a client that signs with its secret.
	AuthSigningAlg string `json:"token_endpoint_auth_signing_alg,omitempty"`
	JWKS           string `json:"jwks,omitempty"`     // public keys as a JWK set
	JWKSURI        string `json:"jwks_uri,omitempty"` // or where they are

	// AttesterJWKS are the keys of those who attest instances of the client
	// (attest_jwt_client_auth), as a JWK set; empty: the realm's.
	AttesterJWKS string `json:"attester_jwks,omitempty"`

	// The certificate of tls_client_auth: exactly one of the five names it
	// must bear, and CAs as PEM that count instead of the realm's.
	TLSSubjectDN string `json:"tls_client_auth_subject_dn,omitempty"` // RFC 4514
	TLSSANDNS    string `json:"tls_client_auth_san_dns,omitempty"`
	TLSSANURI    string `json:"tls_client_auth_san_uri,omitempty"`
	TLSSANIP     string `json:"tls_client_auth_san_ip,omitempty"`
	TLSSANEmail  string `json:"tls_client_auth_san_email,omitempty"`
	TLSClientCA  string `json:"tls_client_ca,omitempty"`

	// DPoPBoundAccessTokens refuses token requests without a DPoP proof (RFC
	// 9449, section 5.2). DPoPRequireNonce demands a nonce of ours in it.
	DPoPBoundAccessTokens bool `json:"dpop_bound_access_tokens,omitempty"`
	DPoPRequireNonce      bool `json:"dpop_require_nonce,omitempty"`
	// TLSBoundAccessTokens binds its tokens to the certificate of the
	// connection (RFC 8705, section 3.4).
	TLSBoundAccessTokens bool `json:"tls_client_certificate_bound_access_tokens,omitempty"`

	// DeliveryMode is how the client learns what people decided who were asked by
	// the back channel, and NotificationEndpoint where it is told (CIBA, section 4).
	DeliveryMode         string `json:"backchannel_token_delivery_mode,omitempty"`
	NotificationEndpoint string `json:"backchannel_client_notification_endpoint,omitempty"`
	// BackchannelRequestAlg is the algorithm with which it signs its authentication
	// requests; empty: it does not.
	BackchannelRequestAlg string `json:"backchannel_authentication_request_signing_alg,omitempty"`

	AccessTokenFormat TokenFormat `json:"access_token_format,omitempty"`
	// The algorithms below are ES256, RS256, PS256 or EdDSA. Userinfo and
	// introspection answer plain JSON when theirs is empty.
	AccessTokenAlg   string `json:"access_token_signed_response_alg,omitempty"`
	IDTokenAlg       string `json:"id_token_signed_response_alg,omitempty"`
	UserInfoAlg      string `json:"userinfo_signed_response_alg,omitempty"`
	IntrospectionAlg string `json:"introspection_signed_response_alg,omitempty"`
	// AuthorizationAlg signs answers to authorization requests (JARM); empty: as
	// ID tokens. RequireSignedResponses signs them also where the request asks
	// for another mode.
	AuthorizationAlg       string `json:"authorization_signed_response_alg,omitempty"`
	RequireSignedResponses bool   `json:"require_signed_authorization_responses,omitempty"`
	// OpenIDDefaults asks for the defaults of OpenID Connect instead of
	// ours: RS256 ID tokens when no algorithm is named.
	OpenIDDefaults bool `json:"openid_defaults,omitempty"`

	SubjectType SubjectType `json:"subject_type,omitempty"`
	// Sector is the host that pairwise subjects are computed for. It is
	// taken from the redirect URIs when they all share one host.
	Sector string `json:"sector_identifier,omitempty"`

	// FirstParty clients belong to whoever runs the realm: nobody is asked
	// for consent.
	FirstParty bool `json:"first_party,omitempty"`
	// PKCEOptional lets a confidential client leave PKCE out.
	PKCEOptional bool `json:"pkce_optional,omitempty"`
	// LegacyAssertionAudience also accepts the token endpoint's address as
	// the audience of client assertions.
	LegacyAssertionAudience bool `json:"legacy_assertion_audience,omitempty"`
	// ExchangeDelegation lets it exchange a token for one that names who acts
	// for the subject, ExchangeImpersonation for one that does not (RFC 8693,
	// section 1.1).
	ExchangeDelegation    bool `json:"token_exchange_delegation,omitempty"`
	ExchangeImpersonation bool `json:"token_exchange_impersonation,omitempty"`
	// IdentityAssertions are for which servers of other domains it gets identity
	// assertions.
	IdentityAssertions []Assertion `json:"identity_assertions,omitempty"`
	// IntrospectAny lets a resource server ask about every token of the realm.
	IntrospectAny bool `json:"introspect_any,omitempty"`

	// LeastACR is the least assurance with which people get it anything, "" for
	// the realm's; neither a remembered device nor a time of grace excuses.
	LeastACR string `json:"least_acr,omitempty"`
	// Factors are those that count for it, of those that the realm allows; empty:
	// all of them.
	Factors []string `json:"factors,omitempty"`

	DefaultMaxAge   int64 `json:"default_max_age,omitempty"` // seconds; 0: none
	RequireAuthTime bool  `json:"require_auth_time,omitempty"`

	// Lifetimes in seconds; 0 takes the realm's. They may only shorten.
	AccessTokenTTL     int64 `json:"access_token_ttl,omitempty"`
	IDTokenTTL         int64 `json:"id_token_ttl,omitempty"`
	RefreshIdleTTL     int64 `json:"refresh_idle_ttl,omitempty"`
	RefreshAbsoluteTTL int64 `json:"refresh_absolute_ttl,omitempty"`

	Contacts  []string `json:"contacts,omitempty"`
	ClientURI string   `json:"client_uri,omitempty"`
	PolicyURI string   `json:"policy_uri,omitempty"`
	TermsURI  string   `json:"tos_uri,omitempty"`
}

// AllowsFactor reports whether a way to prove who one is counts for the client.
func (s *Settings) AllowsFactor(kind string) bool {
	return len(s.Factors) == 0 || slices.Contains(s.Factors, kind)
}

// Algorithms are the signing algorithms a client may name, for what we sign
// and for what it signs.
func Algorithms() []string { return []string{"ES256", "RS256", "PS256", "EdDSA"} }

// ResponseModes are the ways in which answers to authorization requests travel
// (OAuth 2.0 Multiple Response Type Encoding Practices; OAuth 2.0 Form Post
// Response Mode), and the same signed (JARM, section 2.3).
func ResponseModes() []string {
	return []string{"query", "fragment", "form_post", "query.jwt", "fragment.jwt", "form_post.jwt"}
}

// AssertionAlgorithms are those of client assertions: Algorithms and the one
// for a shared secret.
func AssertionAlgorithms() []string { return append(Algorithms(), jose.HS256) }

// DefaultAlg signs whatever names no algorithm of its own.
const DefaultAlg = "ES256"

// Public reports whether the client has no credential of its own.
func (s *Settings) Public() bool { return s.AuthMethod == None }

// AllowsGrant reports whether the client may use a grant type.
func (s *Settings) AllowsGrant(grantType string) bool {
	return slices.Contains(s.GrantTypes, grantType)
}

// AllowsScope reports whether the client may ask for one scope.
func (s *Settings) AllowsScope(scope string) bool { return slices.Contains(s.Scopes, scope) }

// AllowsDetail reports whether the client may ask for authorization details of
// a type.
func (s *Settings) AllowsDetail(name string) bool { return slices.Contains(s.DetailTypes, name) }

// AllowsResource reports whether the client may ask for tokens whose audience
// is resource.
func (s *Settings) AllowsResource(resource string) bool {
	return slices.Contains(s.Resources, resource)
}

// AllowsResponseMode reports whether answers may reach the client this way.
func (s *Settings) AllowsResponseMode(mode string) bool {
	return len(s.ResponseModes) == 0 || slices.Contains(s.ResponseModes, mode)
}

// AllowsPostLogout reports whether the browser may be sent to uri after a
// sign-out. Only the exact strings registered are allowed.
func (s *Settings) AllowsPostLogout(uri string) bool {
	return slices.Contains(s.PostLogoutRedirectURIs, uri)
}

// RequiresPKCE reports whether a request without a code challenge is refused.
// Public clients have no way out of it.
func (s *Settings) RequiresPKCE() bool { return s.Public() || !s.PKCEOptional }

// Answers reports whether audience is a name of this client as a resource
// server.
func (c *Client) Answers(audience string) bool {
	return audience == c.ID || slices.Contains(c.Identifiers, audience)
}

// AccessTokenAlgorithm signs the client's access tokens.
func (s *Settings) AccessTokenAlgorithm() string {
	if s.AccessTokenAlg != "" {
		return s.AccessTokenAlg
	}
	return DefaultAlg
}

// IDTokenAlgorithm signs the client's ID tokens. OpenID Connect's own default
// is RS256 and is kept for those who ask for it; ours is a smaller, faster one.
func (s *Settings) IDTokenAlgorithm() string {
	switch {
	case s.IDTokenAlg != "":
		return s.IDTokenAlg
	case s.OpenIDDefaults:
		return "RS256"
	}
	return DefaultAlg
}

// AuthorizationAlgorithm signs answers to the client's authorization requests.
func (s *Settings) AuthorizationAlgorithm() string {
	if s.AuthorizationAlg != "" {
		return s.AuthorizationAlg
	}
	return s.IDTokenAlgorithm()
}

// Lifetimes as durations; zero means the realm's.

// AccessTokenLife is the longest life of an access token, or zero.
func (s *Settings) AccessTokenLife() time.Duration { return seconds(s.AccessTokenTTL) }

// IDTokenLife is the longest life of an ID token, or zero.
func (s *Settings) IDTokenLife() time.Duration { return seconds(s.IDTokenTTL) }

// RefreshIdle is how long a refresh token may lie unused, or zero.
func (s *Settings) RefreshIdle() time.Duration { return seconds(s.RefreshIdleTTL) }

// RefreshAbsolute is how long a refresh family may live, or zero.
func (s *Settings) RefreshAbsolute() time.Duration { return seconds(s.RefreshAbsoluteTTL) }

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }
