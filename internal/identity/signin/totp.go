package signin

import (
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"rsc.io/qr"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

const kindTOTP = string(credential.TOTP)

// totpFactor is a code that an app computes from the time (RFC 6238).
type totpFactor struct{ s *Server }

func (totpFactor) Kind() string             { return kindTOTP }
func (totpFactor) Rank() int                { return rankCode }
func (totpFactor) Guessed() bool            { return true }
func (totpFactor) Adds(*realm.Realm) string { return token.AAL2 }

func (totpFactor) Reach(h *holder) string {
	if h.has(credential.TOTP) {
		return token.AAL2
	}
	return ""
}

func (t totpFactor) Ask(w http.ResponseWriter, r *http.Request, q *question, status int, problem string) error {
	p, err := t.s.factorPage(w, r, q, kindTOTP, problem, status)
	if err != nil {
		return err
	}
	p.Title = p.T("totp.title")
	return t.s.look.Render(w, status, "totp", p)
}

func (t totpFactor) Check(r *http.Request, q *question, form web.Params) (*proof, error) {
	used, right, err := t.s.Factors.CheckTOTP(r.Context(), realm.From(r.Context()).Name, q.who.ID, form.Get("code"))
	if err != nil || !right {
		return nil, err
	}
	return t.proof(q, used), nil
}

func (t totpFactor) proof(q *question, c credential.Credential) *proof {
	return &proof{Principal: q.who.ID, Credential: c.ID, Kind: kindTOTP, At: t.s.DB.Now(), AMR: []string{"otp"}, Second: true}
}

// totpEnrolPage adds an authenticator app.
type totpEnrolPage struct {
	factorPage
	QR     template.HTML // an SVG that we drew
	Secret string        // for those who cannot scan it
	URI    template.URL  // for those whose app is on this device
	Name   string
}

func (t totpFactor) AskEnrol(w http.ResponseWriter, r *http.Request, q *question, status int, problem string) error {
	re := realm.From(r.Context())
	if q.flow.Draft == "" {
		draft, err := t.s.Factors.DraftTOTP(re.Name, q.who.ID, re.Settings.TOTPAlgorithm)
		if err != nil {
			return err
		}
		q.flow.Draft = draft
		if err := t.s.save(r, q.flow); err != nil {
			return err
		}
	}
	key, err := t.s.Factors.ReadTOTP(re.Name, q.who.ID, q.flow.Draft)
	if err != nil {
		return err
	}
	p := totpEnrolPage{}
	if p.factorPage, err = t.s.factorPage(w, r, q, kindTOTP, problem, status); err != nil {
		return err
	}
	uri := key.URI(re.DisplayName, identifierOf(q.who.Name, q.who.Email().Address))
	if p.QR, err = drawQR(uri); err != nil {
		return err
	}
	p.Title, p.Wide, p.Secret, p.URI = p.T("totp.enrol.title"), true, spaced(string(key.Secret)), template.URL(uri)
	p.Name = bounded(r.PostFormValue("name"), 120)
	return t.s.look.Render(w, status, "totp_enrol", p)
}

func (t totpFactor) Enrol(w http.ResponseWriter, r *http.Request, q *question, form web.Params) error {
	re := realm.From(r.Context())
	if q.flow.Draft == "" {
		return fault.New(fault.Forbidden, "form_expired", "the page was open for too long")
	}
	by := actor(r)
	by.Kind, by.ID = "person", q.who.ID
	added, right, err := t.s.Factors.AddTOTP(r.Context(), by, re.Name, q.who.ID, q.flow.Draft, strings.TrimSpace(form.Get("name")), form.Get("code"))
	if err != nil {
		return err
	}
	if !right {
		return fault.New(fault.Unauthenticated, "factor_wrong", "the code is not one of the app")
	}
	return t.s.enrolled(w, r, q, t.proof(q, added), true)
}

// spaced writes a secret in groups of four, as people copy it.
func spaced(text string) string {
	var b strings.Builder
	for i, c := range text {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// drawQR is a QR code as an SVG whose colours the stylesheet gives. Nothing of
// the text gets into it but the pattern; what is around it says what it is.
func drawQR(text string) (template.HTML, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", err
	}
	const quiet = 4 // modules around it, which readers need
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > from {
				path.WriteString("M" + strconv.Itoa(from+quiet) + " " + strconv.Itoa(y+quiet) + "h" + strconv.Itoa(x-from) + "v1h-" + strconv.Itoa(x-from) + "z")
			}
		}
	}
	size := strconv.Itoa(code.Size + 2*quiet)
	return template.HTML(`<svg class="qr" viewBox="0 0 ` + size + ` ` + size + `" aria-hidden="true" focusable="false" shape-rendering="crispEdges"><path d="` + path.String() + `"/></svg>`), nil
}
