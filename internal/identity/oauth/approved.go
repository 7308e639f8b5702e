package oauth

import (
	"encoding/json"
	"slices"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/approval"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// proveApproval is what the grants have in common that wait for a person
// somewhere else: the client asks again and again with the code it was given,
// and once it is told yes (RFC 8628, section 3.5; CIBA, section 11).
func (s *Server) proveApproval(a *asking, k approval.Kind, param string) (proved, error) {
	code := a.params.Get(param)
	if code == "" {
		return proved{}, badRequest(param + " is missing")
	}
	if !secret.Valid(k.Prefix(), code) {
		return proved{}, badGrant("the " + param + " is not one of ours")
	}
	if s.limiter != nil {
		if _, ok := s.limiter.AllowAddr(RatePoll, web.ClientIP(a.request.Context())); !ok {
			return proved{}, s.notYet(a, nil, approval.Hasty) // not even written down
		}
	}
	asked, outcome, err := s.approvals.Poll(a.request.Context(), a.realm.Name, k, a.caller.ID, code)
	if err != nil {
		return proved{}, err
	}
	var p proved
	if outcome == approval.Ready {
		if p, asked, outcome, err = s.redeemApproval(a, k, code, nil); err != nil {
			return proved{}, err
		}
	}
	if outcome != approval.OK {
		return proved{}, s.notYet(a, asked, outcome)
	}
	return p, nil
}

// notYet is what a client is told whose request cannot be redeemed, now or
// ever. A second use ends what the first one got: one of the two was not the
// client's (TK-02).
func (s *Server) notYet(a *asking, asked *approval.Request, o approval.Outcome) error {
	switch o {
	case approval.Waiting:
		return refuse("authorization_pending", "nobody has decided yet; ask again")
	case approval.Hasty:
		return refuse("slow_down", "asked too early; wait 5 seconds longer between two questions from now on")
	case approval.Refused:
		return refuse("access_denied", "the person did not agree")
	case approval.Expired:
		return refuse("expired_token", "nobody agreed in time; begin anew")
	case approval.Reused:
		err := s.grants.Revoke(a.request.Context(), a.actor(), a.realm.Name, asked.Issued, "code_reuse")
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return badGrant("the code is not valid for this client, or was used")
}

// redeemApproval uses an approved request up and gives birth to the grant in
// one transaction, together with what then does, if it is not nil.
func (s *Server) redeemApproval(a *asking, k approval.Kind, code string, then func(*db.Tx, proved) error) (p proved, asked *approval.Request, outcome approval.Outcome, err error) {
	ctx, c := a.request.Context(), a.caller.Client
	by := a.actor()
	slot, err := s.grants.Reserve(ctx, a.realm.Name, grant.ForGrants)
	if err != nil {
		return proved{}, nil, approval.Unknown, err
	}
	// READ COMMITTED: the one statement that consumes decides, and the birth
	// holds the rows of all it hangs on.
	err = s.db.UpdateRC(ctx, a.realm.Name, func(tx *db.Tx) error {
		p = proved{}
		id := grant.NewID(tx.Now)
		asked, outcome, err = s.approvals.ConsumeTx(tx, k, c.ID, code, id)
		if err != nil || outcome != approval.OK {
			return err
		}
		n, err := a.approvedGrant(id, asked)
		if err != nil {
			return err
		}
		g, refresh, err := s.grants.CreateTx(tx, by, slot, n)
		if fault.Is(err, fault.Forbidden) || fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.NotFound) {
			return badGrant("what was allowed has ended")
		}
		if err != nil {
			return err
		}
		// A refusal from here on rolls back, and the code is as good as before.
		p, err = a.narrow(proved{grant: g, scopes: g.Scopes, audience: g.Audience, refresh: refresh, idToken: slices.Contains(g.Scopes, client.ScopeOpenID)})
		if err == nil && then != nil {
			err = then(tx, p)
		}
		return err
	})
	return p, asked, outcome, err
}

// approvedGrant turns what a person allowed into the grant to be born, by the
// rules of a redeemed code. What a client asked for before it was cut off is not
// given to it when it is let in again.
func (a *asking) approvedGrant(id string, r *approval.Request) (grant.New, error) {
	if r.ClientLife != a.caller.Life {
		return grant.New{}, badGrant("the client was disabled since it asked")
	}
	payload, err := json.Marshal(codePayload{Session: r.Answer.Session, Scopes: r.Answer.Scopes,
		Audience: a.caller.Audience(a.realm.Issuer, r.Answer.Scopes, r.Resources), Details: r.Details, Consent: !a.caller.FirstParty,
		ACR: r.Answer.ACR, AMR: r.Answer.AMR, AuthTime: r.Answer.AuthTime})
	if err != nil {
		return grant.New{}, err
	}
	n, _, err := a.newGrant(id, once.Value{Subject: r.Answer.Principal, Payload: payload})
	return n, err
}
