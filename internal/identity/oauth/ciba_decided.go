package oauth

import (
	"context"
	"errors"
	"net/http"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/approval"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// KindDecided is the job that tells a client what a person decided (CIBA,
// section 10.2 and 10.3).
const KindDecided = "backchannel-decided"

// decidedAttempts is how often a client is told, over about a quarter of an
// hour: by then its request is over.
const decidedAttempts = 9

// promiseDecided runs in the transaction that decides, so that no decision is
// lost on the way to a client that does not ask for it.
func (s *Server) promiseDecided(tx *db.Tx, r *approval.Request) error {
	if r.Mode != client.Ping && r.Mode != client.Push {
		return nil
	}
	_, err := s.jobs.AddTx(tx, job.Promise{Kind: KindDecided, Key: r.ID, Target: r.Client, Subject: r.ID})
	return err
}

// tellDecided makes one attempt.
func (s *Server) tellDecided(ctx context.Context, j *job.Job) error {
	r, err := s.approvals.ByID(ctx, j.Realm, j.Subject)
	if fault.Is(err, fault.NotFound) {
		return job.Never(errors.New("the request is over"))
	}
	if err != nil {
		return err
	}
	c, err := s.clients.Live(ctx, j.Realm, r.Client)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return job.Never(errors.New("the client is disabled or deleted"))
	}
	if err != nil {
		return err
	}
	if c.NotificationEndpoint == "" {
		return job.Never(errors.New("the client has no backchannel_client_notification_endpoint any more"))
	}
	kept, err := s.approvals.Secrets(r)
	if err != nil {
		return job.Never(err)
	}
	body, err := s.decidedBody(ctx, c, r, kept)
	if err != nil {
		return err
	}
	if err := s.fetch.Send(ctx, c.NotificationEndpoint, web.Message{Type: "application/json", Bearer: secret.Text(kept.Token), Body: body}); err != nil {
		// Who will not have a ping can still ask.
		if answered := (*web.Answered)(nil); r.Mode == client.Ping && errors.As(err, &answered) && answered.Refuses() {
			return job.Never(err)
		}
		return err
	}
	return s.approvals.Forget(ctx, j.Realm, r.ID)
}

// decidedBody is what the client is told: in ping mode that it may ask, in push
// mode what came of its request.
func (s *Server) decidedBody(ctx context.Context, c *client.Client, r *approval.Request, kept approval.Secrets) ([]byte, error) {
	if r.Mode == client.Ping {
		return append(appendString([]byte(`{"auth_req_id":`), kept.Code), '}'), nil
	}
	if r.State == approval.Denied {
		return pushedError(kept, "access_denied", "the person did not agree"), nil
	}
	rl, err := s.realms.ByName(ctx, r.Realm)
	if err != nil {
		return nil, err
	}
	body, err := s.pushedTokens(ctx, rl, c, r, kept)
	var refused *Error
	if errors.As(err, &refused) {
		return pushedError(kept, "transaction_failed", refused.Description), nil
	}
	return body, err
}

// pushedError is the body of CIBA, section 12.
func pushedError(kept approval.Secrets, code, description string) []byte {
	b := appendString([]byte(`{"auth_req_id":`), kept.Code)
	b = appendString(append(b, `,"error":`...), code)
	b = appendString(append(b, `,"error_description":`...), description)
	return append(b, '}')
}

// pushedTokens is the body of CIBA, section 10.3.1: tokens that pass the gate
// like those that are asked for, bound to what was shown with the request. Each attempt has an access token of its own;
// the grant and its refresh token are those of the first one.
func (s *Server) pushedTokens(ctx context.Context, rl *realm.Realm, c *client.Client, r *approval.Request, kept approval.Secrets) ([]byte, error) {
	bound := token.Binding{JKT: r.JKT, X5T: r.X5T}
	rules := c.Terms(rl)
	if bound == (token.Binding{}) && rules.Bound {
		return nil, badGrant("the client may only have tokens that are bound to a key or a certificate, and showed none")
	}
	nobody, err := http.NewRequestWithContext(ctx, http.MethodPost, "/", nil)
	if err != nil {
		return nil, err
	}
	a := &asking{presented: presented{request: nobody, realm: rl}, caller: caller{Client: c, rules: rules, instance: r.Instance}, bound: bound}
	p, err := s.pushedGrant(a, r, kept)
	if err != nil {
		return nil, err
	}
	issued, err := s.issueWith(a, &p, pushedClaims(c, kept, p.refresh)...)
	if err != nil {
		return nil, err
	}
	body := a.appendTokens(nil, &p, &issued)
	body = appendString(append(body[:len(body)-1], `,"auth_req_id":`...), kept.Code)
	return append(body, '}'), nil
}

// pushedGrant gives birth to the grant, or finds it where an attempt before did.
func (s *Server) pushedGrant(a *asking, r *approval.Request, kept approval.Secrets) (proved, error) {
	if r.State != approval.Consumed {
		p, _, outcome, err := s.redeemApproval(a, approval.Backchannel, kept.Code, func(tx *db.Tx, p proved) error {
			kept.Refresh = string(p.refresh)
			return s.approvals.KeepTx(tx, r.ID, kept)
		})
		switch {
		case err != nil || outcome == approval.OK:
			return p, err
		case outcome == approval.Reused:
			return proved{}, errors.New("another node is telling the client")
		}
		return proved{}, badGrant("the request was over before it could be delivered")
	}
	g, err := s.grants.Cached(a.request.Context(), r.Realm, r.Issued)
	if fault.Is(err, fault.NotFound) {
		return proved{}, badGrant("what was allowed has ended")
	}
	if err != nil {
		return proved{}, err
	}
	return a.narrow(proved{grant: g, scopes: g.Scopes, audience: g.Audience, refresh: secret.Text(kept.Refresh), idToken: true})
}

// pushedClaims tie an ID token to the request and the refresh token that it came
// with, since nothing else proves that they belong together.
func pushedClaims(c *client.Client, kept approval.Secrets, refresh secret.Text) []token.Claim {
	const prefix = "urn:openid:params:jwt:claim:"
	list := []token.Claim{{Name: prefix + "auth_req_id", Value: appendString(nil, kept.Code)}}
	if refresh != "" {
		list = append(list, token.Claim{Name: prefix + "rt_hash", Value: appendString(nil, token.HalfHash(c.IDTokenAlgorithm(), string(refresh)))})
	}
	return list
}
