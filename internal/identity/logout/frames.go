package logout

import (
	"context"
	"net/url"
	"strings"
)

// Frames lists the addresses that a page must load in frames for the
// applications of a session to learn in this browser that it ends (OpenID
// Connect Front-Channel Logout 1.0, section 2). Issuer and session are always
// named.
func (n *Notifier) Frames(ctx context.Context, realm, issuer, session string) (all []string, err error) {
	told, err := n.Told(ctx, realm, session)
	if err != nil {
		return nil, err
	}
	for _, c := range told {
		if c.FrontChannelLogoutURI == "" {
			continue
		}
		sid, err := n.Tokens.SID(ctx, realm, c.ID, session)
		if err != nil {
			return nil, err
		}
		separator := "?"
		if strings.Contains(c.FrontChannelLogoutURI, "?") {
			separator = "&"
		}
		all = append(all, c.FrontChannelLogoutURI+separator+"iss="+url.QueryEscape(issuer)+"&sid="+url.QueryEscape(sid))
	}
	return all, nil
}
