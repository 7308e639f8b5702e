package signin

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

const kindRecovery = string(credential.Recovery)

// recoveryFactor is a code that somebody wrote down for the day on which they
// lost another factor.
type recoveryFactor struct{ s *Server }

func (recoveryFactor) Kind() string  { return kindRecovery }
func (recoveryFactor) Rank() int     { return rankRecovery }
func (recoveryFactor) Guessed() bool { return true }

// Adds is nothing: codes are a way back to a factor, not one to begin with.
func (recoveryFactor) Adds(*realm.Realm) string { return "" }

func (recoveryFactor) Reach(h *holder) string {
	for _, c := range h.credentials {
		if c.CodesLeft() > 0 {
			return token.AAL2
		}
	}
	return ""
}

func (f recoveryFactor) Ask(w http.ResponseWriter, r *http.Request, q *question, status int, problem string) error {
	p, err := f.s.factorPage(w, r, q, kindRecovery, problem, status)
	if err != nil {
		return err
	}
	p.Title, p.Days = p.T("recovery.title"), 0
	return f.s.look.Render(w, status, "recovery", p)
}

func (f recoveryFactor) Check(r *http.Request, q *question, form web.Params) (*proof, error) {
	by := actor(r)
	by.Kind, by.ID = "person", q.who.ID
	used, _, right, err := f.s.Factors.CheckRecovery(r.Context(), by, realm.From(r.Context()).Name, q.who.ID, form.Get("code"))
	if err != nil || !right {
		return nil, err
	}
	return &proof{Principal: q.who.ID, Credential: used.ID, Kind: kindRecovery, At: f.s.DB.Now(), AMR: []string{"otp"}, Second: true}, nil
}

// recoveryPage makes codes, and shows them once.
type recoveryPage struct {
	factorPage
	Codes []string
	Again bool // there are codes, which die by it
}

func (f recoveryFactor) AskEnrol(w http.ResponseWriter, r *http.Request, q *question, status int, problem string) error {
	p := recoveryPage{Again: q.who.has(credential.Recovery)}
	var err error
	if p.factorPage, err = f.s.factorPage(w, r, q, kindRecovery, problem, status); err != nil {
		return err
	}
	p.Title = p.T("recovery.enrol.title")
	return f.s.look.Render(w, status, "recovery_enrol", p)
}

// Enrol makes the codes and shows them in its answer, which is the one time that
// anybody sees them; the link there goes on.
func (f recoveryFactor) Enrol(w http.ResponseWriter, r *http.Request, q *question, _ web.Params) error {
	by := actor(r)
	by.Kind, by.ID = "person", q.who.ID
	made, codes, err := f.s.Factors.NewRecovery(r.Context(), by, realm.From(r.Context()).Name, q.who.ID)
	if err != nil {
		return err
	}
	for i := range q.flow.Proved {
		if p := &q.flow.Proved[i]; p.Kind == kindRecovery {
			p.Credential = made.ID // a code of the set that this one took the place of
		}
	}
	q.flow.Enrolled, q.flow.Offered = true, false
	if err := f.s.save(r, q.flow); err != nil {
		return err
	}
	p := recoveryPage{}
	if p.factorPage, err = f.s.factorPage(w, r, q, kindRecovery, "", http.StatusOK); err != nil {
		return err
	}
	for _, c := range codes {
		p.Codes = append(p.Codes, string(c))
	}
	p.Title, p.Passing = p.T("recovery.codes.title"), true
	return f.s.look.Render(w, http.StatusOK, "recovery_codes", p)
}
