package signin

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

const (
	flowCookie  = "__Host-cardea.flow" // names the browser: see web.Forms
	flowPrefix  = "cdw_"
	flowLife    = 30 * time.Minute
	flowPurpose = once.Purpose("signin_flow")
	maxFlow     = 16 << 10
)

// Flow is somebody on the way from one door through ours and back: what is to
// be achieved before the browser returns.
type Flow struct {
	// Return is the path within the realm where the browser goes at the end,
	// with ?flow=… added: Resume there. A flow without a Request ends by itself and
	// the browser goes to the bare path, home if the person turned back from anything
	// but adding a factor.
	Return  string `json:"return"`
	Request string `json:"request,omitempty"` // the caller's own, at most 8 KiB
	Client  string `json:"client,omitempty"`  // client id, for its name on pages
	// RedirectURI is where the caller will send the browser after Return, by way
	// of Onward: pages name its host, and their forms may lead to its scheme if it
	// is none of the web.
	RedirectURI string   `json:"redirect_uri,omitempty"`
	Reauth      bool     `json:"reauth,omitempty"`  // only a sign-in within this flow counts
	Select      bool     `json:"select,omitempty"`  // have an account chosen, also if there is but one
	Subject     string   `json:"subject,omitempty"` // only this principal will do
	LoginHint   string   `json:"login_hint,omitempty"`
	UILocales   string   `json:"ui_locales,omitempty"`
	Consent     []string `json:"consent,omitempty"`   // scopes to be agreed to
	Resources   []string `json:"resources,omitempty"` // audiences at which they will count, where the caller named any
	// Details are authorization details to be agreed to (RFC 9396), a JSON array.
	// Where there is neither a scope nor a detail, nothing is asked.
	Details string `json:"details,omitempty"`
	// ACR is the least assurance that will do, "" for what realm and client
	// demand anyway; who has no factor that reaches it is led to add one. WishACR
	// is one that would be liked: people may go on without.
	ACR     string `json:"acr,omitempty"`
	WishACR string `json:"wish_acr,omitempty"`
	// Within is how old a proof may be that counts, 0 for as old as the realm says.
	Within time.Duration `json:"within,omitempty"`
	// Manage demands what it takes to change factors: within the last minutes, a
	// proof as strong as the strongest the person has (MF-09). Enrol is the kind
	// of a factor that is to be added in the flow, which takes the same.
	Manage bool   `json:"manage,omitempty"`
	Enrol  string `json:"enrol,omitempty"`
	// Device is not nil where what is agreed to goes to another device, which
	// the consent page then describes in the place of an address.
	Device *Device `json:"device,omitempty"`
}

// Device is a device that waits for somebody to agree.
type Device struct {
	Code  string    `json:"code"` // as it shows it
	IP    string    `json:"ip,omitempty"`
	Asked time.Time `json:"asked"`
}

// Outcome is what a flow came to.
type Outcome struct {
	// Session is whose account was used, nil when the person turned back before
	// there was one. It is alive.
	Session         *session.Session
	Reauthenticated bool      // signed in within the flow, by proofs of it alone
	Selected        bool      // chose the account, or signed in
	Consented       bool      // agreed to Scopes
	Denied          bool      // turned back: signed in or not, the answer is no
	Stuck           bool      // turned back since no assurance that would do can be reached
	Later           bool      // went on without the WishACR
	Enrolled        bool      // added the factor to be enrolled
	Scopes          []string  // what was agreed to
	Started         time.Time // of the flow
}

