package oauth

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/approval"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// How long a person may be waited for, where the client says nothing and at
// most, and how long between two questions at first (CIBA, section 7.3).
const (
	cibaLife    = 5 * time.Minute
	cibaLifeMax = 30 * time.Minute
	cibaWait    = 5 * time.Second
)

// backchannelAuthentication asks somebody who is somewhere else to let a client
// in (OpenID Connect Client-Initiated Backchannel Authentication, section 7.1).
func (s *Server) backchannelAuthentication(w http.ResponseWriter, r *http.Request) error {
	a, c, err := s.readElsewhere(w, r, s.readBackchannel)
	if err != nil {
		return err
	}
	asked := approval.Asked{ACR: a.acr, Mode: c.DeliveryMode, Message: a.message}
	if c.DeliveryMode == client.Push {
		// This is the only request of the client, so it is here that it shows what
		// its tokens will be bound to.
		bound, err := s.binding(w, r, a.realm, c)
		if err != nil {
			return err
		}
		asked.JKT, asked.X5T, asked.Instance = bound.JKT, bound.X5T, c.instance
	}
	begun, err := s.askElsewhere(r, a, approval.New{Kind: approval.Backchannel, Subject: a.person, Life: a.life, Wait: cibaWait, Token: a.token, Asked: asked})
	if err != nil {
		return err
	}
	return writeJSON(w, answerBackchannel(begun, c.DeliveryMode != client.Push))
}

// readBackchannel runs the column of a back-channel authentication request.
func (s *Server) readBackchannel(ctx context.Context, rl *realm.Realm, c *client.Client, p web.Params) (*authorization, error) {
	a := newAuthorization(rl, p.Without(clientCredentials...))
	a.client, a.life = c, cibaLife
	if !c.AllowsGrant(client.CIBA) || c.Public() {
		return nil, refuse("unauthorized_client", "the client may not use back-channel authentication")
	}
	return a, s.read(ctx, atCIBA, a)
}

// answerBackchannel is the body of CIBA, section 7.3. A client that asks must
// know how often.
func answerBackchannel(begun approval.Begun, asks bool) []byte {
	b := appendString(append(make([]byte, 0, 256), `{"auth_req_id":`...), string(begun.Code))
	b = strconv.AppendInt(append(b, `,"expires_in":`...), int64(begun.Life/time.Second), 10)
	if asks {
		b = strconv.AppendInt(append(b, `,"interval":`...), int64(begun.Wait/time.Second), 10)
	}
	return append(b, '}')
}

// maxNotificationToken bounds the client's own secret, in bytes (CIBA, section
// 7.1).
const maxNotificationToken = 1024

// checkNotificationToken reads the secret by which the client will know that it
// is us who tell it something. A client that asks needs none, and its own is not
// kept.
func checkNotificationToken(_ context.Context, _ *Server, a *authorization) error {
	if a.client.DeliveryMode != client.Ping && a.client.DeliveryMode != client.Push {
		return nil
	}
	text := a.params.Get("client_notification_token")
	if text == "" {
		return badRequest("client_notification_token is missing")
	}
	if len(text) > maxNotificationToken || !bearerSyntax(text) {
		return badRequest("client_notification_token is not a bearer token of at most 1024 characters (RFC 6750, section 2.1)")
	}
	a.token = secret.Text(text)
	return nil
}

// bearerSyntax reports whether text is a b64token.
func bearerSyntax(text string) bool {
	body := strings.TrimRight(text, "=")
	return body != "" && strings.IndexFunc(body, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~+/", r))
	}) < 0
}

// checkOpenID demands the scope that makes a request one of OpenID Connect.
func checkOpenID(_ context.Context, _ *Server, a *authorization) error {
	if !slices.Contains(a.scopes, client.ScopeOpenID) {
		return refuse("invalid_scope", "scope must contain openid")
	}
	return nil
}

// checkExpiry reads how long the client wants to wait, in seconds. A longer
// time than we keep requests is shortened.
func checkExpiry(_ context.Context, _ *Server, a *authorization) error {
	text := a.params.Get("requested_expiry")
	if text == "" {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		return badRequest("requested_expiry is not a positive number of seconds")
	}
	a.life = min(time.Duration(n)*time.Second, cibaLifeMax)
	return nil
}

// checkUserCode refuses a secret of the person's, which nobody here checks:
// whoever sends one believes that it protects somebody.
func checkUserCode(_ context.Context, _ *Server, a *authorization) error {
	if a.params.Has("user_code") {
		return badRequest("user codes are not supported (backchannel_user_code_parameter_supported)")
	}
	return nil
}

// gonePerson is the answer to a hint that names somebody whom the client has
// known, and who is not here any more.
func gonePerson(err error) error {
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return refuse("unknown_user_id", "the hint names nobody who can be asked")
	}
	return err
}
