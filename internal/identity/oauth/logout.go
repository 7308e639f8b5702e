package oauth

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// leaving is a request to sign out (OpenID Connect RP-Initiated Logout,
// section 2).
type leaving struct {
	realm  *realm.Realm
	hint   token.Hint // zero without a hint that can be believed
	client string
	target string // registered for the client, or ""
	state  string
}

// logout signs somebody out because an application asks. Only an ID token of
// ours, of a session that this browser holds, is proof enough to do so unasked;
// without one anybody's link could end sessions, and with another's or an old one
// the person would believe to be signed out who is not. So they are asked (SE-10;
// RP-Initiated Logout, section 2).
func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	l, err := s.readLogout(r)
	if err != nil {
		return err
	}
	who := ""
	if l.hint.Subject != "" {
		if who, err = s.hinted(r, l); err != nil {
			return err
		}
	}
	if who == "" {
		return s.pages.ConfirmSignOut(w, r, signin.SignOut{Client: l.client, PostLogout: l.target, State: l.state})
	}
	noStore(w.Header())
	return s.pages.Leave(w, r, who, l.onward())
}

// onward is where the browser goes afterwards.
func (l *leaving) onward() string {
	switch {
	case l.target == "":
		return l.realm.Path + "/signedout"
	case l.state == "":
		return l.target
	}
	return withFields(l.target, "query", [][2]string{{"state", l.state}})
}

// logoutPost takes the same request from a form of another site, with which no
// cookie of ours comes along.
func (s *Server) logoutPost(w http.ResponseWriter, r *http.Request) error {
	params, err := web.Form(w, r)
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
	web.See(w, realm.From(r.Context()).Path+pathLogout+"?"+query)
	return nil
}

func (s *Server) readLogout(r *http.Request) (*leaving, error) {
	if len(r.URL.RawQuery) > maxQuery {
		return nil, &pageError{"request_too_long"}
	}
	params, err := web.Query(r)
	if err != nil {
		return nil, &pageError{"request_malformed"}
	}
	l := &leaving{realm: realm.From(r.Context()), client: params.Get("client_id"), state: params.Get("state")}
	if len(l.state) > maxState {
		return nil, &pageError{"request_too_long"}
	}
	if text := params.Get("id_token_hint"); text != "" {
		l.hint, err = s.tokens.Hint(r.Context(), l.realm.Name, text)
		if err != nil && !fault.Is(err, fault.Invalid) {
			return nil, err
		}
		if l.client == "" {
			l.client = l.hint.Client
		}
		if err == nil && l.client != l.hint.Client {
			return nil, &pageError{"id_token_hint_invalid"}
		}
	}
	return l, s.checkTarget(r, l, params.Get("post_logout_redirect_uri"))
}

// checkTarget holds the address after the sign-out to those the client has
// registered. Without a client there is none.
func (s *Server) checkTarget(r *http.Request, l *leaving, target string) error {
	if l.client == "" {
		if target != "" {
			return &pageError{"post_logout_unknown"}
		}
		return nil
	}
	c, err := s.clients.Live(r.Context(), l.realm.Name, l.client)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return &pageError{"client_unknown"}
	}
	if err != nil {
		return err
	}
	if target != "" && !c.AllowsPostLogout(target) {
		return &pageError{"post_logout_unknown"}
	}
	l.target = target
	return nil
}

// hinted is the person that the hint names, if they are signed in with this
// browser in the session that it speaks of, or "".
func (s *Server) hinted(r *http.Request, l *leaving) (string, error) {
	c, err := s.clients.Live(r.Context(), l.realm.Name, l.client)
	if err != nil {
		return "", err
	}
	all, err := s.pages.Accounts(r)
	if err != nil {
		return "", err
	}
	for _, one := range all {
		known, err := s.tokens.Subject(r.Context(), l.realm.Name, c, one.Principal)
		if err != nil {
			return "", err
		}
		if known != l.hint.Subject {
			continue
		}
		sid, err := s.tokens.SID(r.Context(), l.realm.Name, c.ID, one.ID)
		if err != nil {
			return "", err
		}
		if l.hint.Session == "" || l.hint.Session == sid {
			return one.Principal, nil
		}
	}
	return "", nil
}
