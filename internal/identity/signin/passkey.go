package signin

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

const (
	pathPasskey    = "/signin/passkey"
	pathNewPasskey = "/passkeys/new"
	kindPasskey    = string(credential.Passkey)
)

// passkeyFactor is a key in a device (WebAuthn). With user verification it opens
// by itself what two factors do.
type passkeyFactor struct{ s *Server }

func (passkeyFactor) Kind() string  { return kindPasskey }
func (passkeyFactor) Rank() int     { return rankPasskey }
func (passkeyFactor) Guessed() bool { return false }

// Adds is the third level where the realm takes nothing but keys that stay in
// devices which show what they are.
func (passkeyFactor) Adds(re *realm.Realm) string {
	switch s := &re.Settings; {
	case !credential.Usable(re):
		return ""
	case s.PasskeyAttestation == realm.AttestationRequired && s.PasskeyBinding == realm.BindingDevice && s.PasskeyVerification == realm.VerificationRequired:
		return token.AAL3
	}
	return token.AAL2
}

func (passkeyFactor) Reach(h *holder) (best string) {
	for _, c := range h.credentials {
		if k, ok := c.Passkey(); ok {
			if best = token.AAL2; k.Attested && !k.Synced {
				return token.AAL3
			}
		}
	}
	return best
}

// askPasskey is the part of a page that asks the browser for a passkey.
type askPasskey struct {
	Options string // JSON, for the script
	Form    string // the token, where the form is the part's own
	Flow    string
	Again   string // the address of the page, for when the challenge is old
}

// browserOf is what challenges are bound to: the browser and the flow in it.
// "" is a browser that has no mark, which no challenge is good in.
func (s *Server) browserOf(r *http.Request, f *flow) string {
	mark := s.forms.Browser(r)
	if mark == "" {
		return ""
	}
	return once.Bind("passkey", mark, f.id())
}

// offersPasskey reports whether a flow may be passed with a passkey.
func (s *Server) offersPasskey(r *http.Request, f *flow) (bool, error) {
	re := realm.From(r.Context())
	if s.Passkeys == nil || !re.Settings.AllowsFactor(kindPasskey) || !credential.Usable(re) {
		return false, nil
	}
	c, err := s.client(r, f)
	return err == nil && (c == nil || c.AllowsFactor(kindPasskey)), err
}

// passkeyOnSignIn makes the part of the sign-in page, nil where passkeys do not
// count.
func (s *Server) passkeyOnSignIn(w http.ResponseWriter, r *http.Request, f *flow, link func(path string, params ...string) string) (*askPasskey, error) {
	offers, err := s.offersPasskey(r, f)
	if err != nil || !offers {
		return nil, err
	}
	re := realm.From(r.Context())
	form := s.forms.Token(w, r, s.purpose(r, "passkey")) // marks the browser
	options, err := s.Passkeys.RequestOptions(r.Context(), re, credential.Ceremony{Purpose: credential.ToSignIn, Browser: s.browserOf(r, f)})
	if err != nil {
		return nil, err
	}
	other := r.URL.Query().Get("other")
	return &askPasskey{Options: string(options), Form: form, Flow: f.id(), Again: link("/signin", "flow", f.id(), "other", other)}, nil
}

// checkPasskey signs in whoever has a passkey. Guesses at the account's password
// do not matter to it, so nobody can lock out who has one (MF-05).
func (s *Server) checkPasskey(w http.ResponseWriter, r *http.Request) error {
	form, f, err := s.form(w, r)
	if err != nil {
		return err
	}
	if err := s.forms.Check(r, s.purpose(r, "passkey"), form.Get("form")); err != nil {
		return s.refuseSignIn(w, r, f, signInPage{}, err)
	}
	offers, err := s.offersPasskey(r, f)
	if err != nil {
		return err
	}
	if !offers {
		return s.next(w, r, f)
	}
	name, attempt := realm.From(r.Context()).Name, credential.PasskeyAttempt{Answer: form.Get("answer"),
		Ceremony: credential.Ceremony{Purpose: credential.ToSignIn, Browser: s.browserOf(r, f)}}
	p, use, err := s.Passkeys.Evaluate(r.Context(), actor(r), name, attempt)
	if err == nil {
		g := &flow{Flow: Flow{Return: "/"}, Started: s.DB.Now()}
		if f != nil {
			*g = *f
		}
		g.use = use
		if err := s.prove(w, r, g, proved(p)); !credential.Refused(err) {
			return err
		}
		// Another window was faster, and nothing came of it here.
		p, err = s.Passkeys.Check(r.Context(), actor(r), name, attempt)
	}
	if err != nil {
		return s.refuseSignIn(w, r, f, signInPage{Sent: true, Gone: gonePasskey(r, err, form.Get("answer"))}, err)
	}
	return s.prove(w, r, f, proved(p))
}

