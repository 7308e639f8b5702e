package client

// Relaxed lists in plain words where the client departs from the strict
// defaults, for doctor, the configuration's print and the operators' pages.
// An empty list means none.
func Relaxed(c *Client) []string {
	var list []string
	say := func(on bool, what string) {
		if on {
			list = append(list, what)
		}
	}
	say(c.PKCEOptional, "PKCE is optional: a stolen code can be redeemed by whoever holds the client's secret")
	say(c.LegacyAssertionAudience, "client assertions may name the token endpoint as audience")
	say(c.DeliveryMode == Push, "tokens are pushed to it, bound to nothing: whoever answers at its notification endpoint has them")
	say(c.IntrospectAny, "may ask about every token of the realm, not only those meant for it")
	say(c.ExchangeImpersonation, "may exchange tokens for others in which nothing shows that it was not their subject who asked")
	say(c.Type != Native && c.plainRedirect(), "has a redirect URI without TLS, on this machine")
	say(plain(c.BackChannelLogoutURI), "is told of sign-outs without TLS, on this machine")
	say(plain(c.FrontChannelLogoutURI), "is told of sign-outs in a frame without TLS, on this machine")
	return list
}

func plain(uri string) bool {
	p, why := canonical(uri)
	return why == "" && p.scheme == "http"
}

// plainRedirect reports whether a redirect URI uses http, which registration
// allows on loopback addresses only.
func (s *Settings) plainRedirect() bool {
	for _, uri := range s.RedirectURIs {
		if plain(uri) {
			return true
		}
	}
	return false
}

// Origins are the web origins from which a single-page application's scripts
// may call the endpoints that allow it: those of its redirect URIs.
func (s *Settings) Origins() []string {
	if s.Type != SPA {
		return nil
	}
	var list []string
	seen := map[string]bool{}
	for _, uri := range s.RedirectURIs {
		p, why := canonical(uri)
		if o := p.origin(); why == "" && o != "" && !seen[o] {
			seen[o] = true
			list = append(list, o)
		}
	}
	return list
}
