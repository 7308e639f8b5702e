package oauth

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/secret"
)

// codePrefix begins every authorization code.
const codePrefix = "cdc_"

// maxCodeLife bounds what a realm may set (TK-01).
const maxCodeLife = time.Minute

// codePayload is what a code stands for: everything its redemption needs and
// the client does not say again. Client, redirect URI and code challenge are
// the code's bindings and not in here.
type codePayload struct {
	Session  string    `json:"session"`
	Scopes   []string  `json:"scopes"`
	Audience []string  `json:"audience"`
	Nonce    string    `json:"nonce,omitempty"`
	Claims   string    `json:"claims,omitempty"`
	Details  string    `json:"details,omitempty"`
	JKT      string    `json:"jkt,omitempty"`     // the key it must be redeemed with
	Consent  bool      `json:"consent,omitempty"` // the grant rests on remembered consent
	ACR      string    `json:"acr,omitempty"`
	AMR      []string  `json:"amr,omitempty"`
	AuthTime time.Time `json:"auth_time"`
}

// giveCode ends an authorization request well. Consent that was just given is
// remembered in the same transaction, so that neither is without the other.
func (s *Server) giveCode(w http.ResponseWriter, r *http.Request, a *authorization, p progress) error {
	stands, err := s.pages.Stands(r, p.session, a.client)
	if err != nil {
		return err
	}
	payload, err := json.Marshal(codePayload{
		Session: p.session.ID, Scopes: a.scopes, Audience: a.client.Audience(a.realm.Issuer, a.scopes, a.resources), Nonce: a.nonce, JKT: a.jkt, Details: a.details.String(),
		Claims: a.claims.keep(func(scope string) bool { return slices.Contains(a.about, scope) }).text(), Consent: !a.client.FirstParty, ACR: a.told(stands.ACR), AMR: stands.AMR, AuthTime: p.session.AuthTime,
	})
	if err != nil {
		return err
	}
	by := from(r)
	by.Kind, by.ID, by.Client, by.Session = "person", p.session.Principal, a.client.ID, p.session.ID
	if a.client.Source == client.FromDocument {
		if err := s.registrations.Settle(r.Context(), by, a.realm, a.client); err != nil {
			return err
		}
	}
	code := secret.New(codePrefix)
	put := func(tx *db.Tx) error {
		if err := s.spendPushed(tx, a); err != nil {
			return err
		}
		return s.once.Put(tx, code, once.Value{
			Purpose: once.Code, Subject: p.session.Principal, Client: a.client.ID, Binding: once.Bind(a.redirectURI, a.challenge),
			Payload: payload, Expires: tx.Now.Add(min(a.realm.Settings.CodeTTL, maxCodeLife)),
		})
	}
	if p.asked && !a.client.FirstParty {
		err = s.rememberAnd(r, by, a, p, put)
	} else {
		// One conditional update and one insert of a fresh secret: nothing for
		// isolation to do.
		err = s.db.UpdateHot(r.Context(), a.realm.Name, put)
	}
	if err != nil {
		return err
	}
	fields := [][2]string{{"code", string(code)}}
	state, err := s.sessionState(w, r, a)
	if err != nil {
		return err
	}
	if state != "" {
		fields = append(fields, [2]string{"session_state", state})
	}
	return s.answer(w, r, a, fields...)
}

func (s *Server) rememberAnd(r *http.Request, by audit.Actor, a *authorization, p progress, put func(*db.Tx) error) error {
	return s.db.Update(r.Context(), a.realm.Name, func(tx *db.Tx) error {
		if err := s.grants.RememberTx(tx, by, p.session.Principal, a.client.ID, a.consents()); err != nil {
			return err
		}
		return put(tx)
	})
}