// flow is a Flow on its way.
type flow struct {
	Flow
	Started  time.Time `json:"started"`
	Account  string    `json:"account,omitempty"`  // id of the session to use
	Fresh    bool      `json:"fresh,omitempty"`    // Account was proved within the flow
	Selected bool      `json:"selected,omitempty"` // Account was chosen within the flow
	Agreed   string    `json:"agreed,omitempty"`   // id of the session whose owner consented
	Denied   bool      `json:"denied,omitempty"`
	// Proved is what the same person proved in the flow. While it is Pending, no
	// session rests on it yet.
	Proved   []proof `json:"proved,omitempty"`
	Pending  bool    `json:"pending,omitempty"`
	Remember bool    `json:"remember,omitempty"` // the device, if a second factor was proved on it
	Later    bool    `json:"later,omitempty"`    // what could be put off was
	Stuck    bool    `json:"stuck,omitempty"`    // turned back at stepStuck
	Enrolled bool    `json:"enrolled,omitempty"` // what Enrol names was added
	Offered  bool    `json:"offered,omitempty"`  // Enrol is our idea, and can be put off
	Chose    bool    `json:"chose,omitempty"`    // a password was chosen right before, and is to be shown to be known
	Draft    string  `json:"draft,omitempty"`    // of a factor that is being added
	Assessed string  `json:"assessed,omitempty"` // whose sign-in package risk has looked at
	Risky    bool    `json:"risky,omitempty"`    // and found to need a second factor
	Mail     string  `json:"mail,omitempty"`     // names the code that was asked for by mail
	MailTo   string  `json:"mail_to,omitempty"`  // what was typed for it

	text    string // the secret that names it
	version int64
	// use is the passkey's that was just proved. Whatever is written first of what
	// comes of it writes it down too.
	use *credential.PasskeyUse
	// leaving was learnt in this request, when what was proved was assessed.
	leaving leaving
	// calm is the person against whom nothing was held in this request, when what
	// was proved was assessed.
	calm string
	// unassessed was proved in this request, and package risk is to be asked about it
	// where the session begins.
	unassessed *proof
}

// leaving is when somebody's account is to be deleted, zero for never.
type leaving struct {
	who string
	due time.Time
}

// Begin takes over: it answers with a redirection to the first page. What the
// flow is about is kept here and bound to the browser, so that a flow begun in
// one browser is worth nothing in another.
func (s *Server) Begin(w http.ResponseWriter, r *http.Request, f Flow) error {
	if err := s.Admit(r); err != nil {
		return err
	}
	fl := &flow{Flow: f}
	if err := s.keep(w, r, fl); err != nil {
		return err
	}
	return s.next(w, r, fl)
}

// keep saves a flow, or gives one that was not stored yet a name.
func (s *Server) keep(w http.ResponseWriter, r *http.Request, f *flow) error {
	if f.text != "" {
		return s.save(r, f)
	}
	mark, text := s.forms.Mark(w, r), secret.New(flowPrefix)
	err := s.DB.UpdateRC(r.Context(), realm.From(r.Context()).Name, func(tx *db.Tx) error {
		f.Started = tx.Now
		payload, err := f.encode()
		if err != nil {
			return err
		}
		if err := f.use.WriteTx(tx); err != nil {
			return err
		}
		return s.Once.Put(tx, text, once.Value{Purpose: flowPurpose, Binding: once.Bind(mark), Payload: payload, Expires: tx.Now.Add(flowLife)})
	})
	if err != nil {
		return err
	}
	f.text, f.version, f.use = string(text), 1, nil
	return nil
}

// Admit holds a network to the rate at which strangers may make us write
// something down.
func (s *Server) Admit(r *http.Request) error {
	if s.Limiter == nil {
		return nil
	}
	if wait, ok := s.Limiter.AllowAddr(RateFlow, web.ClientIP(r.Context())); !ok {
		return fault.New(fault.TooMany, "too_many_requests", "too many sign-ins are begun from your network, wait a moment").WithRetry(wait)
	}
	return nil
}

// Browser is what tells a browser from others for as long as flows last, ""
// for one that has no mark yet.
func (s *Server) Browser(r *http.Request) string {
	mark := s.forms.Browser(r)
	if mark == "" {
		return ""
	}
	return once.Bind("browser", mark)
}

// MarkBrowser is Browser for a browser that gets a mark if it has none.
func (s *Server) MarkBrowser(w http.ResponseWriter, r *http.Request) string {
	return once.Bind("browser", s.forms.Mark(w, r))
}

// turnsBack reports whether somebody who would rather not go on can be led back:
// to who waits for an answer, or to their own account, where they began to
// change it. Once they did, there is nothing left to cancel.
func (f *flow) turnsBack() bool {
	return f.Request != "" || (f.Manage || f.Enrol != "") && !f.Enrolled
}

