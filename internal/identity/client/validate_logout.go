package client

import (
	"slices"
	"strings"
)

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
