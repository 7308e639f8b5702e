package oauth

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// Paths below the issuer. Discovery reads them too.
const (
	pathAuthorize  = "/oauth2/authorize"
	pathContinue   = "/oauth2/authorize/continue"
	pathPAR        = "/oauth2/par"
	pathToken      = "/oauth2/token"
	pathUserInfo   = "/oauth2/userinfo"
	pathIntrospect = "/oauth2/introspect"
	pathRevoke     = "/oauth2/revoke"
	pathDevice     = "/oauth2/device_authorization"
	pathCIBA       = "/oauth2/bc-authorize"
	pathJWKS       = "/oauth2/jwks"
	pathLogout     = "/oauth2/logout"
	pathRegister   = "/oauth2/register"
	pathOpenID     = "/.well-known/openid-configuration"
	pathOAuth      = "/.well-known/oauth-authorization-server"
	pathResource   = "/.well-known/oauth-protected-resource" // of the issuer's own; what follows the issuer in a name goes behind
	pathRegistered = "/oauth2/resources"                     // of registered APIs, by client id
)

// Rate classes, counted per address, of what strangers make us write down:
// requests of devices, and their questions how it went.
const (
	RateDevice = "device"
	RatePoll   = "poll"
)

// RateRegister is the rate class of registrations, by address.
const RateRegister = "register"

// Mount is the whole door at a glance. Browsers navigate to the first group and
// no script of another origin reads it; single-page applications call the
// second from the origins they registered (WB-04); servers call the third;
// applications that register themselves call the fourth, from any origin since
// nobody knows theirs yet; everybody may read the last, which stays right while the node has no lease.
func (s *Server) Mount(root *web.Mux) {
	pages := root.Door("oauth", s.failPage, web.Rate("authorize"))
	pages.Handle("GET "+pathAuthorize, s.authorize)
	pages.Handle("POST "+pathAuthorize, s.authorizePost)
	pages.Handle("GET "+pathContinue, s.resume)
	pages.Handle("GET "+pathLogout, s.logout)
	pages.Handle("POST "+pathLogout, s.logoutPost)

	m := root.Door("oauth", fail, web.Rate("oauth"))
	m.Handle("POST "+pathPAR, s.push, web.Cross(s.scripts("POST")))
	m.Handle("POST "+pathToken, s.token, web.Cross(s.scripts("POST")))
	m.Handle("POST "+pathRevoke, s.revoke, web.Cross(s.scripts("POST")))
	m.Handle("GET "+pathUserInfo, s.userinfo, web.Cross(s.scripts("GET, POST")))
	m.Handle("POST "+pathUserInfo, s.userinfo, web.Cross(s.scripts("GET, POST")))

	m.Handle("POST "+pathIntrospect, s.introspect)
	m.Handle("POST "+pathCIBA, s.backchannelAuthentication)
	m.Handle("POST "+pathDevice, s.deviceAuthorization, web.Rate(RateDevice))

	itself := root.Door("oauth", fail, web.Rate(RateRegister))
	anyOrigin := web.Cross(web.CORS{Any: true, Methods: "POST, GET, PUT, DELETE", Headers: "Authorization, Content-Type"})
	itself.Handle("POST "+pathRegister, s.register, anyOrigin)
	itself.Handle("GET "+pathRegister+"/{client_id}", s.registered, anyOrigin)
	itself.Handle("PUT "+pathRegister+"/{client_id}", s.reregister, anyOrigin)
	itself.Handle("DELETE "+pathRegister+"/{client_id}", s.deregister, anyOrigin)

	everybody := web.Cross(web.CORS{Any: true, Methods: "GET"})
	open := root.Door("oauth", fail, web.LeaseOff)
	open.Handle("GET "+pathOpenID, s.discovery, everybody)
	open.Handle("GET "+pathOAuth, s.discovery, everybody)
	open.Handle("GET "+pathJWKS, s.jwks, everybody)
	open.Handle("GET "+pathResource, s.ownMetadata, everybody)
	open.Handle("GET "+pathResource+"/{path...}", s.ownMetadata, everybody)
	m.Handle("GET "+pathRegistered+"/{client}", s.registeredMetadata, everybody)
}

// scripts lets the realm's single-page applications call an endpoint. They
// show what they have in the request; cookies play no part.
func (s *Server) scripts(methods string) web.CORS {
	return web.CORS{
		Methods: methods,
		Headers: "Authorization, Content-Type, DPoP",
		Expose:  "WWW-Authenticate, Retry-After, DPoP-Nonce",
		Allow: func(r *http.Request, origin string) bool {
			ok, err := s.clients.AllowsOrigin(r.Context(), realm.From(r.Context()).Name, origin)
			return err == nil && ok
		},
	}
}
