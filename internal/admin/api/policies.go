package api

import (
	"context"
	"strconv"
	"strings"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/access/builtin"
	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/fault"
)

func (s *Server) listPolicies(ctx context.Context, c *Caller, in *Paging) (*page[wire.PolicyVersion], error) {
	found, next, err := s.Policies.List(ctx, c.Realm.Name, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, policyOf), nil
}

func (s *Server) showPolicy(ctx context.Context, c *Caller, in *ByID) (*plainAnswer[wire.PolicyVersion], error) {
	n, err := policyNumber(in.ID)
	if err != nil {
		return nil, err
	}
	v, files, err := s.Policies.ByNumber(ctx, c.Realm.Name, n)
	if err != nil {
		return nil, err
	}
	out := policyOf(v)
	for _, f := range files {
		out.Contents = append(out.Contents, wire.PolicyFile{Path: f.Path, Text: string(f.Text)})
	}
	return plain(out), nil
}

// showBuiltIn shows what the gate of this API asks.
func (s *Server) showBuiltIn(ctx context.Context, c *Caller, _ *nothing) (*plainAnswer[wire.BuiltInPolicy], error) {
	set, glass, broken, err := s.Guard.Policies(ctx, c.Realm.Name)
	if err != nil {
		return nil, err
	}
	out := wire.BuiltInPolicy{Hash: set.Hash(), Added: []wire.PolicyFile{}}
	for _, f := range builtin.Files() {
		out.Contents = append(out.Contents, wire.PolicyFile{Path: f.Name, Text: string(f.Text)})
	}
	if broken != nil {
		out.Broken = broken.Error()
	}
	if glass.Open(s.Now()) {
		out.Glass = &wire.BrokenGlass{Since: glass.Since.UTC(), Until: glass.Until.UTC(), Reason: glass.Reason}
	}
	v, files, err := s.Policies.ByNumber(ctx, c.Realm.Name, 0)
	if fault.Is(err, fault.NotFound) {
		return plain(out), nil
	}
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if strings.HasPrefix(f.Path, "cardea/") {
			out.Version = v.Number
			out.Added = append(out.Added, wire.PolicyFile{Path: f.Path, Text: string(f.Text)})
		}
	}
	return plain(out), nil
}

// policyNumber reads the number of a version; current is 0.
func policyNumber(text string) (int64, error) {
	if text == "current" || text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, fault.New(fault.NotFound, "policy_unknown", "a version is a number, or current")
	}
	return n, nil
}

type applyPolicyInput struct{ Body wire.PolicyApply }

func (s *Server) applyPolicy(ctx context.Context, c *Caller, in *applyPolicyInput) (*plainAnswer[wire.PolicyVersion], error) {
	b := in.Body
	v, err := s.Policies.Apply(ctx, c.By, c.Realm.Name, version.Change{Files: policyFiles(b.Files), Message: b.Message, Plan: b.Plan, Window: days(b.Days)})
	if err != nil {
		return nil, err
	}
	return plain(policyOf(v)), nil
}

type planPolicyInput struct{ Body wire.PolicyPlanRequest }

func (s *Server) planPolicy(ctx context.Context, c *Caller, in *planPolicyInput) (*plainAnswer[wire.PolicyPlan], error) {
	p, err := s.Policies.Plan(ctx, c.Realm.Name, policyFiles(in.Body.Files), days(in.Body.Days))
	if err != nil {
		return nil, err
	}
	return plain(planOf(p)), nil
}

type rollbackPolicyInput struct {
	ByID
	Body wire.PolicyRollback
}

func (s *Server) rollbackPolicy(ctx context.Context, c *Caller, in *rollbackPolicyInput) (*plainAnswer[wire.PolicyVersion], error) {
	n, err := policyNumber(in.ID)
	if err != nil {
		return nil, err
	}
	v, err := s.Policies.Rollback(ctx, c.By, c.Realm.Name, n, in.Body.Message)
	if err != nil {
		return nil, err
	}
	return plain(policyOf(v)), nil
}

type diffPolicyInput struct {
	From string `query:"from" maxLength:"20" doc:"Number of a version, or current."`
	To   string `query:"to" maxLength:"20" doc:"Number of a version, or current."`
}

func (s *Server) diffPolicy(ctx context.Context, c *Caller, in *diffPolicyInput) (*page[wire.PolicyDifference], error) {
	from, err := policyNumber(in.From)
	if err != nil {
		return nil, err
	}
	to, err := policyNumber(in.To)
	if err != nil {
		return nil, err
	}
	found, err := s.Policies.Diff(ctx, c.Realm.Name, from, to)
	if err != nil {
		return nil, err
	}
	return paged(found, "", differenceOf), nil
}

func (s *Server) showPolicySource(ctx context.Context, c *Caller, _ *nothing) (*plainAnswer[wire.PolicySource], error) {
	return policySourceShown(s.Policies.SourceOf(ctx, c.Realm.Name))
}

type putPolicySourceInput struct{ Body wire.PolicySourcePut }

