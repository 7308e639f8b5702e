package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// What a pushed request is called (RFC 9126, section 2.2).
const (
	pushedURI    = "urn:ietf:params:oauth:request_uri:"
	pushedPrefix = "cdq_"
)

// Lives of a pushed request: until a browser brings it, and from then on, a
// little longer than the pages let a person take.
const (
	pushedLife     = time.Minute
	pushedFlowLife = 35 * time.Minute
)

// pushed is an authorization request that its client pushed, as it is kept. It
// is used up when the client gets its answer. Until then the one browser that
// brought it first may bring it again.
type pushed struct {
	Query   string `json:"query"`
	Key     string `json:"key,omitempty"`     // thumbprint of the key shown with it
	Signed  bool   `json:"signed,omitempty"`  // it came as a request object
	Browser string `json:"browser,omitempty"` // that brought it; "" none yet

	value   string // the secret that names it
	version int64
}

// clientCredentials are parameters that authenticate a client and are no part of its
// request.
var clientCredentials = []string{"client_secret", "client_assertion", "client_assertion_type"}

// push takes an authorization request from the client itself and gives a name
// for it that goes through the browser instead (RFC 9126, section 2). Whatever
// is wrong with the request the client hears at once.
func (s *Server) push(w http.ResponseWriter, r *http.Request) error {
	params, err := readForm(w, r)
	if err != nil {
		return err
	}
	rl := realm.From(r.Context())
	who, err := s.authenticate(r, rl, params)
	if err != nil {
		return err
	}
	a := newAuthorization(rl, params.Without(clientCredentials...))
	a.client = who.Client
	if a.client.Public() {
		if err := s.admitPublic(r, a); err != nil {
			return err
		}
	}
	if lines := r.Header[headerDPoP]; len(lines) > 0 {
		if a.key, err = s.proveKey(w, r, rl, a.client, lines); err != nil {
			return err
		}
	}
	if err := s.read(r.Context(), atPAR, a); err != nil {
		return spoken(err)
	}
	value, err := s.keep(r.Context(), a)
	if err != nil {
		return err
	}
	return writePushed(w, value)
}

// admitPublic bounds what those may have us keep who prove nothing.
func (s *Server) admitPublic(r *http.Request, a *authorization) error {
	if len(encode(a.params)) > maxQuery {
		return badRequest("a public client may push at most 8192 bytes")
	}
	return s.pages.Admit(r)
}

// spoken words for a client what a person would see on a page.
func spoken(err error) error {
	var shown *pageError
	if !errors.As(err, &shown) {
		return err
	}
	switch shown.code {
	case "redirect_uri_missing":
		return badRequest("redirect_uri is missing")
	case "redirect_uri_unknown":
		return badRequest("redirect_uri is not registered for the client")
	}
	return badRequest(shown.code)
}

// keep stores a request that has passed all checks.
func (s *Server) keep(ctx context.Context, a *authorization) (value secret.Text, err error) {
	payload, err := json.Marshal(pushed{Query: encode(a.params), Key: a.key, Signed: a.signed})
	if err != nil {
		return "", err
	}
	value = secret.New(pushedPrefix)
	return value, s.db.UpdateHot(ctx, a.realm.Name, func(tx *db.Tx) error {
		return s.once.Put(tx, value, once.Value{Purpose: once.Pushed, Client: a.client.ID, Payload: payload, Expires: tx.Now.Add(pushedLife)})
	})
}

// writePushed is the answer of RFC 9126, section 2.2.
func writePushed(w http.ResponseWriter, value secret.Text) error {
	b := appendString([]byte(`{"request_uri":`), pushedURI+string(value))
	b = strconv.AppendInt(append(b, `,"expires_in":`...), int64(pushedLife/time.Second), 10)
	h := w.Header()
	noStore(h)
	h["Content-Type"] = contentJSON
	w.WriteHeader(http.StatusCreated)
	_, err := w.Write(append(b, '}'))
	return err
}

// openPushed finds the request that a request_uri of ours names. What else the
// browser brings is not looked at (RFC 9126, section 4).
func openPushed(ctx context.Context, s *Server, a *authorization) error {
	value, ours := strings.CutPrefix(a.sent.Get("request_uri"), pushedURI)
	if !ours {
		return nil
	}
	p, err := s.peekPushed(ctx, a, value)
	if err != nil {
		return err
	}
	if p == nil || p.Browser != "" && p.Browser != a.browser {
		return errPushedGone
	}
	params, err := web.ParseParams(p.Query, "resource")
	if err != nil {
		return err
	}
	a.params, a.key, a.signed, a.pushed = params, p.Key, p.Signed, p
	return nil
}

// errPushedGone is said of a pushed request that is not known, was used, came
// too late, or is on its way in another browser.
var errPushedGone error = &pageError{"request_gone"}

// peekPushed looks at a pushed request, nil if there is none to be used.
func (s *Server) peekPushed(ctx context.Context, a *authorization, value string) (*pushed, error) {
	if !secret.Valid(pushedPrefix, value) {
		return nil, nil
	}
	var v once.Value
	var outcome once.Outcome
	err := s.db.Glance(ctx, a.realm.Name, func(tx *db.Tx) (err error) {
		v, outcome, err = s.once.Peek(tx, value, a.pushedUse())
		return err
	})
	if err != nil || outcome != once.OK {
		return nil, err
	}
	p := &pushed{value: value, version: v.Version}
	return p, json.Unmarshal(v.Payload, p)
}

func (a *authorization) pushedUse() once.Use {
	return once.Use{Purpose: once.Pushed, Client: a.client.ID}
}

// holdPushed gives a pushed request to the browser that is about to sign
// somebody in for it. No other can bring it from then on.
func (s *Server) holdPushed(w http.ResponseWriter, r *http.Request, a *authorization) error {
	if a.pushed == nil || a.pushed.Browser != "" {
		return nil
	}
	held := *a.pushed
	held.Browser = s.pages.MarkBrowser(w, r)
	payload, err := json.Marshal(held)
	if err != nil {
		return err
	}
	var won bool
	err = s.db.UpdateRC(r.Context(), a.realm.Name, func(tx *db.Tx) (err error) {
		won, err = s.once.Prolong(tx, held.value, a.pushedUse(), held.version, payload, tx.Now.Add(pushedFlowLife))
		return err
	})
	if err != nil || won {
		return err
	}
	// The same browser may have been faster in another tab.
	now, err := s.peekPushed(r.Context(), a, held.value)
	if err == nil && (now == nil || now.Browser != held.Browser) {
		return errPushedGone
	}
	return err
}

// spendPushed uses a pushed request up, in the transaction that answers it.
func (s *Server) spendPushed(tx *db.Tx, a *authorization) error {
	if a.pushed == nil {
		return nil
	}
	_, outcome, err := s.once.Consume(tx, a.pushed.value, a.pushedUse())
	if err == nil && outcome != once.OK {
		return errPushedGone
	}
	return err
}

// checkPushed refuses what came through the browser of a client that pushes.
func checkPushed(_ context.Context, _ *Server, a *authorization) error {
	if a.pushed == nil && a.rules().Pushed {
		return badRequest("the client must push its authorization requests (RFC 9126)")
	}
	return nil
}

// refuseReference keeps references out of pushed requests (RFC 9126, section
// 2.1).
func refuseReference(_ context.Context, _ *Server, a *authorization) error {
	if a.sent.Has("request_uri") {
		return badRequest("request_uri cannot be pushed")
	}
	return nil
}
