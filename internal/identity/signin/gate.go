package signin

import (
	"net/http"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/terms"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
)

// manageFresh is how old the proof may be by which factors are changed (MF-09).
const manageFresh = 5 * time.Minute

// spot is where a flow stands.
type spot struct {
	step   step
	using  *account         // the account the flow goes by, nil: none yet
	who    string           // whose proofs count, "" while it is nobody's
	held   *holder          // who, where it had to be known
	proofs []proof          // those that count
	fresh  []proof          // those of the flow, while no session rests on them
	ask    []Factor         // at stepFactor: which may be proved, the best first
	enrol  []Enroller       // at stepEnrol: which may be added
	skip   bool             // at stepFactor and stepEnrol: it can be put off
	due    time.Time        // at stepKeep: when the account is deleted
	terms  []*terms.Version // at stepTerms: what is to be accepted
}

// gate collects what one look at a flow takes.
type gate struct {
	*Server
	r   *http.Request
	re  *realm.Realm
	f   *flow
	now time.Time
}

// where finds the first thing that a flow still lacks. It is the one gate: a
// session is begun or renewed only where it says stepSettle, and a flow ends
// only where it says stepReturn, whatever pages somebody came by (MF-06, MF-07).
func (s *Server) where(r *http.Request, f *flow, all []account) (spot, error) {
	g := gate{s, r, realm.From(r.Context()), f, s.DB.Now()}
	at := spot{using: f.using(all)}
	if f.Denied {
		at.step = stepReturn
		return at, nil
	}
	if f.Select && !f.Selected && !f.Pending && len(all) > 0 {
		at.step = stepAccounts
		return at, nil
	}
	own := at.using
	switch {
	case f.Pending:
		at.who = f.Proved[0].Principal
		own = of(all, at.who)
	case at.using != nil:
		at.who = at.using.Principal
	default:
		at.step = stepSignIn
		return at, nil
	}
	switch {
	case f.Pending:
		var err error
		if at.fresh, err = g.living(at.who, f.Proved); err != nil {
			return at, err
		}
		at.proofs = at.fresh
	case f.proved(at.using):
		at.proofs = f.Proved
	}
	if own != nil && !f.Reauth {
		before, err := g.standing(own.rests())
		if err != nil {
			return at, err
		}
		at.proofs = merge(before, at.proofs)
	}
	if slices.ContainsFunc(at.fresh, func(p proof) bool { return p.Old }) {
		return at, g.renewed(&at)
	}
	if lacks, err := g.assured(&at); lacks || err != nil {
		return at, err
	}
	if lacks, err := g.outstanding(&at); lacks || err != nil {
		return at, err
	}
	switch {
	case f.Pending:
		at.step = stepSettle
	case (len(f.Consent) > 0 || f.Details != "") && !f.agreed(at.using):
		at.step = stepConsent
	default:
		at.step = stepReturn
	}
	return at, nil
}

// of is the account of a principal.
func of(all []account, principal string) *account {
	for i := range all {
		if all[i].Principal == principal {
			return &all[i]
		}
	}
	return nil
}

// assured reports whether a proof or a factor is lacking, and where to it leads.
func (g gate) assured(at *spot) (lacks bool, err error) {
	c, err := g.client(g.r, g.f)
	if err != nil {
		return false, err
	}
	recent := g.recent(at.proofs)
	if level(recent) == "" {
		at.step = stepSignIn
		return true, nil
	}
	recent = slices.DeleteFunc(recent, func(p proof) bool { return !g.allows(nil, p.Kind) })
	here := level(recent)
	reached := level(slices.DeleteFunc(recent, func(p proof) bool { return !g.allows(c, p.Kind) }))
	if reached == "" {
		if at.step = stepSignIn; g.allows(c, kindPassword) {
			return true, nil
		}
		return true, g.raise(at, c, token.AAL2, false) // whatever opens by itself beside a password is one
	}
	// A session is the realm's, whichever application it is begun for, and so are
	// the factors: what an application does not take, it excuses nobody from.
	for _, check := range []func() (bool, error){
		func() (bool, error) { return g.demanded(at, c, reached) },
		func() (bool, error) { return g.risky(at, here) },
		func() (bool, error) { return g.usual(at, here) },
		func() (bool, error) { return g.wished(at, c, reached) },
		func() (bool, error) { return g.managed(at) },
		func() (bool, error) { return g.enrolled(at) },
	} {
		if lacks, err := check(); lacks || err != nil {
			return lacks, err
		}
	}
	return false, nil
}