func (s *Server) putPolicySource(ctx context.Context, c *Caller, in *putPolicySourceInput) (*plainAnswer[wire.PolicySource], error) {
	b := in.Body
	return policySourceShown(s.Policies.Follow(ctx, c.By, c.Realm.Name, version.Source{Kind: b.Kind, Location: b.Location, Branch: b.Branch, Folder: b.Folder,
		Username: b.Username, Password: b.Password, Seconds: b.Seconds}))
}

func (s *Server) lookPolicySource(ctx context.Context, c *Caller, _ *nothing) (*plainAnswer[wire.PolicySource], error) {
	return policySourceShown(s.Policies.Look(ctx, c.Realm.Name))
}

func (s *Server) removePolicySource(ctx context.Context, c *Caller, _ *nothing) (*nothing, error) {
	return nil, s.Policies.Unfollow(ctx, c.By, c.Realm.Name)
}

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

func policyFiles(in []wire.PolicyFile) (files folder.Files) {
	for _, f := range in {
		files = append(files, folder.File{Path: f.Path, Text: []byte(f.Text)})
	}
	return files
}

func policyOf(v *version.Version) wire.PolicyVersion {
	return wire.PolicyVersion{Number: v.Number, Hash: v.Hash, Content: v.Content, Files: v.Files, Bytes: v.Bytes, Tests: v.Tests, Message: v.Message,
		Origin: v.Origin, Plan: v.Plan, By: wire.Actor{Kind: v.By.Kind, ID: v.By.ID}, CreatedAt: v.Created.UTC()}
}

func policySourceShown(s *version.Source, err error) (*plainAnswer[wire.PolicySource], error) {
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, fault.New(fault.NotFound, "policy_not_followed", "the realm follows no repository or directory")
	}
	return plain(wire.PolicySource{Kind: s.Kind, Location: s.Location, Branch: s.Branch, Folder: s.Folder, Username: s.Username, HasPassword: s.HasPassword(),
		Seconds: s.Seconds, CheckedAt: optional(s.Checked), Seen: s.Seen, State: s.State, Detail: s.Detail, SinceAt: s.Since.UTC(), Version: s.Number}), nil
}

// maxListed is how many effects of a kind an answer lists.
const maxListed = 1_000

func planOf(p *version.Plan) wire.PolicyPlan {
	r := p.Replay
	out := wire.PolicyPlan{OK: p.OK(), Hash: p.Hash, Policy: p.Policy, Base: p.Base, Since: r.Since.UTC(), Until: r.Until.UTC(), Decisions: r.Decisions, Unaffected: r.Unaffected,
		Partial: r.Partial, More: r.More, Drifted: r.Drifted, Gains: effectsOf(r.Gains), GainCount: len(r.Gains), Losses: effectsOf(r.Losses), LossCount: len(r.Losses),
		StepUps: effectsOf(r.StepUps), StepUpCount: len(r.StepUps), Problems: []wire.PolicyProblem{}, Failures: []wire.PolicyFailure{}, Differences: []wire.PolicyDifference{}}
	for _, x := range p.Problems {
		out.Problems = append(out.Problems, wire.PolicyProblem(x))
	}
	if p.Report != nil {
		out.Tests = p.Report.Questions
		for _, x := range p.Report.Failures[:min(len(p.Report.Failures), maxListed)] {
			out.Failures = append(out.Failures, wire.PolicyFailure(x))
		}
	}
	for _, d := range p.Differences {
		out.Differences = append(out.Differences, differenceOf(d))
	}
	if p.AboutOwn {
		o := p.Own
		out.Own = &wire.PolicyOwnPlan{Decisions: o.Decisions, Gains: effectsOf(o.Gains), GainCount: len(o.Gains), Losses: effectsOf(o.Losses), LossCount: len(o.Losses),
			StepUps: effectsOf(o.StepUps), StepUpCount: len(o.StepUps), LockedOut: []wire.PolicyOperator{}}
		for _, l := range p.LockedOut[:min(len(p.LockedOut), maxListed)] {
			out.Own.LockedOut = append(out.Own.LockedOut, wire.PolicyOperator{Operator: policyEntityOf(l.Entity), Role: l.Role})
		}
	}
	return out
}

func differenceOf(d folder.Difference) wire.PolicyDifference { return wire.PolicyDifference(d) }

func effectsOf(list []version.Effect) []wire.PolicyEffect {
	out := []wire.PolicyEffect{}
	for _, e := range list[:min(len(list), maxListed)] {
		out = append(out, wire.PolicyEffect{Subject: policyEntityOf(e.Subject), Action: e.Action, Resource: policyEntityOf(e.Resource), Times: e.Times,
			LastAt: e.Last.UTC(), Decision: e.Decision, Before: e.Before, After: e.After, Path: e.Path, StepUp: e.StepUp})
	}
	return out
}

func policyEntityOf(e policy.Entity) wire.PolicyEntity {
	return wire.PolicyEntity{Type: e.Type, ID: e.ID}
}