func (f *flow) encode() (json.RawMessage, error) {
	payload, err := json.Marshal(f)
	if err == nil && len(payload) > maxFlow {
		err = fault.New(fault.Invalid, "request_too_long", "the request is too long to be kept while somebody signs in")
	}
	return payload, err
}

// Resume ends the flow named in the query of this request, which must come
// from the browser in which it began, and tells what it came to. A flow that is
// unknown, expired, of another browser, ended before, not at its end, or to
// return elsewhere is fault.NotFound.
func (s *Server) Resume(w http.ResponseWriter, r *http.Request) (*Flow, *Outcome, error) {
	query, err := web.Query(r)
	if err != nil {
		return nil, nil, err
	}
	f, err := s.flow(r, query.Get("flow"))
	if err != nil {
		return nil, nil, err
	}
	if f == nil {
		return nil, nil, noFlow()
	}
	at, account, err := s.stepOf(r, f)
	if err != nil {
		return nil, nil, err
	}
	if at != stepReturn || r.URL.Path != f.Return {
		return nil, nil, noFlow()
	}
	name := realm.From(r.Context()).Name
	var outcome once.Outcome
	err = s.DB.UpdateRC(r.Context(), name, func(tx *db.Tx) (err error) {
		_, outcome, err = s.Once.Consume(tx, f.text, s.use(r))
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if outcome != once.OK {
		return nil, nil, noFlow()
	}
	o := &Outcome{Selected: f.Selected, Denied: f.Denied, Stuck: f.Stuck, Later: f.Later, Enrolled: f.Enrolled, Started: f.Started}
	if account != nil {
		o.Session = account.Session
		o.Reauthenticated = f.proved(account) && !below(level(f.Proved), account.ACR)
		if o.Consented = f.agreed(account); o.Consented {
			o.Scopes = f.Consent
		}
	}
	return &f.Flow, o, nil
}

// flow reads the flow of that name, nil when there is no name. It must be this
// browser's.
func (s *Server) flow(r *http.Request, text string) (*flow, error) {
	if text == "" {
		return nil, nil
	}
	if !secret.Valid(flowPrefix, text) || s.forms.Browser(r) == "" {
		return nil, noFlow()
	}
	var v once.Value
	var outcome once.Outcome
	err := s.DB.Glance(r.Context(), realm.From(r.Context()).Name, func(tx *db.Tx) (err error) {
		v, outcome, err = s.Once.Peek(tx, text, s.use(r))
		return err
	})
	if err != nil {
		return nil, err
	}
	if outcome != once.OK {
		return nil, noFlow()
	}
	f := &flow{}
	if err := json.Unmarshal(v.Payload, f); err != nil {
		return nil, err
	}
	f.text, f.version = text, v.Version
	return f, nil
}

func (s *Server) use(r *http.Request) once.Use {
	return once.Use{Purpose: flowPurpose, Binding: once.Bind(s.forms.Browser(r))}
}

// save keeps what a page has learned. When another tab was faster, what that
// learned stands, and f becomes that.
func (s *Server) save(r *http.Request, f *flow) error {
	payload, err := f.encode()
	if err != nil {
		return err
	}
	var saved bool
	err = s.DB.UpdateRC(r.Context(), realm.From(r.Context()).Name, func(tx *db.Tx) (err error) {
		if err = f.use.WriteTx(tx); err == nil {
			saved, err = s.Once.Amend(tx, f.text, s.use(r), f.version, payload)
		}
		return err
	})
	if err == nil {
		f.use = nil
	}
	if err != nil || saved {
		return err
	}
	stored, err := s.flow(r, f.text)
	if err == nil {
		*f = *stored
	}
	return err
}

func noFlow() error {
	return fault.New(fault.NotFound, "flow_unknown", "this sign-in is no longer open in this browser")
}

func (f *flow) id() string {
	if f == nil {
		return ""
	}
	return f.text
}

func (f *flow) asked() string {
	if f == nil {
		return ""
	}
	return f.UILocales
}

// allow lets the forms of a page lead to where the flow ends, if it must.
func (f *flow) allow(w http.ResponseWriter) {
	if f != nil {
		allow(w, f.RedirectURI)
	}
}
