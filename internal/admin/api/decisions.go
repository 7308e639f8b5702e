package api

import (
	"context"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

type listDecisionsInput struct {
	Paging
	SubjectType  string    `query:"subject_type" maxLength:"1024"`
	SubjectID    string    `query:"subject_id" maxLength:"1024"`
	Action       string    `query:"action" maxLength:"1024"`
	ResourceType string    `query:"resource_type" maxLength:"1024"`
	ResourceID   string    `query:"resource_id" maxLength:"1024"`
	Kind         string    `query:"kind" enum:"evaluation,search.subject,search.resource,search.action,agent,administration" doc:"Decisions of this kind. Those about operations of this API, administration, are listed only if they are asked for."`
	Allowed      string    `query:"allowed" enum:"true,false" doc:"Decisions that were a yes, or a no."`
	Client       string    `query:"client" maxLength:"255" doc:"Decisions that this application asked for."`
	Request      string    `query:"request_id" maxLength:"256" doc:"Decisions of the request that its caller named so."`
	Policy       string    `query:"policy" maxLength:"1024" doc:"Decisions that this policy made."`
	Session      string    `query:"session" maxLength:"64" doc:"Decisions about somebody signed in like this."`
	Grant        string    `query:"grant" maxLength:"64" doc:"Decisions about somebody's token of this grant."`
	Since        time.Time `query:"since"`
	Until        time.Time `query:"until"`
}

// listDecisions gives the newest first. It reads a bounded part of the log, so
// that a page can be empty before the last.
func (s *Server) listDecisions(ctx context.Context, c *Caller, in *listDecisionsInput) (*page[wire.Decision], error) {
	f := journal.Filter{Subject: policy.Entity{Type: in.SubjectType, ID: in.SubjectID}, Resource: policy.Entity{Type: in.ResourceType, ID: in.ResourceID}, Action: in.Action, Kind: in.Kind,
		Client: in.Client, Request: in.Request, Policy: in.Policy, Session: in.Session, Grant: in.Grant, Since: in.Since, Until: in.Until}
	if in.Allowed != "" {
		yes := in.Allowed == "true"
		f.Allowed = &yes
	}
	found, next, err := s.Journal.List(ctx, c.Realm.Name, f, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, decisionOf), nil
}

// mostTold is how many events about a session and a grant an explanation holds.
const mostTold = 20

// explainDecision joins a decision with the sign-in that it descends from: the
// access side knows ids, and the identity side what became of them.
func (s *Server) explainDecision(ctx context.Context, c *Caller, in *ByID) (*plainAnswer[wire.DecisionExplained], error) {
	e, err := s.Journal.ByID(ctx, c.Realm.Name, in.ID)
	if err != nil {
		return nil, err
	}
	x := wire.DecisionExplained{Decision: decisionOf(e), Name: s.nameOf(ctx, c, e.Question.Subject), Events: []wire.Event{}}
	if e.Session != "" {
		if found, err := s.Sessions.ByID(ctx, c.Realm.Name, e.Session); err == nil {
			told := sessionOf(found)
			x.Session = &told
		} else if !fault.Is(err, fault.NotFound) {
			return nil, err
		}
	}
	if e.Grant != "" {
		if found, err := s.Grants.ByID(ctx, c.Realm.Name, e.Grant); err == nil {
			told := grantOf(found)
			x.Grant = &told
		} else if !fault.Is(err, fault.NotFound) {
			return nil, err
		}
	}
	for _, target := range []string{e.Grant, e.Session} {
		if target == "" {
			continue
		}
		found, _, err := s.Log.Query(ctx, c.Realm.Name, audit.Filter{Target: target, Limit: mostTold})
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			x.Events = append(x.Events, eventOf(r))
		}
	}
	if e.AskedOurselves() {
		q := e.Question
		q.At = s.Now()
		a, err := s.Guard.Judge(ctx, c.Realm.Name, audit.Position{}, &q)
		if err != nil {
			return nil, err
		}
		told := accessAnswerOf(&a)
		told.Revision = s.Log.Applied().String()
		x.Now = &told
	}
	if e.Asked() {
		q := e.Question
		if x.Now, err = s.judge(ctx, c, &q); err != nil {
			return nil, err
		}
	}
	return plain(x), nil
}