// renewed leads somebody whose password opens nothing but its own replacement to
// that: past a second factor if they have one, whatever browser it is, and past
// what else shows that it is them. Whoever else knows the password comes no
// further.
func (g gate) renewed(at *spot) error {
	if err := g.hold(at); err != nil {
		return err
	}
	here := level(slices.DeleteFunc(g.recent(at.proofs), func(p proof) bool { return !g.allows(nil, p.Kind) }))
	if at.ask = g.helping(at, nil, token.AAL2); len(at.ask) > 0 && below(here, token.AAL2) {
		at.step = stepFactor
		return nil
	}
	if lacks, err := g.risky(at, here); lacks || err != nil {
		return err
	}
	at.step = stepRenew
	return nil
}

// living are the proofs of a flow which nothing has ended since: what they were
// made by is there, it is no password that others know, and their owner was not
// signed out of everything. A flow may wait for half an hour, and what it waits
// with must not outlive what sessions die of.
func (g gate) living(who string, proofs []proof) ([]proof, error) {
	life, err := g.People.Live(g.r.Context(), g.re.Name, who)
	if err != nil {
		if nobody(err) {
			err = nil
		}
		return nil, err
	}
	var list []proof
	for _, p := range proofs {
		c, err := g.Grants.Credentials.Live(g.r.Context(), g.re.Name, p.Credential)
		if err != nil && !nobody(err) {
			return nil, err
		}
		if err == nil && p.rests(life, c) {
			list = append(list, p)
		}
	}
	return list, nil
}

// standing are those of the proofs that a session rests on whose credentials live:
// one among several may be removed without ending it.
func (g gate) standing(all []proof) ([]proof, error) {
	var list []proof
	for _, p := range all {
		_, err := g.Grants.Credentials.Live(g.r.Context(), g.re.Name, p.Credential)
		if err != nil && !nobody(err) {
			return nil, err
		}
		if err == nil {
			list = append(list, p)
		}
	}
	return list, nil
}

// recent are the proofs that are fresh enough to count in this flow.
func (g gate) recent(proofs []proof) []proof {
	var list []proof
	for _, p := range proofs {
		life := g.re.Settings.AssuranceLife
		if p.Alone == token.AAL1 {
			life = 0 // the session's own
		}
		if g.f.Within > 0 && (life == 0 || g.f.Within < life) {
			life = g.f.Within
		}
		if life == 0 || g.now.Sub(p.At) <= life {
			list = append(list, p)
		}
	}
	return list
}

// allows reports whether a factor counts in the realm and for the client, if
// there is one.
func (g gate) allows(c *client.Client, kind string) bool {
	return g.re.Settings.AllowsFactor(kind) && (c == nil || c.AllowsFactor(kind))
}

// demanded checks what client and caller demand, from which nothing excuses.
func (g gate) demanded(at *spot, c *client.Client, reached string) (bool, error) {
	least := g.f.ACR
	if c != nil {
		least = higher(least, c.LeastACR)
	}
	if !below(reached, least) {
		return false, nil
	}
	return true, g.raise(at, c, least, false)
}

