package edge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/verify"
)

// Entity is somebody or something that policies speak of.
type Entity = policy.Entity

// Properties are what the application says about an entity, an action or the
// circumstances.
type Properties = policy.Properties

// Question is: may the subject do the action to the resource?
type Question struct {
	Subject, Resource Entity
	Action            string

	SubjectProperties, ActionProperties, ResourceProperties, Context Properties

	// Token is the subject's own access token for Config.Audience: it proves who
	// they are and how they signed in. It is checked here, and refused once it is
	// revoked.
	Token string
	// MinRevision is a revision that a write or an earlier answer named: the answer
	// rests on nothing older. A token asks for that of its minting by itself.
	MinRevision string
	// Request names the request in the decision log.
	Request string
}

// Answer is what an edge says. The zero value denies.
type Answer struct {
	Allowed  bool
	ID       string          // of the decision, for cardea why
	Revision string          // how new the facts were
	Policies []string        // ids of the policies that decided
	Reasons  []policy.Reason // why
	StepUp   *policy.StepUp  // when denied: with this sign-in it would be allowed
	Refused  string          // why the policies were not asked
	Stale    bool            // the facts were older than allowed, and the action allows that
	Upstream bool            // the server answered
}

// The reasons to ask nobody.
const (
	refusedToken    = "the access token in the question is invalid, expired, revoked or not for this application"
	refusedAlias    = "the access token names its subject by a name of the application's own, which the server alone can read"
	refusedBound    = "the access token is bound to a key or certificate, which a question cannot show: ask without it, for whom your API has verified"
	refusedUnproved = "which tokens are revoked is not known yet"
	refusedRevision = "the revision asked for was not reached in time"
	refusedNone     = "the realm has no policies"
	refusedEmpty    = "nothing is known here yet"
)

// patience is how long is waited for facts that are asked for.
const patience = time.Second

// ErrRevision says that a revision was not reached in time.
var ErrRevision = errors.New("edge: " + refusedRevision)

// Decide answers a question by what is known here. Whatever is wrong denies, with
// the reason. It waits at most a second, and only for a revision that is asked
// for.
func (e *Edge) Decide(ctx context.Context, q Question) Answer {
	now, fresh := e.c.Now(), e.Fresh()
	a := Answer{ID: id.New("dec", now)}
	p := policy.Question{Subject: q.Subject, Resource: q.Resource, Action: q.Action, SubjectProperties: q.SubjectProperties,
		ActionProperties: q.ActionProperties, ResourceProperties: q.ResourceProperties, Context: q.Context, At: now}
	d := &replica.Decision{ID: a.ID, At: now, Request: q.Request}
	min, refused := int64(0), ""
	if q.MinRevision != "" {
		var err error
		if min, err = replica.Parse(q.MinRevision); err != nil {
			refused = "MinRevision is none: " + err.Error()
		}
	}
	if q.Token != "" && refused == "" {
		v, err := e.Vouch(ctx, q.Token)
		if err != nil {
			refused = err.Error()
		} else {
			refused = p.Vouch(v.Subject, "", v.Context)
			min = max(min, v.Minted)
			d.Token, d.Grant, d.Session, d.Application = v.Token, v.Grant, v.Session, v.Client
		}
	}
	var answer policy.Answer
	if refused == "" {
		snap, revision, err := e.At(ctx, min)
		a.Revision = replica.Text(revision)
		switch {
		case err != nil:
			if answer, a.Revision, err = e.Upstream(ctx, &p, q.Token, min); err == nil {
				a.Upstream = true
			} else {
				refused = refusedRevision
			}
		case snap == nil:
			refused = none(revision)
		default:
			if refused, a.Stale = fresh(q.Action, q.Token != ""); refused == "" {
				answer = policy.Decide(snap, &p)
			}
		}
	}
	if a.Stale && answer.Allowed {
		answer.Reasons = append(answer.Reasons, policy.Reason{Text: staleText})
	}
	if !a.Upstream { // what the server answered it wrote down itself
		d.Question, d.Answer, d.Revision, d.Refused = p, answer, a.Revision, refused
		e.Note(d)
	}
	// What policies say of themselves is every answer's: who asked may change theirs.
	a.Policies, a.Reasons = slices.Clone(answer.Determining), slices.Clone(answer.Reasons)
	a.Allowed, a.StepUp, a.Refused = answer.Allowed, answer.StepUp, refused
	return a
}

// staleText is the reason beside an answer on old facts.
const staleText = "the facts were older than max_staleness, which this action allows"

func none(revision int64) string {
	if revision == 0 {
		return refusedEmpty
	}
	return refusedNone
}

// At is what is known, at least as new as a revision, for which it waits a
// moment. The snapshot is nil where the realm has no policies, or, at revision 0,
// where nothing is known at all.
func (e *Edge) At(ctx context.Context, min int64) (*policy.Snapshot, int64, error) {
	s := e.state.Load()
	if s.Revision >= min {
		return s.Snapshot, s.Revision, nil
	}
	ctx, cancel := context.WithTimeout(ctx, e.patience)
	defer cancel()
	for {
		e.mu.Lock()
		changed := e.changed
		e.mu.Unlock()
		if s = e.state.Load(); s.Revision >= min {
			return s.Snapshot, s.Revision, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, s.Revision, ErrRevision
		}
	}
}

