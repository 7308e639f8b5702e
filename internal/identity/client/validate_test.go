package client

import (
	"errors"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/jose"
)

func valid() Settings {
	return Settings{Name: "App", Scopes: []string{"openid"}, RedirectURIs: []string{"https://app.example.com/cb"}}
}

// backchannel is a client that asks people by the back channel.
func backchannel(mode, endpoint string) func(*Settings) {
	return func(s *Settings) {
		s.GrantTypes, s.DeliveryMode, s.NotificationEndpoint = []string{CIBA}, mode, endpoint
	}
}

// TestSettingsAreChecked: each setting that must not be is named in the answer.
func TestSettingsAreChecked(t *testing.T) {
	key, err := jose.Generate("k", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	jwks := string(jose.Set{key.Public()}.JSON())
	for _, v := range []struct {
		field  string
		change func(*Settings)
	}{
		{"", func(*Settings) {}},
		{"", func(s *Settings) { s.AuthMethod, s.JWKS = PrivateKeyJWT, jwks }},
		{"", func(s *Settings) { s.SubjectType = Pairwise }},
		{"", func(s *Settings) { s.Type = SPA }},
		{"", func(s *Settings) { s.Type = Native }},
		{"", func(s *Settings) { s.Type, s.AuthMethod = Native, SecretBasic }},
		{"", func(s *Settings) { *s = Settings{Name: "Job", Type: Service, Scopes: []string{"x"}} }},
		{"", func(s *Settings) { s.PKCEOptional = true }},
		{"", func(s *Settings) {
			s.BackChannelLogoutURI, s.BackChannelLogoutSession = "https://rp.example.com/out?a=b", true
		}},
		{"", func(s *Settings) { s.BackChannelLogoutURI = "http://127.0.0.1:8080/out" }},
		{"backchannel_logout_session_required", func(s *Settings) { s.BackChannelLogoutSession = true }},
		{"backchannel_logout_uri", func(s *Settings) { s.BackChannelLogoutURI = "http://rp.example.com/out" }},
		{"backchannel_logout_uri", func(s *Settings) { s.BackChannelLogoutURI = "https://rp.example.com/out#x" }},
		{"backchannel_logout_uri", func(s *Settings) { s.BackChannelLogoutURI = "com.example.app:/out" }},
		{"backchannel_logout_uri", func(s *Settings) { s.BackChannelLogoutURI = "/out" }},
		{"backchannel_logout_uri", func(s *Settings) {
			*s = Settings{Name: "Job", Type: Service, BackChannelLogoutURI: "https://rp.example.com/out"}
		}},
		{"", func(s *Settings) {
			s.FrontChannelLogoutURI, s.FrontChannelLogoutSession = "https://app.example.com/out?x=y", true
		}},
		{"frontchannel_logout_session_required", func(s *Settings) { s.FrontChannelLogoutSession = true }},
		{"frontchannel_logout_uri", func(s *Settings) { s.FrontChannelLogoutURI = "https://app.example.com:8443/out" }},
		{"frontchannel_logout_uri", func(s *Settings) { s.FrontChannelLogoutURI = "http://app.example.com/out" }},
		{"frontchannel_logout_uri", func(s *Settings) { s.FrontChannelLogoutURI = "javascript:alert(1)" }},
		{"frontchannel_logout_uri", func(s *Settings) {
			s.RedirectURIs, s.FrontChannelLogoutURI = []string{"http://[::1]:8080/cb"}, "http://[::1]:8080/out"
		}},
		{"", func(s *Settings) { s.AuthMethod, s.AuthSigningAlg = SecretJWT, jose.HS256 }},
		{"token_endpoint_auth_signing_alg", func(s *Settings) { s.AuthMethod, s.AuthSigningAlg = SecretJWT, jose.ES256 }},
		{"token_endpoint_auth_signing_alg", func(s *Settings) { s.AuthMethod, s.JWKS, s.AuthSigningAlg = PrivateKeyJWT, jwks, jose.HS256 }},
		{"legacy_assertion_audience", func(s *Settings) { s.AuthMethod, s.LegacyAssertionAudience = SecretJWT, true }},
		{"", func(s *Settings) { s.AuthMethod, s.JWKS = SecretJWT, jwks }},
		{"", func(s *Settings) { s.AuthMethod, s.AttesterJWKS = AttestedJWT, jwks }},
		{"attester_jwks", func(s *Settings) { s.AuthMethod, s.AttesterJWKS = AttestedJWT, "{}" }},
		{"attester_jwks", func(s *Settings) { s.AttesterJWKS = jwks }},
		{"name", func(s *Settings) { s.Name = "" }},
		{"name", func(s *Settings) { s.Name = strings.Repeat("x", 101) }},
		{"name", func(s *Settings) { s.Name = "a\u202eb" }},
		{"type", func(s *Settings) { s.Type = "toaster" }},
		{"redirect_uris", func(s *Settings) { s.RedirectURIs = nil }},
		{"redirect_uris", func(s *Settings) { s.RedirectURIs = append(s.RedirectURIs, s.RedirectURIs[0]) }},
		{"redirect_uris", func(s *Settings) { s.RedirectURIs = make([]string, 51) }},
		{"post_logout_redirect_uris", func(s *Settings) { s.PostLogoutRedirectURIs = []string{"javascript:alert(1)"} }},
		{"response_modes", func(s *Settings) { s.ResponseModes = []string{"web_message"} }},
		{"response_modes", func(s *Settings) { s.ResponseModes = []string{"jwt"} }},
		{"response_modes", func(s *Settings) { s.RequireSignedResponses, s.ResponseModes = true, []string{"query"} }},
		{"", func(s *Settings) { s.RequireSignedResponses, s.ResponseModes = true, []string{"query.jwt"} }},
		{"authorization_signed_response_alg", func(s *Settings) { s.AuthorizationAlg = "none" }},
		{"require_signed_authorization_responses", func(s *Settings) { *s = Settings{Name: "Job", Type: Service, RequireSignedResponses: true} }},
		{"grant_types", func(s *Settings) { s.GrantTypes = []string{"password"} }},
		{"grant_types", func(s *Settings) { s.GrantTypes = []string{RefreshToken} }},
		{"grant_types", func(s *Settings) { s.Type, s.GrantTypes = SPA, []string{ClientCredentials} }},
		{"grant_types", func(s *Settings) { s.Type, s.GrantTypes = Service, []string{AuthorizationCode} }},
		{"grant_types", func(s *Settings) { s.Type, s.GrantTypes = SPA, []string{AuthorizationCode, TokenExchange} }},
		{"grant_types", func(s *Settings) { s.Type, s.GrantTypes = SPA, []string{AuthorizationCode, JWTBearer} }},
		{"token_exchange_delegation", func(s *Settings) { s.ExchangeDelegation = true }},
		{"token_exchange_impersonation", func(s *Settings) { s.ExchangeImpersonation = true }},
		{"identity_assertions", func(s *Settings) { s.IdentityAssertions = []Assertion{{Issuer: "https://chat.example", ClientID: "x"}} }},
		{"identity_assertions", exchanging(Assertion{Issuer: "chat.example", ClientID: "x"})},
		{"identity_assertions", exchanging(Assertion{Issuer: "https://chat.example"})},
		{"identity_assertions", exchanging(Assertion{Issuer: "https://chat.example", ClientID: "x", Scopes: []string{"a b"}})},
		{"identity_assertions", exchanging(Assertion{Issuer: "https://chat.example", ClientID: "x", Resources: []string{"x"}})},
		{"identity_assertions", exchanging(Assertion{Issuer: "https://chat.example", ClientID: "x"}, Assertion{Issuer: "https://chat.example", ClientID: "y"})},
		{"", exchanging(Assertion{Issuer: "https://chat.example", ClientID: "x", Scopes: []string{"a"}, Resources: []string{"https://api.chat.example"}})},
		{"", func(s *Settings) {
			s.GrantTypes = append(s.GrantTypes, AuthorizationCode, TokenExchange, JWTBearer)
			s.ExchangeDelegation, s.ExchangeImpersonation = true, true
		}},
		{"grant_types", func(s *Settings) { s.Type, s.GrantTypes = Service, []string{DeviceCode} }},
		{"grant_types", func(s *Settings) { s.Type, s.GrantTypes = SPA, []string{DeviceCode} }},
		{"grant_types", func(s *Settings) { s.Type, s.GrantTypes = Native, []string{CIBA} }},
		{"grant_types", func(s *Settings) { s.Type, s.GrantTypes = Service, []string{CIBA} }},
		{"", func(s *Settings) { s.RedirectURIs, s.GrantTypes = nil, []string{CIBA, RefreshToken} }},
		{"", backchannel(Ping, "https://app.example.com/told")},
		{"", backchannel(Push, "https://app.example.com/told")},
		{"backchannel_token_delivery_mode", backchannel("pull", "")},
		{"backchannel_token_delivery_mode", func(s *Settings) { s.DeliveryMode = Poll }},
		{"backchannel_authentication_request_signing_alg", func(s *Settings) { s.BackchannelRequestAlg = "ES256" }},
		{"backchannel_authentication_request_signing_alg", func(s *Settings) { s.GrantTypes, s.BackchannelRequestAlg = []string{CIBA}, "HS256" }},
		{"jwks", func(s *Settings) { s.GrantTypes, s.BackchannelRequestAlg = []string{CIBA}, "ES256" }},
		{"", func(s *Settings) { s.GrantTypes, s.BackchannelRequestAlg, s.JWKS = []string{CIBA}, "ES256", jwks }},
		{"backchannel_token_delivery_mode", func(s *Settings) {
			backchannel(Push, "https://app.example.com/told")(s)
			s.DPoPBoundAccessTokens = true
		}},
		{"backchannel_client_notification_endpoint", backchannel(Ping, "")},
		{"backchannel_client_notification_endpoint", backchannel(Poll, "https://app.example.com/told")},
		{"backchannel_client_notification_endpoint", backchannel(Ping, "http://localhost/told")},
		{"backchannel_client_notification_endpoint", backchannel(Ping, "https://app.example.com/a/../told")},
		{"", func(s *Settings) {
			s.Type, s.RedirectURIs, s.GrantTypes = Native, nil, []string{DeviceCode, RefreshToken}
		}},
		{"scopes", func(s *Settings) { s.Scopes = []string{"open id"} }},
		{"scopes", func(s *Settings) { s.Scopes = []string{`a"b`} }},
		{"authorization_details_types", func(s *Settings) { s.DetailTypes = []string{"a b"} }},
		{"resources", func(s *Settings) { s.Resources = []string{"no uri"} }},
		{"resources", func(s *Settings) { s.Resources = []string{"https://api.example.com/#x"} }},
		{"identifiers", func(s *Settings) { s.Identifiers = []string{"https://api.example.com"} }},
		{"resource_scopes", func(s *Settings) { s.ResourceScopes = []string{"read"} }},
		{"resource_scopes", func(s *Settings) { s.ResourceServer, s.ResourceScopes = true, []string{"a b"} }},
		{"", func(s *Settings) { s.ResourceServer, s.ResourceScopes = true, []string{"read"} }},
		{"introspect_any", func(s *Settings) { s.IntrospectAny = true }},
		{"token_endpoint_auth_method", func(s *Settings) { s.AuthMethod = "client_secret_jws" }},
		{"tls_client_auth_subject_dn", func(s *Settings) { s.AuthMethod = TLSClientAuth }},
		{"tls_client_auth_subject_dn", func(s *Settings) { s.AuthMethod, s.TLSSubjectDN = TLSClientAuth, "CN=a, O=b" }},
		{"tls_client_auth_subject_dn", func(s *Settings) {
			s.AuthMethod, s.TLSSubjectDN, s.TLSSANDNS = TLSClientAuth, "CN=a", "a.example.com"
		}},
		{"tls_client_auth_subject_dn", func(s *Settings) { s.TLSSubjectDN = "CN=a" }},
		{"tls_client_auth_san_ip", func(s *Settings) { s.AuthMethod, s.TLSSANIP = TLSClientAuth, "::01" }},
		{"tls_client_ca", func(s *Settings) { s.AuthMethod, s.TLSSANDNS, s.TLSClientCA = TLSClientAuth, "a", "no PEM" }},
		{"tls_client_ca", func(s *Settings) { s.TLSClientCA = "-----BEGIN CERTIFICATE-----" }},
		{"jwks", func(s *Settings) { s.AuthMethod = SelfSignedTLS }},
		{"token_endpoint_auth_method", func(s *Settings) { s.Type, s.AuthMethod = SPA, SelfSignedTLS }},
		{"", func(s *Settings) { s.AuthMethod, s.TLSSubjectDN = TLSClientAuth, "CN=orders,OU=a\\,b,O=Example" }},
		{"", func(s *Settings) { s.AuthMethod, s.JWKS = SelfSignedTLS, jwks }},
		{"token_endpoint_auth_method", func(s *Settings) { s.Type, s.AuthMethod = SPA, SecretBasic }},
		{"token_endpoint_auth_method", func(s *Settings) { s.ResourceServer, s.AuthMethod = true, None }},
		{"pkce_optional", func(s *Settings) { s.Type, s.PKCEOptional = SPA, true }},
		{"", func(s *Settings) { s.JWKS = jwks; s.AuthMethod = SecretBasic }},
		{"jwks", func(s *Settings) { s.JWKS = "{}"; s.AuthMethod = SecretBasic }},
		{"jwks_uri", func(s *Settings) { s.JWKSURI = "http://app.example.com/jwks"; s.AuthMethod = SecretBasic }},
		{"jwks", func(s *Settings) { s.AuthMethod = PrivateKeyJWT }},
		{"jwks", func(s *Settings) { s.RequireSignedRequestObject = true }},
		{"", func(s *Settings) { s.RequestObjectAlg, s.JWKS = "ES256", jwks }},
		{"request_object_signing_alg", func(s *Settings) { s.RequestObjectAlg, s.JWKS = "HS256", jwks }},
		{"request_object_signing_alg", func(s *Settings) { s.RequestObjectAlg, s.JWKS = "none", jwks }},
		{"request_uris", func(s *Settings) { s.RequestURIs, s.JWKS = []string{"http://app.example.com/request"}, jwks }},
		{"require_pushed_authorization_requests", func(s *Settings) { *s = Settings{Name: "Job", Type: Service, RequirePushedRequests: true} }},
		{"jwks", func(s *Settings) {
			s.AuthMethod, s.JWKS, s.JWKSURI = PrivateKeyJWT, jwks, "https://app.example.com/jwks"
		}},
		{"jwks", func(s *Settings) { s.AuthMethod, s.JWKS = PrivateKeyJWT, `{"keys":[{"kty":"oct","k":"AAAA"}]}` }},
		{"jwks", func(s *Settings) { s.AuthMethod, s.JWKS = PrivateKeyJWT, `{"keys":[]}` }},
		{"jwks_uri", func(s *Settings) { s.AuthMethod, s.JWKSURI = PrivateKeyJWT, "http://localhost/jwks" }},
		{"legacy_assertion_audience", func(s *Settings) { s.LegacyAssertionAudience = true }},
		{"", func(s *Settings) { s.AuthMethod, s.JWKS, s.LegacyAssertionAudience = PrivateKeyJWT, jwks, true }},
		{"access_token_format", func(s *Settings) { s.AccessTokenFormat = "paper" }},
		{"id_token_signed_response_alg", func(s *Settings) { s.IDTokenAlg = "none" }},
		{"access_token_signed_response_alg", func(s *Settings) { s.AccessTokenAlg = "HS256" }},
		{"userinfo_signed_response_alg", func(s *Settings) { s.UserInfoAlg = "RS512" }},
		{"introspection_signed_response_alg", func(s *Settings) { s.IntrospectionAlg = "ES512" }},
		{"token_endpoint_auth_signing_alg", func(s *Settings) { s.AuthSigningAlg = "ES256" }},
		{"subject_type", func(s *Settings) { s.SubjectType = "secret" }},
		{"sector_identifier", func(s *Settings) { s.Sector = "example.com" }},
		{"sector_identifier", func(s *Settings) {
			s.SubjectType, s.RedirectURIs = Pairwise, append(s.RedirectURIs, "https://other.example.com/cb")
		}},
		{"sector_identifier", func(s *Settings) { s.SubjectType, s.Sector = Pairwise, "Example.com" }},
		{"access_token_ttl", func(s *Settings) { s.AccessTokenTTL = -1 }},
		{"refresh_absolute_ttl", func(s *Settings) { s.RefreshAbsoluteTTL = 1 << 40 }},
		{"contacts", func(s *Settings) { s.Contacts = []string{"a\nb"} }},
		{"policy_uri", func(s *Settings) { s.PolicyURI = "javascript:alert(1)" }},
		{"tos_uri", func(s *Settings) { s.TermsURI = "http://example.com" }},
	} {
		s := valid()
		v.change(&s)
		s.Defaults()
		err := s.Validate()
		var f *fault.Error
		switch {
		case v.field == "" && err != nil:
			t.Errorf("%+v: %v", s, err)
		case v.field != "" && (!errors.As(err, &f) || f.Kind != fault.Invalid || f.Fields[v.field] == ""):
			t.Errorf("%s is not named: %+v", v.field, err)
		}
	}
}

func exchanging(list ...Assertion) func(*Settings) {
	return func(s *Settings) {
		s.GrantTypes, s.IdentityAssertions = []string{AuthorizationCode, TokenExchange}, list
	}
}

// TestRelaxed: every departure from the strict defaults is told.
func TestRelaxed(t *testing.T) {
	c := &Client{Settings: valid()}
	c.Defaults()
	if got := Relaxed(c); len(got) != 0 {
		t.Errorf("the defaults are not strict: %q", got)
	}
	for _, relax := range []func(*Settings){
		func(s *Settings) { s.PKCEOptional = true },
		func(s *Settings) { s.LegacyAssertionAudience = true },
		func(s *Settings) { s.IntrospectAny = true },
		func(s *Settings) { s.ExchangeImpersonation = true },
		func(s *Settings) { s.RedirectURIs = []string{"http://localhost:8080/cb"} },
	} {
		c := &Client{Settings: valid()}
		c.Defaults()
		relax(&c.Settings)
		if got := Relaxed(c); len(got) != 1 {
			t.Errorf("%+v: %q", c.Settings, got)
		}
	}
}

// fieldOf is what an error says of a field.
func fieldOf(err error, field string) string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return ""
	}
	return f.Fields[field]
}
