package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// maxQuery bounds an authorization request, in bytes: what a browser's address
// bar carries without complaint.
const maxQuery = 8 << 10

// authorize answers an authorization request (RFC 6749, section 4.1.1): with a
// code at once where the person is signed in and has nothing to be asked, or
// by handing the person to the pages.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) error {
	if len(r.URL.RawQuery) > maxQuery {
		return &pageError{"request_too_long"}
	}
	params, err := web.Query(r, "resource")
	if err != nil {
		return &pageError{"request_malformed"}
	}
	a := newAuthorization(realm.From(r.Context()), params)
	a.browser = s.pages.Browser(r)
	if reference := params.Get("request_uri"); reference != "" && !strings.HasPrefix(reference, pushedURI) {
		// Strangers could make us ask the client's server as often as they like.
		if err := s.pages.Admit(r); err != nil {
			return err
		}
	}
	if err := s.read(r.Context(), atAuthorize, a); err != nil {
		return s.refuseRequest(w, r, a, err)
	}
	return s.decide(w, r, a, progress{})
}

// authorizePost takes the same request from a form. The form comes from the
// client's site, so the browser sends no cookie of ours along; the way back to
// GET lets it (OpenID Connect Core, section 3.1.2.1).
func (s *Server) authorizePost(w http.ResponseWriter, r *http.Request) error {
	params, err := web.Form(w, r, "resource")
	if fault.Is(err, fault.TooLarge) {
		return err
	}
	if err != nil {
		return &pageError{"request_malformed"}
	}
	query := encode(params)
	if len(query) > maxQuery {
		return &pageError{"request_too_long"}
	}
	web.See(w, realm.From(r.Context()).Path+pathAuthorize+"?"+query)
	return nil
}

// resume is where the pages send the browser when the person has done what was
// asked. The request is read anew: meanwhile the client may have changed.
func (s *Server) resume(w http.ResponseWriter, r *http.Request) error {
	flow, outcome, err := s.pages.Resume(w, r)
	if fault.Is(err, fault.NotFound) {
		return &pageError{"flow_unknown"}
	}
	if err != nil {
		return err
	}
	var kept progress
	if err := json.Unmarshal([]byte(flow.Request), &kept); err != nil {
		return err
	}
	params, err := web.ParseParams(kept.Query, "resource")
	if err != nil {
		return err
	}
	a := newAuthorization(realm.From(r.Context()), params)
	a.byForm, a.browser, a.signed = true, s.pages.Browser(r), kept.Signed
	if err := s.read(r.Context(), atAuthorize, a); err != nil {
		return s.refuseRequest(w, r, a, err)
	}
	if outcome.Stuck {
		return s.answerError(w, r, a, refuse("unmet_authentication_requirements", "the person cannot reach the assurance asked for"))
	}
	if outcome.Denied || outcome.Session == nil {
		return s.answerError(w, r, a, refuse("access_denied", "the person did not agree"))
	}
	return s.decide(w, r, a, kept.learn(outcome))
}

// refuseRequest tells the client what is wrong, where its address is known,
// and the person otherwise.
func (s *Server) refuseRequest(w http.ResponseWriter, r *http.Request, a *authorization, err error) error {
	var shown *pageError
	if errors.As(err, &shown) || a.redirectURI == "" {
		return err
	}
	e, f := explain(r, err)
	if f != nil && f.Kind != fault.Invalid {
		// Trouble of ours: the client hears of it, the status cannot say it.
		e.Description = sayable(f.Detail)
	}
	return s.answerError(w, r, a, e)
}
