package signin

import (
	"net/http"
	"slices"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/approval"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/detail"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// PathApprovals is where people decide what applications ask of them that they
// are not in front of (OpenID Connect CIBA).
const PathApprovals = "/account/approvals"

// approvalsPage lists what waits for the current account.
type approvalsPage struct {
	*look.Page
	Who     who
	Waiting []waiting
	Said    string // what was just decided, in words
	Problem string
}

// waiting is a request that waits.
type waiting struct {
	ID       string
	Form     string
	Client   who
	Verified bool // whoever runs the realm answers for the application
	Message  string
	Details  []detail.Words
	Scopes   []scope
	// Resources are where it will count, if the application named any.
	Resources []resource
	IP        string
	Minutes   int // since it was made
}

// listApprovals shows what waits for whoever is signed in, and lets somebody
// sign in first.
func (s *Server) listApprovals(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Query().Get("flow") != "" {
		return s.backToApprovals(w, r)
	}
	all, err := s.accounts(r)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return s.Begin(w, r, Flow{Return: PathApprovals})
	}
	return s.showApprovals(w, r, http.StatusOK, all[0], approvalsPage{Said: r.URL.Query().Get("decided")})
}

// backToApprovals ends the flow in which somebody signed in.
func (s *Server) backToApprovals(w http.ResponseWriter, r *http.Request) error {
	_, o, err := s.Resume(w, r)
	if err != nil {
		return err
	}
	to := realm.From(r.Context()).Path
	if o.Session == nil {
		web.See(w, to+"/") // turned back before there was anybody
		return nil
	}
	web.See(w, to+PathApprovals)
	return nil
}

func (s *Server) showApprovals(w http.ResponseWriter, r *http.Request, status int, a account, p approvalsPage) error {
	name := realm.From(r.Context()).Name
	known, shown, err := s.who(r, a.Principal)
	if err != nil {
		return err
	}
	open, err := s.Approvals.OpenFor(r.Context(), name, a.Principal)
	if err != nil {
		return err
	}
	p.Page, p.Who = s.page(w, r, nil, known.Locale), shown
	p.Title, p.Wide = p.T("approvals.title"), true
	switch p.Said {
	case "allowed", "denied":
		p.Said = p.T("approvals." + p.Said)
	default:
		p.Said = ""
	}
	now := s.DB.Now()
	for _, one := range open {
		c, err := s.Clients.Live(r.Context(), name, one.Client)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
			continue
		}
		if err != nil {
			return err
		}
		words, err := s.details(r, one.Details, p.Locale.Tag())
		if err != nil {
			return err
		}
		where, err := s.resources(r, one.Resources)
		if err != nil {
			return err
		}
		p.Waiting = append(p.Waiting, waiting{ID: one.ID, Form: s.forms.Token(w, r, s.purpose(r, approvalOf(one.ID, a))), Client: application(c),
			Verified: c.FirstParty, Message: one.Message, Details: words, Scopes: InWords(p.Locale, one.Scopes, understoodBy(where)), Resources: where, IP: one.IP, Minutes: int(now.Sub(one.Created).Minutes())})
	}
	return s.look.Render(w, status, "approvals", p)
}

// approvalOf ties a form to the request that it showed, and to the account to
// which it did.
func approvalOf(id string, a account) string { return "approval " + id + " " + a.ID }

// decideApproval notes what the current account's owner decided. Anything but
// "allow" is no.
func (s *Server) decideApproval(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(w, r)
	if err != nil {
		return err
	}
	all, err := s.accounts(r)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return s.Begin(w, r, Flow{Return: PathApprovals})
	}
	a, id := all[0], form.Get("approval")
	if err := s.forms.Check(r, s.purpose(r, approvalOf(id, a)), form.Get("form")); err != nil {
		return err
	}
	name := realm.From(r.Context()).Name
	asked, err := s.Approvals.ByID(r.Context(), name, id)
	if err != nil {
		return gone(err)
	}
	c, err := s.Clients.Live(r.Context(), name, asked.Client)
	if err != nil {
		return gone(err)
	}
	by := a.actor(r)
	by.Client = c.ID
	if form.Get("do") != "allow" {
		if _, err := s.Approvals.Deny(r.Context(), by, name, id); err != nil {
			return gone(err)
		}
		return s.decided(w, r, "denied")
	}
	wish, err := s.wish(r, a, c, asked)
	if err != nil {
		return err
	}
	enough, err := s.Suffices(r, a.Session, Flow{Client: c.ID, WishACR: wish})
	if err != nil {
		return err
	}
	accepted, err := s.Accepted(r, a.Session)
	if err != nil {
		return err
	}
	if !enough || !accepted {
		return s.Begin(w, r, Flow{Return: PathApprovals, Client: c.ID, Reauth: wish != "", WishACR: wish, Subject: a.Principal})
	}
	if err := s.approve(r, by, id, a.Session, asked.Scopes, !c.FirstParty); err != nil {
		return gone(err)
	}
	return s.decided(w, r, "allowed")
}

func (s *Server) decided(w http.ResponseWriter, r *http.Request, what string) error {
	web.See(w, realm.From(r.Context()).Path+PathApprovals+"?decided="+what)
	return nil
}

// wish is the assurance that is still to be asked for, "" for none: the session
// reaches what the client asked for in acr_values, or its owner has signed in
// since the client asked, which is as much as we can do. The ID token says which.
func (s *Server) wish(r *http.Request, a account, c *client.Client, asked *approval.Request) (string, error) {
	is, err := s.Stands(r, a.Session, c)
	if err != nil || !a.AuthTime.Before(asked.Created) || slices.ContainsFunc(asked.ACR, func(v string) bool { return token.Meets(is.For, v) }) {
		return "", err
	}
	reachable := s.Reachable(realm.From(r.Context()))
	if i := slices.IndexFunc(asked.ACR, func(v string) bool { return slices.Contains(reachable, v) }); i >= 0 {
		return asked.ACR[i], nil
	}
	return "", nil
}
