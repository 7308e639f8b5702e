package client

import (
	"slices"
)

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
