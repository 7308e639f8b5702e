package account

import (
	"context"
	"net/http"
)

// lately is how much of what happened the overview tells.
const lately = 4

// overviewPage is what somebody sees first: whether all is well.
type overviewPage struct {
	frame
	Waiting  int // requests that wait for them
	Accounts int // signed in with this browser
	Sessions []signedIn
	Count    int // of sessions
	Apps     int
	Lately   []happening
	Console  bool // they may see the operators' pages
}

// mostShown is how many devices the overview names.
const mostShown = 3

func (s *Server) overview(w http.ResponseWriter, r *http.Request, v *visit) error {
	p := overviewPage{frame: s.begin(w, r, v, "home.title")}
	open, err := s.Approvals.OpenFor(r.Context(), v.realm.Name, v.Principal)
	if err != nil {
		return err
	}
	p.Waiting = len(open)
	accounts, err := s.Pages.Accounts(r)
	if err != nil {
		return err
	}
	p.Accounts = len(accounts)
	if p.Sessions, _, err = s.sessions(r, v, p.frame, maxSessions); err != nil {
		return err
	}
	p.Count = len(p.Sessions)
	p.Sessions = p.Sessions[:min(p.Count, mostShown)]
	apps, _, err := s.appsOf(r.Context(), v)
	if err != nil {
		return err
	}
	p.Apps = len(apps)
	if p.Lately, _, err = s.happenings(r, v, p.frame, "", lately); err != nil {
		return err
	}
	p.Lately = p.Lately[:min(len(p.Lately), lately)]
	for i := range p.Lately {
		p.Lately[i].Short = true
	}
	if p.Console, err = s.Console(r.Context(), v.realm.Name, v.Principal); err != nil {
		return err
	}
	return s.look.Render(w, http.StatusOK, "overview", p)
}

// appName is what an application is called, or its id where it is no more.
func (s *Server) appName(ctx context.Context, v *visit, id string) string {
	c, err := s.Clients.ByID(ctx, v.realm.Name, id)
	if err != nil {
		return id
	}
	return c.Name
}