// proved is a passkey's proof as the gate counts it.
func proved(p credential.PasskeyProof) proof {
	alone := ""
	if p.Verified {
		if alone = token.AAL2; p.Attested && !p.Synced {
			alone = token.AAL3
		}
	}
	return proof{Principal: p.Principal.ID, Credential: p.Credential, Kind: kindPasskey, At: p.At, AMR: p.AMR(), Alone: alone, Second: true}
}

// gonePasskey tells the device which passkey it may forget, "" if it may not:
// what it sent is one of ours that was removed.
func gonePasskey(r *http.Request, err error, answer string) string {
	if fault.Code(err) != "passkey_removed" {
		return ""
	}
	var sent struct{ ID string }
	rp, problem := credential.RelyingPartyOf(realm.From(r.Context()))
	if problem != nil || json.Unmarshal([]byte(answer), &sent) != nil {
		return ""
	}
	text, problem := json.Marshal(map[string]string{"rpId": rp.ID, "credentialId": sent.ID})
	if problem != nil {
		return ""
	}
	return string(text)
}

// passkeyPage asks somebody who is known for a passkey of theirs, or for a new
// one.
type passkeyPage struct {
	factorPage
	Passkey askPasskey
	Gone    string
	Devices string // JSON of what devices are to know of the account, or ""
	Name    string
	First   bool // there is none yet
}

func (p passkeyFactor) Ask(w http.ResponseWriter, r *http.Request, q *question, status int, problem string) error {
	options, err := p.s.Passkeys.RequestOptions(r.Context(), realm.From(r.Context()), p.confirms(r, q))
	if err != nil {
		return err
	}
	page := passkeyPage{Passkey: askPasskey{Options: string(options)}}
	if page.factorPage, err = p.s.factorPage(w, r, q, kindPasskey, problem, status); err != nil {
		return err
	}
	page.Passkey.Again = page.Link(pathFactor, "flow", q.flow.text, "by", kindPasskey)
	page.Title = page.T("passkey.title")
	return p.s.look.Render(w, status, "passkey", page)
}

func (p passkeyFactor) Check(r *http.Request, q *question, form web.Params) (*proof, error) {
	got, err := p.s.Passkeys.Check(r.Context(), actor(r), realm.From(r.Context()).Name,
		credential.PasskeyAttempt{Answer: form.Get("answer"), Ceremony: p.confirms(r, q)})
	if err != nil {
		return nil, err
	}
	shown := proved(got)
	return &shown, nil
}

func (p passkeyFactor) confirms(r *http.Request, q *question) credential.Ceremony {
	return credential.Ceremony{Purpose: credential.ToConfirm, Browser: p.s.browserOf(r, q.flow), Principal: q.who.ID}
}

func (p passkeyFactor) AskEnrol(w http.ResponseWriter, r *http.Request, q *question, status int, problem string) error {
	re := realm.From(r.Context())
	options, err := p.s.Passkeys.CreationOptions(r.Context(), re, q.who.Principal, p.s.browserOf(r, q.flow))
	if err != nil {
		return err
	}
	page := passkeyPage{Passkey: askPasskey{Options: string(options)}, First: !q.who.has(credential.Passkey)}
	if page.factorPage, err = p.s.factorPage(w, r, q, kindPasskey, problem, status); err != nil {
		return err
	}
	if page.Devices, err = p.s.DevicesKnow(r, q.who.Principal); err != nil {
		return err
	}
	page.Passkey.Again = page.Link(pathEnrol, "flow", q.flow.text, "by", kindPasskey)
	page.Title, page.Name = page.T("passkey.enrol.title"), bounded(r.PostFormValue("name"), 120)
	return p.s.look.Render(w, status, "passkey_enrol", page)
}

func (p passkeyFactor) Enrol(w http.ResponseWriter, r *http.Request, q *question, form web.Params) error {
	by := actor(r)
	by.Kind, by.ID = "person", q.who.ID
	_, made, err := p.s.Passkeys.Register(r.Context(), by, realm.From(r.Context()).Name, credential.NewPasskey{Principal: q.who.ID,
		Browser: p.s.browserOf(r, q.flow), Answer: form.Get("answer"), Name: strings.TrimSpace(form.Get("name"))})
	if err != nil {
		return err
	}
	shown := proved(made)
	return p.s.enrolled(w, r, q, &shown, true)
}

// DevicesKnow is what the devices of somebody are to know of their passkeys, as
// JSON for an attribute data-passkeys, which passkey.js reads; "" is nothing.
func (s *Server) DevicesKnow(r *http.Request, who *principal.Principal) (string, error) {
	if s.Passkeys == nil {
		return "", nil
	}
	a, err := s.Passkeys.Accepted(r.Context(), realm.From(r.Context()), who)
	if a == nil || err != nil {
		return "", err
	}
	text, err := json.Marshal(a)
	return string(text), err
}

// addPasskey leads to the page on which somebody adds a passkey; password
// managers know its address (see wellKnownPasskeys).
func (s *Server) addPasskey(w http.ResponseWriter, r *http.Request) error {
	return s.Begin(w, r, Flow{Return: s.PasskeysAt, Enrol: kindPasskey})
}
