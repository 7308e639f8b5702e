package client

import (
	"slices"
	"strings"
)

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