// usual checks what the realm wants of every sign-in, and that whoever has a
// second factor is asked for it when they sign in. A remembered device excuses,
// and so does, for a time, to have none.
func (g gate) usual(at *spot, reached string) (bool, error) {
	least := g.re.Settings.LeastACR
	if least == token.AAL1 {
		least = "" // which every sign-in reaches
	}
	if !g.f.Pending && !below(reached, least) {
		return false, nil // and of its owner's wish it was when it began
	}
	if !below(reached, higher(least, token.AAL2)) {
		return false, nil // and what factors there are is nothing to it
	}
	if err := g.hold(at); err != nil {
		return false, err
	}
	if g.f.Pending && len(g.helping(at, nil, token.AAL2)) > 0 {
		least = higher(least, token.AAL2)
	}
	if !below(reached, least) {
		return false, nil
	}
	if len(g.helping(at, nil, least)) > 0 {
		known, err := g.remembers(at)
		if known || err != nil {
			return false, err
		}
		return true, g.raise(at, nil, least, false)
	}
	since, err := g.Factors.Demand(g.r.Context(), g.re.Name, at.who, least)
	if err != nil {
		return false, err
	}
	grace := g.now.Before(since.Add(g.re.Settings.EnrolGrace))
	if grace && (!g.f.Pending || g.f.Later) {
		return false, nil
	}
	return true, g.raise(at, nil, least, grace)
}

// remembers reports whether this browser need not be asked for a second factor.
// Only who knows the password is believed to be its owner.
func (g gate) remembers(at *spot) (bool, error) {
	if g.re.Settings.RememberDevice == 0 || !slices.ContainsFunc(at.proofs, func(p proof) bool { return p.Kind == kindPassword }) {
		return false, nil
	}
	return g.Factors.Remembered(g.r.Context(), g.re.Name, at.who, mark(g.r))
}

// wished checks what the caller would like.
func (g gate) wished(at *spot, c *client.Client, reached string) (bool, error) {
	if g.f.Later || !below(reached, g.f.WishACR) {
		return false, nil
	}
	if err := g.raise(at, c, g.f.WishACR, true); err != nil {
		return false, err
	}
	return at.step != stepStuck, nil
}

// managed checks that whoever is about to change factors has just proved one as
// strong as the strongest they have (MF-09).
func (g gate) managed(at *spot) (bool, error) {
	if !g.f.Manage && (g.f.Enrol == "" || g.f.Enrolled) {
		return false, nil
	}
	return g.proveStrongest(at)
}

func (g gate) proveStrongest(at *spot) (bool, error) {
	if err := g.hold(at); err != nil {
		return false, err
	}
	strongest := rankPassword
	if !at.held.has("password") {
		strongest = rankMail
	}
	for _, one := range g.factors {
		if one.Reach(at.held) != "" && g.allows(nil, one.Kind()) && one.Kind() != kindRecovery {
			strongest = max(strongest, one.Rank())
		}
	}
	whole := level(at.proofs)
	if slices.ContainsFunc(at.proofs, func(p proof) bool {
		return g.now.Sub(p.At) <= manageFresh && g.rank(p.Kind) >= strongest && (p.Kind != kindRecovery || !below(whole, token.AAL2))
	}) {
		return false, nil
	}
	at.step = stepSignIn
	if strongest > rankPassword {
		at.step, at.ask = stepFactor, nil
		for _, one := range g.factors {
			if one.Rank() >= strongest && one.Reach(at.held) != "" && g.allows(nil, one.Kind()) {
				at.ask = append(at.ask, one)
			}
		}
	}
	return true, nil
}

func (g gate) rank(kind string) int {
	for _, one := range g.factors {
		if one.Kind() == kind {
			return one.Rank()
		}
	}
	switch kind {
	case kindPassword:
		return rankPassword
	case kindEmail:
		return rankMail
	}
	return 0
}

// enrolled checks that the factor that is to be added was.
func (g gate) enrolled(at *spot) (bool, error) {
	if g.f.Enrol == "" || g.f.Enrolled {
		return false, nil
	}
	for _, one := range g.factors {
		if e, ok := one.(Enroller); ok && one.Kind() == g.f.Enrol && g.re.Settings.AllowsFactor(one.Kind()) {
			at.step, at.enrol, at.skip = stepEnrol, []Enroller{e}, g.f.Offered
			return true, nil
		}
	}
	return false, nil
}

