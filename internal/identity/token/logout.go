package token

import (
	"context"
	"strconv"
	"time"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
)

// TypeLogout is the type of logout tokens (OpenID Connect Back-Channel Logout
// 1.0, section 2.4).
const TypeLogout = "logout+jwt"

// logoutLife is how long a logout token counts: two minutes, as the section
// recommends, so that a stolen one cannot be kept for later.
const logoutLife = 2 * time.Minute

// logoutEvent is the one member of a logout token's events.
const logoutEvent = `{"http://schemas.openid.net/event/backchannel-logout":{}}`

// Logout says of which session's end a client is told.
type Logout struct {
	ID        string // jti
	Principal string
	Session   string
}

// MintLogout makes a logout token for a client, signed like its ID tokens. It
// names the person and the session as the client's ID tokens did. It has no
// nonce, so that it is never taken for one of them.
func (g *Gate) MintLogout(ctx context.Context, realm string, c *client.Client, l Logout) (string, error) {
	r, err := g.Realms.ByName(ctx, realm)
	if err != nil {
		return "", err
	}
	subject, err := g.Subject(ctx, realm, c, l.Principal)
	if err != nil {
		return "", err
	}
	sid, err := g.SID(ctx, realm, c.ID, l.Session)
	if err != nil {
		return "", err
	}
	key, err := g.Ring.Signer(ctx, realm, c.IDTokenAlgorithm())
	if err != nil {
		return "", err
	}
	now := g.db.Now()
	b := appendText([]byte(`{"iss":`), r.Issuer)
	b = appendText(append(b, `,"sub":`...), subject)
	b = appendText(append(b, `,"aud":`...), c.ID)
	b = strconv.AppendInt(append(b, `,"iat":`...), now.Unix(), 10)
	b = strconv.AppendInt(append(b, `,"exp":`...), now.Add(logoutLife).Unix(), 10)
	b = appendText(append(b, `,"jti":`...), l.ID)
	b = appendText(append(b, `,"sid":`...), sid)
	b = append(append(b, `,"events":`...), logoutEvent...)
	return jose.Sign(key, TypeLogout, append(b, '}'))
}
