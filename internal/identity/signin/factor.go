package signin

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// Factor is a way to prove who one is besides a password: one file that
// implements it, and one line in factorTable.
type Factor interface {
	// Kind names it: in the realm's settings, in addresses and in proofs. The
	// words factor.<kind> and factor.<kind>.detail tell people what it is.
	Kind() string
	// Rank says how strong it is when factors are to be changed (MF-09): to add
	// or remove one takes a proof of a rank not below any that the person has.
	Rank() int
	// Guessed reports whether a wrong answer could be a guess, and is counted
	// (MF-03).
	Guessed() bool
	// Reach is the level that somebody reaches with it, beside a password if need
	// be; "" if they do not have it, or cannot use it now.
	Reach(h *holder) string
	// Ask shows the page that asks for it. problem is what was wrong before.
	Ask(w http.ResponseWriter, r *http.Request, q *question, status int, problem string) error
	// Check evaluates the form of that page. It writes nothing to the browser; a
	// wrong answer is a nil proof.
	Check(r *http.Request, q *question, form web.Params) (*proof, error)
}

// Enroller is a factor that people add on pages of ours. Both are called when
// the proof that MF-09 demands is there.
type Enroller interface {
	Factor
	// Adds is the level that it reaches in a realm once it is there, "" if it
	// cannot be added to reach one.
	Adds(re *realm.Realm) string
	// AskEnrol shows the page that adds it. It may keep a draft in q.flow and save
	// that.
	AskEnrol(w http.ResponseWriter, r *http.Request, q *question, status int, problem string) error
	// Enrol evaluates the form of that page, and ends with enrolled.
	Enrol(w http.ResponseWriter, r *http.Request, q *question, form web.Params) error
}

// factorTable are the factors in the order in which people are asked.
func (s *Server) factorTable() []Factor {
	all := []Factor{
		totpFactor{s},
		recoveryFactor{s},
	}
	if s.Passkeys != nil {
		all = slices.Insert(all, 0, Factor(passkeyFactor{s}))
	}
	return all
}

// The ranks of factors.
const (
	rankMail     = 1
	rankPassword = 2
	rankCode     = 3
	rankPasskey  = 4 // resists phishing
	// Codes for recovery are worth what was lost: otherwise nobody who lost their
	// strongest factor could ever replace it. They count beside a password only.
	rankRecovery = rankPasskey
)

// proof is something that somebody proved.
type proof struct {
	Principal  string    `json:"p,omitempty"`
	Credential string    `json:"c"` // whose revocation ends a session that rests on it alone
	Kind       string    `json:"k"`
	Era        int64     `json:"e,omitempty"` // of the principal, while a flow keeps it
	At         time.Time `json:"t"`
	AMR        []string  `json:"a"` // RFC 8176
	// Alone is the level that it reaches by itself; "" opens nothing without
	// another proof.
	Alone string `json:"l,omitempty"`
	// Second makes aal2 of a password.
	Second bool `json:"s,omitempty"`
	// Old marks a password that opens nothing but its own replacement.
	Old bool `json:"o,omitempty"`
}

// rests reports whether nothing has ended a proof that is kept in a flow since it
// was made: c is what it was made by, and alive.
func (p proof) rests(life principal.Life, c credential.Credential) bool {
	return p.Principal == life.ID && p.Principal == c.Principal && p.Era == life.Era && (p.Old || !c.MustChange)
}

// kindPassword is a password's, as credential.Password is.
const kindPassword = string(credential.Password)

// level is what proofs reach together, "" for nothing.
func level(proofs []proof) string {
	best, password, second := "", false, false
	for _, p := range proofs {
		if p.Alone != "" {
			best = higher(best, p.Alone)
		}
		password = password || p.Kind == kindPassword
		second = second || p.Second
	}
	if password && second {
		best = higher(best, token.AAL2)
	}
	return best
}

// higher is the higher of two levels; what is no level is below all.
func higher(a, b string) string {
	if slices.Index(token.Levels(), a) > slices.Index(token.Levels(), b) {
		return a
	}
	return b
}

// below reports whether a level is less than what is demanded; "" demands
// nothing.
func below(reached, demanded string) bool {
	return slices.Index(token.Levels(), reached) < slices.Index(token.Levels(), demanded)
}

// since is when the level that proofs reach together was last proved whole: no
// proof it rests on is older.
func since(proofs []proof) time.Time {
	whole := level(proofs)
	byAge := slices.SortedFunc(slices.Values(proofs), func(a, b proof) int { return b.At.Compare(a.At) })
	for i, p := range byAge {
		if level(byAge[:i+1]) == whole {
			return p.At
		}
	}
	return time.Time{}
}

// amr tells what was proved (RFC 8176).
func amr(proofs []proof) []string {
	var list []string
	add := func(value string) {
		if !slices.Contains(list, value) {
			list = append(list, value)
		}
	}
	for _, p := range proofs {
		for _, value := range p.AMR {
			add(value)
		}
	}
	if !below(level(proofs), token.AAL2) {
		add("mfa")
	}
	return list
}

// merge adds newer proofs to older ones, of each kind the newest.
func merge(older, newer []proof) []proof {
	var all []proof
	for _, p := range older {
		if !slices.ContainsFunc(newer, func(n proof) bool { return n.Kind == p.Kind }) {
			all = append(all, p)
		}
	}
	return append(all, newer...)
}

// proofsOf are those that a session rests on.
func proofsOf(one *session.Session) []proof {
	var all []proof
	if one.Proofs == "" || json.Unmarshal([]byte(one.Proofs), &all) != nil {
		// Of before there was more than a password.
		all = []proof{{Credential: one.Credential, Kind: kindPassword, At: one.AuthTime, AMR: one.AMR, Alone: one.ACR}}
	}
	return ofSession(all, one.Principal)
}

// ofSession is proofs as a session of somebody's is read with.
func ofSession(proofs []proof, who string) []proof {
	all := slices.Clone(proofs)
	for i := range all {
		all[i].Principal, all[i].Era = who, 0
	}
	return all
}

// rests are the proofs that the account's session rests on.
func (a *account) rests() []proof {
	if a.proofs != nil {
		return a.proofs
	}
	return proofsOf(a.Session)
}

// noted is proofs as a session keeps them.
func noted(proofs []proof) (string, error) {
	bare := slices.Clone(proofs)
	for i := range bare {
		bare[i].Principal, bare[i].Era = "", 0 // are the session's
	}
	text, err := json.Marshal(bare)
	return string(text), err
}

// main is the credential that a session hangs on: of the newest proof that
// opens something by itself.
func mainOf(proofs []proof) string {
	for _, p := range slices.Backward(proofs) {
		if p.Alone != "" {
			return p.Credential
		}
	}
	return ""
}

// holder is somebody with what they prove themselves with.
type holder struct {
	*principal.Principal
	credentials []credential.Credential
}

// has reports whether somebody has a credential of that type.
func (h *holder) has(t credential.Type) bool {
	return slices.ContainsFunc(h.credentials, func(c credential.Credential) bool { return c.Type == t })
}

// compromised reports whether somebody's password is known to others.
func (h *holder) compromised() bool {
	return slices.ContainsFunc(h.credentials, func(c credential.Credential) bool { return c.Type == credential.Password && c.MustChange })
}

// question is what a factor's page is about.
type question struct {
	flow *flow
	who  *holder
	at   spot
}
