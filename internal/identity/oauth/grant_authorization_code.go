package oauth

import (
	"encoding/json"
	"slices"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/secret"
)

// codeGrant redeems an authorization code (RFC 6749, section 4.1.3). The code
// is consumed and the grant is born in one transaction; the code remembers the
// grant, so that a second use kills what the first one got (TK-02).
type codeGrant struct{}

func (codeGrant) prove(s *Server, a *asking) (proved, error) {
	code, binding, err := a.code()
	if err != nil {
		return proved{}, err
	}
	ctx, c := a.request.Context(), a.caller.Client
	by := a.actor()
	slot, err := s.grants.Reserve(ctx, a.realm.Name, grant.ForGrants)
	if err != nil {
		return proved{}, err
	}
	var p proved
	var value once.Value
	var outcome once.Outcome
	// READ COMMITTED: the one statement that consumes decides, and the birth
	// holds the rows of all it hangs on.
	err = s.db.UpdateHot(ctx, a.realm.Name, func(tx *db.Tx) error {
		p = proved{}
		id := grant.NewID(tx.Now)
		value, outcome, err = s.once.Consume(tx, code, once.Use{Purpose: once.Code, Client: c.ID, Binding: binding, Issues: id})
		if err != nil || outcome != once.OK {
			return err
		}
		n, payload, err := a.newGrant(id, value)
		if err != nil {
			return err
		}
		if payload.JKT != "" && payload.JKT != a.bound.JKT {
			return badGrant("the code is bound to another key") // rolls back: the code is as good as before
		}
		g, refresh, err := s.grants.CreateTx(tx, by, slot, n)
		if fault.Is(err, fault.Forbidden) || fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.NotFound) {
			return badGrant("what the code stands for has ended")
		}
		if err != nil {
			return err
		}
		// A refusal from here on rolls back, and the code is as good as before.
		p, err = a.narrow(proved{grant: g, scopes: g.Scopes, audience: g.Audience, refresh: refresh, nonce: payload.Nonce,
			idToken: slices.Contains(g.Scopes, client.ScopeOpenID)})
		return err
	})
	switch {
	case err != nil:
		return proved{}, err
	case outcome == once.OK:
		return p, nil
	case outcome == once.Reused:
		if err := s.grants.Revoke(ctx, by, a.realm.Name, value.Issued, "code_reuse"); err != nil && !fault.Is(err, fault.NotFound) {
			return proved{}, err
		}
	}
	return proved{}, badGrant("the code is not valid for this client, address and verifier, or was used, or has expired")
}

// code reads the code and what it must be bound to. A verifier without a
// challenge and a challenge without a verifier both give a binding that no code
// has, so a downgrade fails either way (TK-03).
func (a *asking) code() (code, binding string, err error) {
	code = a.params.Get("code")
	if code == "" {
		return "", "", badRequest("code is missing")
	}
	uri := a.params.Get("redirect_uri")
	if uri == "" {
		return "", "", badRequest("redirect_uri is missing")
	}
	challenge := ""
	if verifier := a.params.Get("code_verifier"); verifier != "" {
		if !validVerifier(verifier) {
			return "", "", badGrant("code_verifier does not have the form of one")
		}
		challenge = s256(verifier)
	} else if a.caller.RequiresPKCE() {
		return "", "", badGrant("code_verifier is missing")
	}
	if !secret.Valid(codePrefix, code) {
		return "", "", badGrant("the code is not one of ours")
	}
	return code, once.Bind(uri, challenge), nil
}

// newGrant turns what a code stands for into the grant to be born. Refresh
// tokens need offline_access, and a client that may still use them.
func (a *asking) newGrant(id string, v once.Value) (grant.New, codePayload, error) {
	var p codePayload
	if err := json.Unmarshal(v.Payload, &p); err != nil {
		return grant.New{}, p, err
	}
	c := a.caller.Client
	scopes := slices.DeleteFunc(p.Scopes, func(scope string) bool { return !c.AllowsScope(scope) })
	offline := slices.Contains(scopes, scopeOffline)
	return grant.New{
		ID: id, Kind: grant.Authorization, Principal: v.Subject, Client: c.ID, Session: p.Session, Consent: p.Consent && !c.FirstParty, Offline: offline,
		Scopes: scopes, Audience: p.Audience, Claims: p.Claims, Details: p.Details, ACR: p.ACR, AMR: p.AMR, AuthTime: p.AuthTime,
		Refresh: offline && c.AllowsGrant(client.RefreshToken), Bound: a.refreshBound(),
	}, p, nil
}

// narrow lets a token request name fewer resources (RFC 8707, section 2.2) and
// fewer details (RFC 9396, section 6) than the authorization request did.
func (a *asking) narrow(p proved) (proved, error) {
	var err error
	if p.details, p.detailsAt, err = a.granted(p.grant); err != nil {
		return proved{}, err
	}
	if len(a.resources) == 0 {
		return p, nil
	}
	for _, resource := range a.resources {
		if !slices.Contains(p.grant.Audience, resource) {
			return proved{}, refuse("invalid_target", "the grant is not for "+resource)
		}
	}
	p.audience = a.caller.Audience(a.realm.Issuer, p.scopes, a.resources)
	return p, nil
}
