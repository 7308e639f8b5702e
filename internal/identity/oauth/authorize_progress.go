package oauth

import (
	"slices"

	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/signin"
)

// progress is what an authorization request has already got out of the person.
// It is kept with the flow while the person is on our pages, where no browser
// can change it.
type progress struct {
	Query           string `json:"query"`
	Signed          bool   `json:"signed,omitempty"`  // the client signed what Query says
	Session         string `json:"session,omitempty"` // whom the rest is true of
	Reauthenticated bool   `json:"reauthenticated,omitempty"`
	Selected        bool   `json:"selected,omitempty"`
	Later           bool   `json:"later,omitempty"` // went on without the assurance that was only wished for

	session   *session.Session
	consented []string // scopes agreed to just now
	asked     bool     // the person comes from the consent page
}

// learn adds what the pages have found out. What was true of one account is
// not true of another.
func (p progress) learn(o *signin.Outcome) progress {
	if p.Session != o.Session.ID {
		p.Session, p.Reauthenticated, p.Selected, p.Later = o.Session.ID, false, false, false
	}
	p.session = o.Session
	p.Reauthenticated = p.Reauthenticated || o.Reauthenticated
	p.Selected = p.Selected || o.Selected || o.Reauthenticated
	p.Later = p.Later || o.Later
	if o.Consented {
		p.asked, p.consented = true, o.Scopes
	}
	return p
}

// granted are the scopes of a request that the person just agreed to.
func (p progress) granted(scopes []string) []string {
	var list []string
	for _, scope := range scopes {
		if slices.Contains(p.consented, scope) {
			list = append(list, scope)
		}
	}
	return list
}