// Fresh notes how old what is known here is. What it returns says why an action may
// not be decided by it, "" if it may, and whether that is stale all the same. With a
// token, what is known of revocations counts, too. Call it before anything is read
// that it is to speak for: what comes later makes that no younger.
func (e *Edge) Fresh() func(action string, token bool) (refused string, stale bool) {
	facts, revoked := e.asOf.Load(), time.Time{}
	if e.tokens != nil {
		revoked = e.tokens.Status().AsOf
	}
	return func(action string, token bool) (string, bool) { return e.judge(facts, revoked, action, token) }
}

func (e *Edge) judge(facts int64, asOf time.Time, action string, token bool) (refused string, stale bool) {
	now := e.c.Now()
	rule, ok := e.c.Actions[action]
	if !ok {
		rule = Staleness{Max: e.c.MaxStaleness}
	}
	age, known := age(facts, now)
	if token && e.tokens != nil {
		since := now.Sub(asOf)
		known = known && !asOf.IsZero() && since >= -time.Second
		age = max(age, since)
	}
	switch {
	case known && age <= rule.Max:
		return "", false
	case rule.Mark:
		return "", true
	case !known:
		return "how old the facts are is not known", false
	}
	return fmt.Sprintf("the facts are %s old, and at most %s are allowed", age.Round(time.Second), rule.Max), false
}

// Vouched is what an access token proves.
type Vouched struct {
	Subject                       Entity
	Context                       Properties
	Minted                        int64 // the revision at which it was
	Token, Grant, Session, Client string
}

// Vouch reads an access token. One is refused until it was known once since the
// start which are revoked: before that, a token that died while the edge was down
// would live again.
func (e *Edge) Vouch(ctx context.Context, token string) (*Vouched, error) {
	if e.tokens == nil {
		return nil, errors.New("this edge takes no access tokens: it was not told for whom they must be")
	}
	t, err := e.tokens.Verify(ctx, token)
	if !e.proved.Load() {
		if !e.tokens.Status().Fresh {
			return nil, errors.New(refusedUnproved)
		}
		e.proved.Store(true)
		t, err = e.tokens.Verify(ctx, token) // what was said before rested on nothing
	}
	if errors.Is(err, verify.ErrBound) {
		return nil, errors.New(refusedBound)
	}
	if err != nil {
		return nil, errors.New(refusedToken)
	}
	subject, ok := replica.Principal(t.Subject)
	if !ok {
		return nil, errors.New(refusedAlias)
	}
	v := &Vouched{Subject: subject, Token: t.ID, Grant: t.GrantID, Client: t.ClientID,
		Context: Properties{"client": t.ClientID, "scopes": t.Scopes, "act": t.Actors}}
	if v.Minted, err = replica.Parse(t.MintedAt()); err != nil {
		return nil, errors.New(refusedToken)
	}
	if t.ACR != "" {
		v.Context["acr"] = t.ACR
	}
	if len(t.AMR) > 0 {
		v.Context["amr"] = t.AMR
	}
	if !t.AuthTime.IsZero() {
		v.Context["auth_time"] = t.AuthTime.Unix()
	}
	return v, nil
}

// Note writes down a decision, if decisions are kept. It never waits, and holds nothing
// of what it is given.
func (e *Edge) Note(d *replica.Decision) { e.log.note(d) }

// errAlone says that the server is not to be asked.
var errAlone = errors.New("edge: the server is not asked")

// Upstream asks the server a question that what is known here is too old for.
func (e *Edge) Upstream(ctx context.Context, p *policy.Question, token string, min int64) (policy.Answer, string, error) {
	if e.upstream == nil {
		return policy.Answer{}, replica.Text(e.state.Load().Revision), errAlone
	}
	d, err := e.upstream.Decide(ctx, verify.Question{Subject: verify.Entity{Type: p.Subject.Type, ID: p.Subject.ID, Properties: p.SubjectProperties},
		Resource: verify.Entity{Type: p.Resource.Type, ID: p.Resource.ID, Properties: p.ResourceProperties},
		Action:   p.Action, ActionProperties: p.ActionProperties, Context: p.Context, Token: token, MinRevision: replica.Text(min)})
	if err == nil && d.Error != "" {
		err = errors.New(d.Error)
	}
	if err != nil {
		return policy.Answer{}, replica.Text(e.state.Load().Revision), err
	}
	a := policy.Answer{Allowed: d.Allowed, Determining: d.Policies}
	for _, r := range d.Reasons {
		a.Reasons = append(a.Reasons, policy.Reason(r))
	}
	if d.StepUp != nil && len(d.StepUp.ACR) > 0 {
		a.StepUp = &policy.StepUp{ACR: d.StepUp.ACR[0], MaxAge: d.StepUp.Within}
	}
	return a, d.Revision, nil
}
