package api

import "time"

// Client is an application that relies on the realm.
type Client struct {
	ID        string    `json:"id" doc:"The client_id."`
	Principal string    `json:"principal" doc:"The service that the client acts as when it acts for itself."`
	Enabled   bool      `json:"enabled"`
	BuiltIn   bool      `json:"built_in" doc:"Made with the realm; it can be disabled but not deleted."`
	Source    string    `json:"source,omitempty" enum:"registration,document" doc:"By whose word the client is what it is: it registered itself, or its id is the address of its metadata. Absent: an operator's."`
	Relaxed   []string  `json:"relaxed,omitempty" nullable:"false" doc:"What this client is allowed beyond the strict defaults."`
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	ClientSettings
}

// ClientSettings is what an operator decides about a client. Empty fields take
// the strict default, or the realm's.
type ClientSettings struct {
	Name                                  string              `json:"name" maxLength:"200" doc:"What people read on the consent page."`
	Type                                  string              `json:"type" enum:"web,spa,native,service"`
	Profile                               string              `json:"profile,omitempty" enum:"default,mcp,fapi2" doc:"Rules beyond the realm's; it cannot ask for less."`
	ResourceServer                        bool                `json:"resource_server,omitempty" doc:"An API: it may follow revocations and ask about tokens that name it."`
	Identifiers                           []string            `json:"identifiers,omitempty" maxItems:"100" nullable:"false" doc:"Audiences a resource server answers to besides its id."`
	ResourceScopes                        []string            `json:"resource_scopes,omitempty" maxItems:"100" nullable:"false" doc:"Scopes that a resource server understands, for its metadata (RFC 9728)."`
	RedirectURIs                          []string            `json:"redirect_uris,omitempty" maxItems:"100" nullable:"false" doc:"Compared as exact strings; only the port of a loopback address may differ."`
	PostLogoutRedirectURIs                []string            `json:"post_logout_redirect_uris,omitempty" maxItems:"100" nullable:"false"`
	BackChannelLogoutURI                  string              `json:"backchannel_logout_uri,omitempty" maxLength:"2000" doc:"Where the client is told that a session has ended (OpenID Connect Back-Channel Logout). https; http on this machine only."`
	BackChannelLogoutSession              bool                `json:"backchannel_logout_session_required,omitempty" doc:"The client relies on the session id in logout tokens. They always have one."`
	FrontChannelLogoutURI                 string              `json:"frontchannel_logout_uri,omitempty" maxLength:"2000" doc:"Loaded in a frame when somebody signs out (OpenID Connect Front-Channel Logout). It has scheme, host and port of a redirect URI."`
	FrontChannelLogoutSession             bool                `json:"frontchannel_logout_session_required,omitempty" doc:"The client relies on iss and sid in the frame's address. They are always there."`
	GrantTypes                            []string            `json:"grant_types,omitempty" maxItems:"20" nullable:"false"`
	ResponseModes                         []string            `json:"response_modes,omitempty" maxItems:"20" nullable:"false"`
	RequirePushedRequests                 bool                `json:"require_pushed_authorization_requests,omitempty" doc:"Authorization requests that the client did not push are refused (RFC 9126)."`
	RequestObjectSigningAlg               string              `json:"request_object_signing_alg,omitempty" enum:"ES256,RS256,PS256,EdDSA" doc:"The one algorithm its request objects may be signed with (RFC 9101); any of its keys if empty."`
	RequestURIs                           []string            `json:"request_uris,omitempty" maxItems:"100" nullable:"false" doc:"Where its request objects may be fetched from, as exact strings."`
	RequireSignedRequestObject            bool                `json:"require_signed_request_object,omitempty" doc:"Authorization requests that the client did not sign are refused (RFC 9101)."`
	Scopes                                []string            `json:"scopes,omitempty" maxItems:"200" nullable:"false" doc:"What the client may ask for; nothing if empty."`
	Resources                             []string            `json:"resources,omitempty" maxItems:"100" nullable:"false" doc:"Audiences the client may ask tokens for (RFC 8707)."`
	AuthorizationDetailsTypes             []string            `json:"authorization_details_types,omitempty" maxItems:"100" nullable:"false" doc:"Types of authorization details that the client may ask for (RFC 9396)."`
	TokenEndpointAuthMethod               string              `json:"token_endpoint_auth_method,omitempty" enum:"none,client_secret_basic,client_secret_post,client_secret_jwt,private_key_jwt,tls_client_auth,self_signed_tls_client_auth,attest_jwt_client_auth"`
	TokenEndpointAuthSigningAlg           string              `json:"token_endpoint_auth_signing_alg,omitempty" enum:"ES256,RS256,PS256,EdDSA,HS256" doc:"The one algorithm its assertions may be signed with; any of its keys if empty. HS256 is for client_secret_jwt."`
	JWKS                                  string              `json:"jwks,omitempty" maxLength:"65536" doc:"Public keys as a JWK set, JSON in a string."`
	JWKSURI                               string              `json:"jwks_uri,omitempty" maxLength:"2000"`
	AttesterJWKS                          string              `json:"attester_jwks,omitempty" maxLength:"65536" doc:"Keys of those who attest instances of the client, a JWK set in a string, instead of the realm's; for attest_jwt_client_auth."`
	TLSClientAuthSubjectDN                string              `json:"tls_client_auth_subject_dn,omitempty" maxLength:"500" doc:"Subject of the certificate as RFC 4514 writes it, such as CN=orders,O=Example; for tls_client_auth, as are the next five."`
	TLSClientAuthSANDNS                   string              `json:"tls_client_auth_san_dns,omitempty" maxLength:"500" doc:"A DNS name in the certificate."`
	TLSClientAuthSANURI                   string              `json:"tls_client_auth_san_uri,omitempty" maxLength:"500" doc:"A URI in the certificate."`
	TLSClientAuthSANIP                    string              `json:"tls_client_auth_san_ip,omitempty" maxLength:"45" doc:"An IP address in the certificate."`
	TLSClientAuthSANEmail                 string              `json:"tls_client_auth_san_email,omitempty" maxLength:"500" doc:"An e-mail address in the certificate."`
	TLSClientCA                           string              `json:"tls_client_ca,omitempty" maxLength:"16384" doc:"CAs of its certificate as PEM, instead of the realm's."`
	BackchannelRequestAlg                 string              `json:"backchannel_authentication_request_signing_alg,omitempty" enum:"ES256,RS256,PS256,EdDSA" doc:"How the client signs its back-channel authentication requests; it does not if empty."`
	BackchannelTokenDeliveryMode          string              `json:"backchannel_token_delivery_mode,omitempty" enum:"poll,ping,push" doc:"How the client learns what people decided who were asked by the back channel (CIBA); poll if empty."`
	BackchannelClientNotificationEndpoint string              `json:"backchannel_client_notification_endpoint,omitempty" maxLength:"2000" doc:"Where it is told, for ping and push."`
	DPoPBoundAccessTokens                 bool                `json:"dpop_bound_access_tokens,omitempty" doc:"Token requests without a DPoP proof are refused (RFC 9449)."`
	DPoPRequireNonce                      bool                `json:"dpop_require_nonce,omitempty" doc:"DPoP proofs must hold a nonce of the server."`
	TLSBoundAccessTokens                  bool                `json:"tls_client_certificate_bound_access_tokens,omitempty" doc:"Access tokens are bound to the certificate of the connection (RFC 8705)."`
	AccessTokenFormat                     string              `json:"access_token_format,omitempty" enum:"jwt,opaque"`
	AccessTokenSignedResponseAlg          string              `json:"access_token_signed_response_alg,omitempty" enum:"ES256,RS256,PS256,EdDSA"`
	IDTokenSignedResponseAlg              string              `json:"id_token_signed_response_alg,omitempty" enum:"ES256,RS256,PS256,EdDSA"`
	UserInfoSignedResponseAlg             string              `json:"userinfo_signed_response_alg,omitempty" enum:"ES256,RS256,PS256,EdDSA"`
	IntrospectionSignedResponseAlg        string              `json:"introspection_signed_response_alg,omitempty" enum:"ES256,RS256,PS256,EdDSA"`
	AuthorizationSignedResponseAlg        string              `json:"authorization_signed_response_alg,omitempty" enum:"ES256,RS256,PS256,EdDSA" doc:"Signs answers to authorization requests (JARM); as ID tokens if empty."`
	RequireSignedResponses                bool                `json:"require_signed_authorization_responses,omitempty" doc:"Answers to authorization requests are always signed (JARM)."`
	OpenIDDefaults                        bool                `json:"openid_defaults,omitempty" doc:"RS256 for ID tokens when no algorithm is named."`
	SubjectType                           string              `json:"subject_type,omitempty" enum:"public,pairwise"`
	SectorIdentifier                      string              `json:"sector_identifier,omitempty" maxLength:"253"`
	FirstParty                            bool                `json:"first_party,omitempty" doc:"Nobody is asked for consent."`
	PKCEOptional                          bool                `json:"pkce_optional,omitempty" doc:"Relaxed: a confidential client may leave PKCE out."`
	LegacyAssertionAudience               bool                `json:"legacy_assertion_audience,omitempty" doc:"Relaxed: assertions may name the token endpoint as audience."`
	TokenExchangeDelegation               bool                `json:"token_exchange_delegation,omitempty" doc:"It may exchange a token for one that names who acts for the subject (RFC 8693)."`
	TokenExchangeImpersonation            bool                `json:"token_exchange_impersonation,omitempty" doc:"Relaxed: it may exchange a token for one that does not name who acts."`
	IdentityAssertions                    []IdentityAssertion `json:"identity_assertions,omitempty" maxItems:"100" nullable:"false" doc:"For which authorization servers of other domains it gets identity assertions (ID-JAG)."`
	IntrospectAny                         bool                `json:"introspect_any,omitempty" doc:"Relaxed: a resource server may ask about every token of the realm."`
	LeastACR                              string              `json:"least_acr,omitempty" enum:"aal1,aal2,aal3" doc:"Least assurance with which people get it anything; neither a remembered device nor a time of grace excuses. Empty: the realm's."`
	Factors                               []string            `json:"factors,omitempty" maxItems:"20" nullable:"false" doc:"Ways to prove who one is that count for it, of those that the realm allows; empty: all of them."`
	DefaultMaxAge                         int64               `json:"default_max_age,omitempty" minimum:"0" doc:"Seconds."`
	RequireAuthTime                       bool                `json:"require_auth_time,omitempty"`
	AccessTokenTTL                        int64               `json:"access_token_ttl,omitempty" minimum:"0" doc:"Seconds; can only shorten the realm's."`
	IDTokenTTL                            int64               `json:"id_token_ttl,omitempty" minimum:"0" doc:"Seconds; can only shorten the realm's."`
	RefreshIdleTTL                        int64               `json:"refresh_idle_ttl,omitempty" minimum:"0" doc:"Seconds; can only shorten the realm's."`
	RefreshAbsoluteTTL                    int64               `json:"refresh_absolute_ttl,omitempty" minimum:"0" doc:"Seconds; can only shorten the realm's."`
	Contacts                              []string            `json:"contacts,omitempty" maxItems:"20" nullable:"false"`
	ClientURI                             string              `json:"client_uri,omitempty" maxLength:"2000"`
	PolicyURI                             string              `json:"policy_uri,omitempty" maxLength:"2000"`
	TermsURI                              string              `json:"tos_uri,omitempty" maxLength:"2000"`
}

