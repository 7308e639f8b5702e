package account

import (
	"net/http"
	"slices"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/web"
)

// shownFactors are the types of what people prove themselves with besides a
// password, in the order of the page.
var shownFactors = []credential.Type{credential.Passkey, credential.TOTP, credential.Recovery}

// factorsPage lists what somebody proves themselves with.
type factorsPage struct {
	frame
	Groups  []group
	Devices string // what they are to know of passkeys, as JSON, or ""
}

// group are somebody's factors of one kind.
type group struct {
	Kind    string
	Icon    string
	Factors []factor
	Add     bool // people can add one here
}

// factor is one of them.
type factor struct {
	ID, Name, Kind string
	Left           int  // of codes for recovery
	Synced         bool // a passkey that may be on several devices
	Since, Used    moment
}

func (s *Server) factors(w http.ResponseWriter, r *http.Request, v *visit) error {
	all, err := s.Credentials.List(r.Context(), v.realm.Name, v.Principal)
	if err != nil {
		return err
	}
	p := factorsPage{frame: s.begin(w, r, v, "account.factors")}
	adds := s.Pages.Enrolls(v.realm)
	for _, t := range shownFactors {
		g := group{Kind: string(t), Icon: factorIcon(t), Add: slices.Contains(adds, string(t))}
		for _, c := range all {
			if c.Type == t {
				g.Factors = append(g.Factors, s.shownFactor(p.frame, c))
			}
		}
		if g.Add || len(g.Factors) > 0 {
			p.Groups = append(p.Groups, g)
		}
	}
	// Devices learn here what is gone.
	if p.Devices, err = s.Pages.DevicesKnow(r, v.person); err != nil {
		return err
	}
	return s.look.Render(w, http.StatusOK, "factors", p)
}

func factorIcon(t credential.Type) string {
	return map[credential.Type]string{credential.Passkey: "key", credential.TOTP: "phone", credential.Recovery: "paper"}[t]
}

func (s *Server) shownFactor(f frame, c credential.Credential) factor {
	shown := factor{ID: c.ID, Kind: string(c.Type), Name: c.Name, Left: c.CodesLeft(), Since: s.moment(f.Page, c.CreatedAt), Used: s.moment(f.Page, c.LastUsedAt)}
	if info, ok := c.Passkey(); ok {
		shown.Synced = info.Synced
		if shown.Name == "" {
			shown.Name = info.Model
		}
	}
	switch {
	case shown.Name != "":
	case c.Type == credential.Passkey:
		shown.Name = f.T("factor.passkey") // one of several
	default:
		shown.Name = f.T("factors." + shown.Kind)
	}
	return shown
}

// addFactor leads to where a factor is added, which takes a fresh proof (MF-09).
func (s *Server) addFactor(w http.ResponseWriter, r *http.Request, v *visit, form web.Params) error {
	kind := form.Get("add")
	if !slices.Contains(s.Pages.Enrolls(v.realm), kind) {
		return fault.New(fault.NotFound, "factor_unknown", "this cannot be added here")
	}
	return s.Pages.Begin(w, r, signin.Flow{Return: pathFactors, Subject: v.Principal, Enrol: kind})
}

// factorPage names and removes one.
type factorPage struct {
	frame
	Factor factor
	Own    string // the name that its owner gave it
	Named  bool   // its owner can name it
	Wrong  string
	Last   bool // without it nobody could sign in to the account
}

// mine finds one of the visitor's factors. Another's is none.
func (s *Server) mine(r *http.Request, v *visit) (c credential.Credential, all []credential.Credential, err error) {
	if all, err = s.Credentials.List(r.Context(), v.realm.Name, v.Principal); err != nil {
		return c, nil, err
	}
	for _, one := range all {
		if one.ID == r.PathValue("id") && slices.Contains(shownFactors, one.Type) {
			return one, all, nil
		}
	}
	return c, nil, fault.New(fault.NotFound, "factor_unknown", "there is no such way to sign in")
}

func (s *Server) factor(w http.ResponseWriter, r *http.Request, v *visit) error {
	c, all, err := s.mine(r, v)
	if err != nil {
		return err
	}
	return s.showFactor(w, r, v, c, all, http.StatusOK, "")
}

func (s *Server) showFactor(w http.ResponseWriter, r *http.Request, v *visit, c credential.Credential, all []credential.Credential, status int, wrong string) error {
	p := factorPage{frame: s.begin(w, r, v, "account.factors"), Named: c.Type != credential.Recovery, Own: c.Name, Wrong: wrong, Last: last(all, c)}
	p.Factor = s.shownFactor(p.frame, c)
	p.Title = p.Factor.Name
	return s.look.Render(w, status, "factor", p)
}

// last reports whether c is the only thing by which its owner can sign in: what
// counts beside a password only does not.
func last(all []credential.Credential, c credential.Credential) bool {
	alone := []credential.Type{credential.Password, credential.Passkey, credential.Federated}
	return slices.Contains(alone, c.Type) && !slices.ContainsFunc(all, func(o credential.Credential) bool { return o.ID != c.ID && slices.Contains(alone, o.Type) })
}

func (s *Server) changeFactor(w http.ResponseWriter, r *http.Request, v *visit, form web.Params) error {
	c, all, err := s.mine(r, v)
	if err != nil {
		return err
	}
	if form.Get("do") == "rename" {
		err := s.Credentials.RenamePasskey(r.Context(), v.by, v.realm.Name, v.Principal, c.ID, form.Get("name"))
		if fault.Is(err, fault.Invalid) {
			return s.showFactor(w, r, v, c, all, http.StatusUnprocessableEntity, s.begin(w, r, v, "account.factors").T("problem.profile"))
		}
		if err != nil {
			return err
		}
		return s.factorsDone(w, v, "renamed")
	}
	// MF-09: within the last minutes, with a factor as strong as any they have.
	manage := signin.Flow{Return: r.URL.Path, Subject: v.Principal, Manage: true}
	enough, err := s.Pages.Suffices(r, v.Session, manage)
	if err != nil {
		return err
	}
	if !enough {
		return s.Pages.Begin(w, r, manage) // and back to this page
	}
	err = s.Grants.RevokeCredential(r.Context(), v.by, v.realm.Name, c.ID, "removed by its owner", func(tx *db.Tx) error {
		now, err := credential.LivingTx(tx, v.Principal)
		if err != nil {
			return err
		}
		if last(now, c) {
			return fault.New(fault.Conflict, "factor_last", "this is the only way to sign in to the account")
		}
		return credential.ChangedTx(tx, v.Principal)
	})
	if err != nil {
		return err
	}
	if form.Get("keep") == "" { // SE-08
		if err := s.Grants.EndOtherSessions(r.Context(), v.by, v.realm.Name, v.Principal, v.ID, "factor_removed"); err != nil {
			return err
		}
	}
	return s.factorsDone(w, v, "removed")
}

func (s *Server) factorsDone(w http.ResponseWriter, v *visit, what string) error {
	web.See(w, v.realm.Path+pathFactors+"?done="+what)
	return nil
}