// nameOf is what a subject is called, "" if it is no principal.
func (s *Server) nameOf(ctx context.Context, c *Caller, e policy.Entity) string {
	if !principal.ValidID(e.ID) {
		return ""
	}
	_, name := s.label(ctx, c.Realm.Name, e.ID)
	return name
}

type askInput struct{ Body wire.AccessQuestion }

// askAccess answers an operator's question. It is not written down: nobody needs
// an access because an operator asked.
func (s *Server) askAccess(ctx context.Context, c *Caller, in *askInput) (*plainAnswer[wire.AccessAnswer], error) {
	b := &in.Body
	a, err := s.judge(ctx, c, &policy.Question{Subject: policy.Entity(b.Subject), Action: b.Action, Resource: policy.Entity(b.Resource), SubjectProperties: b.SubjectProperties,
		ActionProperties: b.ActionProperties, ResourceProperties: b.ResourceProperties, Context: b.Context})
	if err != nil {
		return nil, err
	}
	return plain(*a), nil
}

// judge asks the policies of now.
func (s *Server) judge(ctx context.Context, c *Caller, q *policy.Question) (*wire.AccessAnswer, error) {
	snapshot, at, err := s.Snapshot(ctx, c.Realm.Name, audit.Position{}, q)
	if err != nil {
		return nil, err
	}
	if snapshot == nil {
		return &wire.AccessAnswer{Reasons: []wire.AccessReason{{Text: "the realm has no policies"}}}, nil
	}
	q.At = s.Now()
	a := policy.Decide(snapshot, q)
	told := accessAnswerOf(&a)
	told.Revision = at.String()
	return &told, nil
}

// state is the whole of a realm's facts and policies, or an error that says why
// there is none to look through.
func (s *Server) state(ctx context.Context, c *Caller) (*policy.Snapshot, audit.Position, error) {
	snapshot, at, err := s.Snapshot(ctx, c.Realm.Name, audit.Position{}, nil)
	if err == nil && snapshot == nil {
		err = fault.New(fault.NotFound, "no_policies", "the realm has no policies, so nobody may do anything")
	}
	return snapshot, at, err
}

func decisionOf(e *journal.Entry) wire.Decision {
	q := &e.Question
	d := wire.Decision{ID: e.ID, At: e.At, Kind: e.Kind, Results: e.Results, Refused: e.Refused, Masked: e.Masked, Client: e.Client, Principal: e.Principal, Request: e.Request,
		Token: e.Token, Grant: e.Grant, Session: e.Session, Application: e.Application, Answer: accessAnswerOf(&e.Answer),
		Question: wire.AccessQuestion{Subject: wire.DecisionEntity(q.Subject), Action: q.Action, Resource: wire.DecisionEntity(q.Resource), SubjectProperties: q.SubjectProperties,
			ActionProperties: q.ActionProperties, ResourceProperties: q.ResourceProperties, Context: q.Context}}
	d.Answer.Revision = e.Revision
	return d
}

func accessAnswerOf(a *policy.Answer) wire.AccessAnswer {
	out := wire.AccessAnswer{Allowed: a.Allowed, Reasons: []wire.AccessReason{}, Policies: a.Determining, PolicyHash: a.PolicyHash, Path: relationsOf(a.Path)}
	for _, r := range a.Reasons {
		out.Reasons = append(out.Reasons, wire.AccessReason(r))
	}
	if a.StepUp != nil {
		out.StepUp = &wire.AccessStepUp{ACR: a.StepUp.ACR, MaxAge: int64(a.StepUp.MaxAge / time.Second)}
	}
	return out
}

func relationsOf(path []policy.Step) (all []wire.DecisionStep) {
	for _, t := range path {
		r := wire.DecisionStep{Subject: wire.DecisionEntity(t.Subject), Relation: t.Relation, Object: wire.DecisionEntity(t.Object)}
		if t.Expires != 0 {
			at := time.UnixMilli(t.Expires).UTC()
			r.ExpiresAt = &at
		}
		all = append(all, r)
	}
	return all
}