// IdentityAssertion lets a client get identity assertions for an authorization
// server of another domain.
type IdentityAssertion struct {
	Issuer    string   `json:"issuer" maxLength:"2000" doc:"The issuer of that server."`
	ClientID  string   `json:"client_id" maxLength:"254" doc:"What the client is called there."`
	Scopes    []string `json:"scopes,omitempty" maxItems:"100" nullable:"false" doc:"What it may ask for there."`
	Resources []string `json:"resources,omitempty" maxItems:"100" nullable:"false" doc:"Resources there that it may name."`
}

// ClientCreate registers a client.
type ClientCreate struct {
	ID string `json:"id,omitempty" maxLength:"64" doc:"A client_id of your choice; made up when empty. It is never used again, not even after deletion."`
	ClientSettings
}

// ClientWithSecret is a client and, when one was just made, its secret.
type ClientWithSecret struct {
	Client Client `json:"client"`
	Secret string `json:"secret,omitempty" doc:"Shown in this answer only."`
}

// ClientSecretCreate makes another secret for a client.
type ClientSecretCreate struct {
	ExpiresIn int64 `json:"expires_in,omitempty" minimum:"0" maximum:"315360000" doc:"Seconds until it ends by itself; 0 never."`
}

// ClientSecret is a secret that was just made.
type ClientSecret struct {
	ID        string     `json:"id" doc:"Names the secret without being it."`
	Secret    string     `json:"secret" doc:"Shown in this answer only."`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}