// raise leads to where somebody can reach a level: by a factor that they have,
// else by adding one, if there is any that would do.
func (g gate) raise(at *spot, c *client.Client, least string, skip bool) error {
	if err := g.hold(at); err != nil {
		return err
	}
	if !below(token.AAL1, least) {
		at.step = stepSignIn
		return nil
	}
	at.skip = skip
	if at.ask = g.helping(at, c, least); len(at.ask) > 0 {
		at.step = stepFactor
		return nil
	}
	for _, one := range g.factors {
		if e, ok := one.(Enroller); ok && g.allows(c, e.Kind()) && !below(e.Adds(g.re), least) {
			at.enrol = append(at.enrol, e)
		}
	}
	if at.step = stepEnrol; len(at.enrol) == 0 {
		at.step = stepStuck
		return nil
	}
	_, err := g.proveStrongest(at)
	return err
}

// helping are the factors with which somebody reaches a level.
func (g gate) helping(at *spot, c *client.Client, least string) []Factor {
	var list []Factor
	for _, one := range g.factors {
		if reach := one.Reach(at.held); reach != "" && !below(reach, least) && g.allows(c, one.Kind()) {
			list = append(list, one)
		}
	}
	return list
}

// hold reads who it is about and what they have, once.
func (g gate) hold(at *spot) error {
	if at.held != nil {
		return nil
	}
	who, err := g.People.Cached(g.r.Context(), g.re.Name, at.who)
	if err != nil {
		return err
	}
	all, err := g.Grants.Credentials.List(g.r.Context(), g.re.Name, at.who)
	at.held = &holder{who, all}
	return err
}

// Suffices reports whether a flow as it is described would lead past all proofs
// with that session as it is.
func (s *Server) Suffices(r *http.Request, one *session.Session, f Flow) (bool, error) {
	f.Consent, f.Details, f.Select, f.Subject = nil, "", false, ""
	at, err := s.where(r, &flow{Flow: f}, []account{{Session: one}})
	return err == nil && (at.step == stepReturn || at.step == stepTerms), err
}

// Standing is what a session counts for now: proofs grow too old, and factors stop
// to count or are removed. Its time of authentication stays what it was.
type Standing struct {
	ACR string   // in the realm
	AMR []string // what that rests on
	// For is what counts for the client that was asked about.
	For string
}

// Stands tells what a session counts for in the realm, and for a client, which
// may be nil. Tokens say this, and not what the session once reached.
func (s *Server) Stands(r *http.Request, one *session.Session, c *client.Client) (Standing, error) {
	g := gate{s, r, realm.From(r.Context()), &flow{}, s.DB.Now()}
	all, err := g.standing(proofsOf(one))
	if err != nil {
		return Standing{}, err
	}
	here := slices.DeleteFunc(g.recent(all), func(p proof) bool { return !g.allows(nil, p.Kind) })
	there := slices.DeleteFunc(slices.Clone(here), func(p proof) bool { return !g.allows(c, p.Kind) })
	return Standing{level(here), amr(here), level(there)}, nil
}

// Enrolls are the kinds of factors that people can add in a realm.
func (s *Server) Enrolls(re *realm.Realm) []string {
	var kinds []string
	for _, one := range s.factors {
		if e, ok := one.(Enroller); ok && re.Settings.AllowsFactor(e.Kind()) {
			kinds = append(kinds, e.Kind())
		}
	}
	return kinds
}

// Reachable are the levels that people can reach in a realm, the lowest first.
func (s *Server) Reachable(re *realm.Realm) []string {
	best := token.AAL1
	for _, one := range s.factors {
		if e, ok := one.(Enroller); ok && re.Settings.AllowsFactor(e.Kind()) {
			best = higher(best, e.Adds(re))
		}
	}
	levels := token.Levels()
	return levels[:slices.Index(levels, best)+1]
}

// counts reports whether a factor counts in the realm of a request.
func (s *Server) counts(r *http.Request, kind string) bool {
	return realm.From(r.Context()).Settings.AllowsFactor(kind)
}
