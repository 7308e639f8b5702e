package signin

import (
	"net/http"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/approval"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// PathDevice is where people type the code that a device shows (RFC 8628,
// section 3.3).
const PathDevice = "/device"

const pathDeviceDecided = "/device/decided"

// devicePage asks for the code, or whether a code that the address brought is
// the one on the device.
type devicePage struct {
	*look.Page
	Form    string
	Code    string
	Brought bool // the address brought the code
	Problem string
	Busy    bool // the problem is not the code
}

// decidedPage says what became of a request.
type decidedPage struct {
	*look.Page
	Client  string
	Allowed bool
}

// askCode shows the page. A code in the address is shown and has to be compared
// with the device's: whoever follows somebody else's link shall notice that no
// device of theirs shows it (RFC 8628, section 5.4).
func (s *Server) askCode(w http.ResponseWriter, r *http.Request) error {
	code, ok := approval.ParseCode(r.URL.Query().Get("user_code"))
	return s.showDevice(w, r, http.StatusOK, devicePage{Code: approval.ShowCode(code), Brought: ok})
}

func (s *Server) showDevice(w http.ResponseWriter, r *http.Request, status int, p devicePage) error {
	p.Page = s.page(w, r, nil, "")
	p.Title = p.T("device.title")
	p.Code = bounded(p.Code, 64)
	p.Form = s.forms.Token(w, r, s.purpose(r, "device"))
	return s.look.Render(w, status, "device", p)
}

// checkCode finds the request that a code is of and begins the flow in which a
// person decides about it.
func (s *Server) checkCode(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(w, r)
	if err != nil {
		return err
	}
	p := devicePage{Code: form.Get("user_code")}
	if err := s.forms.Check(r, s.purpose(r, "device"), form.Get("form")); err != nil {
		return s.refuseCode(w, r, p, err)
	}
	re := realm.From(r.Context())
	code, ok := approval.ParseCode(p.Code)
	if !ok {
		// Nothing to look up, so nothing was guessed.
		return s.refuseCode(w, r, p, wrongCode())
	}
	guesser, err := s.guesser(r)
	if err != nil {
		return err
	}
	found, err := s.Approvals.Find(r.Context(), re.Name, guesser, code, re.Settings)
	if err != nil {
		return err
	}
	if found.Wait > 0 {
		return s.refuseCode(w, r, p, fault.New(fault.TooMany, "guess_limit", "too many wrong codes").WithRetry(found.Wait))
	}
	if found.Request == nil {
		return s.refuseCode(w, r, p, wrongCode())
	}
	current, err := s.Current(r)
	if err != nil {
		return err
	}
	c, err := s.Clients.Live(r.Context(), re.Name, found.Client)
	if err != nil {
		return gone(err)
	}
	reauth, wish, err := s.asks(r, current, c, found.Request)
	if err != nil {
		return err
	}
	return s.Begin(w, r, Flow{Reauth: reauth, WishACR: wish, Return: pathDeviceDecided, Request: found.ID, Client: found.Client, Consent: found.Scopes, Details: found.Details, Resources: found.Resources,
		Device: &Device{Code: approval.ShowCode(code), IP: found.IP, Asked: found.Created}})
}

// asks is the sign-in that a device wants of whoever agrees: a newer one than the
// present, if there is any, and a level that it would like (RFC 9470, section 4).
// Its tokens say which it was.
func (s *Server) asks(r *http.Request, current *session.Session, c *client.Client, asked *approval.Request) (reauth bool, wish string, err error) {
	var is Standing
	if current != nil {
		if is, err = s.Stands(r, current, c); err != nil {
			return false, "", err
		}
	}
	reauth = s.tooOld(current, asked)
	if slices.ContainsFunc(asked.ACR, func(v string) bool { return token.Meets(is.For, v) }) && !reauth {
		return reauth, "", nil
	}
	reachable := s.Reachable(realm.From(r.Context()))
	if i := slices.IndexFunc(asked.ACR, func(v string) bool { return slices.Contains(reachable, v) }); i >= 0 {
		wish = asked.ACR[i]
	}
	return reauth, wish, nil
}

// tooOld reports whether a device wants a newer sign-in than a session's.
func (s *Server) tooOld(e *session.Session, asked *approval.Request) bool {
	return asked.MaxAge != nil && (e == nil || s.DB.Now().Sub(e.AuthTime) >= time.Duration(*asked.MaxAge)*time.Second)
}

func wrongCode() error {
	return fault.New(fault.Unauthenticated, "user_code_wrong", "no device waits with this code")
}

// refuseCode shows the page again with what went wrong.
func (s *Server) refuseCode(w http.ResponseWriter, r *http.Request, p devicePage, err error) error {
	status, words, known := s.problem(w, r, nil, err)
	if !known {
		return err
	}
	p.Problem, p.Busy = words, status != http.StatusUnprocessableEntity
	return s.showDevice(w, r, status, p)
}

// guesser is whom a wrong code is counted against: the account that is signed
// in, which no stranger can exhaust, or else the network address.
func (s *Server) guesser(r *http.Request) (string, error) {
	current, err := s.Current(r)
	if err != nil {
		return "", err
	}
	if current != nil {
		return current.Principal, nil
	}
	ip := web.ClientIP(r.Context())
	if !ip.IsValid() {
		return "?", nil
	}
	return web.Network(ip).String(), nil
}

// deviceDecided is where the flow ends: what the person said becomes the answer
// to the device.
func (s *Server) deviceDecided(w http.ResponseWriter, r *http.Request) error {
	f, o, err := s.Resume(w, r)
	if err != nil {
		return err
	}
	c, err := s.Clients.Live(r.Context(), realm.From(r.Context()).Name, f.Client)
	if err != nil {
		return gone(err)
	}
	by := actor(r)
	by.Client = c.ID
	if o.Session != nil {
		by.Kind, by.ID, by.Session = "person", o.Session.Principal, o.Session.ID
	}
	allowed := o.Consented && !o.Denied && o.Session != nil
	if allowed && !o.Reauthenticated {
		asked, err := s.Approvals.ByID(r.Context(), realm.From(r.Context()).Name, f.Request)
		if err != nil {
			return gone(err)
		}
		if s.tooOld(o.Session, asked) { // another account was chosen than the one that was new enough
			f.Reauth, f.Subject = true, o.Session.Principal
			return s.Begin(w, r, *f)
		}
	}
	if allowed {
		err = s.approve(r, by, f.Request, o.Session, o.Scopes, !c.FirstParty)
	} else {
		_, err = s.Approvals.Deny(r.Context(), by, realm.From(r.Context()).Name, f.Request)
	}
	if err != nil {
		return gone(err)
	}
	p := decidedPage{Page: s.page(w, r, nil, ""), Client: c.Name, Allowed: allowed}
	p.Title, p.Passing = p.T("device.denied"), true
	if allowed {
		p.Title = p.T("device.allowed")
	}
	return s.look.Render(w, http.StatusOK, "decided", p)
}

// approve notes the answer, and remembers the consent with it, so that neither
// is without the other.
func (s *Server) approve(r *http.Request, by audit.Actor, id string, with *session.Session, scopes []string, remember bool) error {
	stands, err := s.Stands(r, with, nil)
	if err != nil {
		return err
	}
	return s.DB.Update(r.Context(), realm.From(r.Context()).Name, func(tx *db.Tx) error {
		done, err := s.Approvals.ApproveTx(tx, by, id, approval.Answer{Principal: with.Principal, Session: with.ID, Scopes: scopes,
			ACR: stands.ACR, AMR: stands.AMR, AuthTime: with.AuthTime})
		if err != nil || !remember {
			return err
		}
		return s.Grants.RememberTx(tx, by, with.Principal, done.Client, scopes)
	})
}

// gone is shown where a request cannot be answered any more, for whatever
// reason: it was, its time is over, or its client is away.
func gone(err error) error {
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return fault.New(fault.Conflict, "approval_closed", "the request was answered already, or its time is over")
	}
	return err
}
