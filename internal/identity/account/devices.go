package account

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/device"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/web"
)

// maxSessions bounds how many sessions the page lists, the newest first. There
// is a button that ends them all.
const maxSessions = 100

// devicesPage lists where somebody is signed in.
type devicesPage struct {
	frame
	Sessions []signedIn
	Others   int // besides this one
	More     bool
}

// signedIn is a session as its owner sees it.
type signedIn struct {
	ID      string
	Device  string
	Kind    string
	IP      string
	Place   string
	Proof   string // how somebody signed in, in words
	Seen    moment
	Since   moment
	Current bool
}

func (s *Server) devices(w http.ResponseWriter, r *http.Request, v *visit) error {
	p := devicesPage{frame: s.begin(w, r, v, "account.devices")}
	var err error
	if p.Sessions, p.More, err = s.sessions(r, v, p.frame, maxSessions); err != nil {
		return err
	}
	for _, e := range p.Sessions {
		if !e.Current {
			p.Others++
		}
	}
	return s.look.Render(w, http.StatusOK, "devices", p)
}

// sessions are the visitor's living sessions, the one of this browser first.
func (s *Server) sessions(r *http.Request, v *visit, f frame, most int) (list []signedIn, more bool, err error) {
	found, next, err := s.Sessions.List(r.Context(), v.realm.Name, session.Filter{Principal: v.Principal, Live: true}, "", most)
	if err != nil {
		return nil, false, err
	}
	list = []signedIn{s.signedIn(f, v, v.Session)}
	for _, e := range found {
		if e.ID != v.ID {
			list = append(list, s.signedIn(f, v, e))
		}
	}
	return list, next != "", nil
}

func (s *Server) signedIn(f frame, v *visit, e *session.Session) signedIn {
	d := device.Of(e.UserAgent)
	return signedIn{ID: e.ID, Device: d.Words(f.T), Kind: d.Kind, IP: e.IP, Place: s.place(f, e.IP), Proof: proof(f, e.AMR),
		Seen: s.moment(f.Page, e.LastSeenAt), Since: s.moment(f.Page, e.CreatedAt), Current: e.ID == v.ID}
}

// endSessions ends one of the visitor's sessions, or all others.
func (s *Server) endSessions(w http.ResponseWriter, r *http.Request, v *visit, form web.Params) error {
	if form.Get("do") == "others" {
		if err := s.Grants.EndOtherSessions(r.Context(), v.by, v.realm.Name, v.Principal, v.ID, "ended by its owner"); err != nil {
			return err
		}
		return done(w, r, "others")
	}
	e, err := s.Sessions.ByID(r.Context(), v.realm.Name, form.Get("session"))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err != nil || e.Principal != v.Principal {
		return fault.New(fault.NotFound, "session_unknown", "there is no such session") // somebody else's is none
	}
	if e.ID == v.ID {
		web.See(w, v.realm.Path+"/signout") // which asks, and tells applications
		return nil
	}
	if err := s.Grants.EndSession(r.Context(), v.by, v.realm.Name, e.ID, "ended by its owner"); err != nil {
		return err
	}
	return done(w, r, "session")
}

// proofs are the words for RFC 8176 values, the strongest first.
var proofs = []string{"hwk", "swk", "otp", "kba", "fed", "pwd"}

// proof says how somebody proved who they are.
func proof(f frame, amr []string) string {
	for _, known := range proofs {
		for _, value := range amr {
			if value == known && f.Has("proof."+known) {
				return f.T("proof." + known)
			}
		}
	}
	return ""
}
