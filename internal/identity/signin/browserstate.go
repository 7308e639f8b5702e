package signin

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// PathCheckSession is the page that applications embed to learn whether the
// person is still signed in here (OpenID Connect Session Management 1.0,
// section 3.3).
const PathCheckSession = "/checksession"

func stateCookie(re *realm.Realm) string { return "__Host-cardea.state-" + re.Name }

// browserState is who is signed in with a browser, as a text that tells nobody
// who that is and opens nothing: a hash, under a key of ours, of the sessions in
// their order. It changes when somebody signs in or out or becomes the current
// account, and not when somebody proves again who they are. "" is nobody.
func (s *Server) browserState(re *realm.Realm, all []account) string {
	if len(all) == 0 {
		return ""
	}
	ids := make([]string, len(all))
	for i, a := range all {
		ids[i] = a.ID
	}
	return base64.RawURLEncoding.EncodeToString(secret.Derive(s.FormKey, "browser state", re.Name, strings.Join(ids, " "))[:16])
}

// BrowserState is the state of a browser (OpenID Connect Session Management 1.0,
// section 3.2). Where the browser holds another one, since a session ended
// without it, it is set right.
func (s *Server) BrowserState(w http.ResponseWriter, r *http.Request) (string, error) {
	all, err := s.accounts(r)
	if err != nil {
		return "", err
	}
	re := realm.From(r.Context())
	state := s.browserState(re, all)
	if web.Cookie(r, stateCookie(re)) != state {
		s.setState(w, re, state)
	}
	return state, nil
}

func (s *Server) setState(w http.ResponseWriter, re *realm.Realm, state string) {
	if state == "" {
		web.ClearOpenCookie(w, stateCookie(re))
		return
	}
	web.SetOpenCookie(w, stateCookie(re), state, re.Settings.SessionAbsolute)
}

// checkSessionPage is a page without a layout.
type checkSessionPage struct{ Script, Cookie string }

// checkSession shows the page whose script answers other windows: the one page
// that may be framed.
func (s *Server) checkSession(w http.ResponseWriter, r *http.Request) error {
	re := realm.From(r.Context())
	p := s.page(w, r, nil, "")
	web.Framed(w)
	return s.frame.Render(w, http.StatusOK, "checksession", checkSessionPage{p.Asset("checksession.js"), stateCookie(re)})
}
