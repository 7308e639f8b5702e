package account

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// maxApps bounds how many applications, and how many of their grants, are read
// for one page.
const maxApps = 200

// appsPage lists what may act for somebody.
type appsPage struct {
	frame
	Apps []app
	More bool
}

// app is an application that may use an account.
type app struct {
	ID       string
	Who      look.Who
	Host     string // of its own pages, "" if they are not known
	Verified bool   // whoever runs the realm answers for it, or it is Cardea's own
	Scopes   []signin.Scope
	Offline  bool // also while its owner is away
	Here     int  // how many connections it has: none where it ended them, or where they ended with a session
	Since    moment

	first time.Time
	names []string
}

func (s *Server) apps(w http.ResponseWriter, r *http.Request, v *visit) error {
	p := appsPage{frame: s.begin(w, r, v, "account.apps")}
	var err error
	if p.Apps, p.More, err = s.appsOf(r.Context(), v); err != nil {
		return err
	}
	for i := range p.Apps {
		a := &p.Apps[i]
		a.Scopes, a.Since = signin.InWords(p.Locale, grant.Scopes(a.names), nowhere), s.moment(p.Page, a.first)
	}
	return s.look.Render(w, http.StatusOK, "applications", p)
}

// nowhere names no API for a scope, since a list of what an application was given
// does not tell where.
func nowhere(string) string { return "" }

// appsOf are the applications that the visitor gave something: a consent that
// stands, or a grant that lives.
func (s *Server) appsOf(ctx context.Context, v *visit) (apps []app, more bool, err error) {
	found := map[string]*app{}
	note := func(id string, at time.Time, scopes []string) *app {
		a := found[id]
		if a == nil {
			a = &app{ID: id, first: at}
			found[id] = a
		}
		if at.Before(a.first) {
			a.first = at
		}
		a.names = append(a.names, scopes...)
		return a
	}
	consents, next, err := s.Grants.Consents(ctx, v.realm.Name, grant.Filter{Principal: v.Principal}, maxApps)
	if err != nil {
		return nil, false, err
	}
	more = next != ""
	for _, c := range consents {
		note(c.Client, c.Created, c.Scopes)
	}
	grants, next, err := s.Grants.List(ctx, v.realm.Name, grant.Filter{Principal: v.Principal}, maxApps)
	if err != nil {
		return nil, false, err
	}
	more, now := more || next != "", s.DB.Now()
	for _, g := range grants {
		if !g.Alive(now) {
			continue
		}
		a := note(g.Client, g.Created, g.Scopes)
		a.Offline, a.Here = a.Offline || g.Offline, a.Here+1
	}
	for _, a := range found {
		known, err := s.Clients.ByID(ctx, v.realm.Name, a.ID)
		if fault.Is(err, fault.NotFound) {
			continue // deleted: nothing lives that it was given
		}
		if err != nil {
			return nil, false, err
		}
		a.Who, a.Verified, a.Host = signin.Application(known), known.FirstParty || known.BuiltIn, host(known)
		apps = append(apps, *a)
	}
	slices.SortFunc(apps, func(a, b app) int {
		if c := strings.Compare(strings.ToLower(a.Who.Name), strings.ToLower(b.Who.Name)); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return apps, more, nil
}

// host is where an application lives, by where people are sent back to.
func host(c *client.Client) string {
	for _, uri := range c.RedirectURIs {
		if origin := client.Origin(uri); strings.HasPrefix(origin, "https://") {
			return strings.TrimPrefix(origin, "https://")
		}
	}
	return ""
}

// endApp ends all that the visitor gave an application.
func (s *Server) endApp(w http.ResponseWriter, r *http.Request, v *visit, form web.Params) error {
	if err := s.Grants.EndApplication(r.Context(), v.by, v.realm.Name, v.Principal, form.Get("client"), "withdrawn"); err != nil {
		return err
	}
	return done(w, r, "app")
}
