package console

import (
	"net/http"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/audit"
)

// verdict is what is to be said of a draft.
type verdict struct {
	Problems folder.Problems
	Report   *folder.Report // nil while there are problems
	Counts   struct{ Policies, Roles, Gaps int }
	Answer   *answer
	Words    suggestions
}

// answer is what the draft says to the question.
type answer struct {
	policy.Answer
	Rules  []rule
	Why    []policy.Reason // said by no policy
	Today  *policy.Answer  // what the version that counts says on the same facts; nil: there is none
	Facts  string          // the test whose facts counted; "": those of now
	Sketch *picture
	Wrong  string // why the question could not be asked
}

// rule is a policy that decided.
type rule struct {
	ID, Text, File string
	Line           int
	Reason, Error  string
	Forbids        bool
	Role           bool // no policy of a file, but the permissions of a role
}

// suggestions are the words that a question may be made of.
type suggestions struct {
	Subjects, Actions, Resources []string
	Worlds                       []string
}

// judge says of the draft what the commands check and test say, and answers its
// question.
func (s *Server) judge(r *http.Request, v *visit, p *playgroundPage) error {
	select {
	case s.tries <- struct{}{}:
		defer func() { <-s.tries }()
	case <-r.Context().Done():
		return r.Context().Err()
	}
	f, problems := folder.Read(p.folder())
	p.Problems = problems
	if len(problems) > 0 {
		if p.Asked.complete() {
			p.Answer = &answer{Wrong: p.T("console.answer.problems")}
		}
		return nil
	}
	p.Report = f.Run()
	p.Counts.Policies = len(f.Policies())
	for _, t := range f.Source.Roles.Types {
		p.Counts.Roles += len(t.Roles)
	}
	p.Counts.Gaps = len(p.Report.Unexercised)
	p.Words = suggest(f)
	if !p.Asked.complete() {
		return nil
	}
	if err := s.API.Admit(r, v.Caller, "ask-access"); err != nil {
		p.Answer = &answer{Wrong: p.T("console.answer.refused")}
		return nil
	}
	return s.ask(r, v, p, f)
}

func suggest(f *folder.Folder) (w suggestions) {
	for _, k := range f.Set.Kinds() {
		w.Subjects, w.Actions, w.Resources = append(w.Subjects, k.Subject), append(w.Actions, k.Action), append(w.Resources, k.Resource)
	}
	for _, list := range []*[]string{&w.Subjects, &w.Actions, &w.Resources} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	for _, t := range f.Tests[:min(len(f.Tests), 200)] {
		w.Worlds = append(w.Worlds, world(t))
	}
	return w
}

// world names a test whose facts can be asked on.
func world(t folder.Test) string { return t.File + ": " + t.Name }

// ask answers the question by the draft, on the facts of now or of one of its tests.
func (s *Server) ask(r *http.Request, v *visit, p *playgroundPage, f *folder.Folder) error {
	out := &answer{Facts: p.Asked.World}
	p.Answer = out
	q, wrong := p.Asked.question()
	if wrong != "" {
		out.Wrong = p.T("console.answer.json", "field", p.T(wrong))
		return nil
	}
	q.At = s.DB.Now()
	snapshot, today, err := s.snapshot(r, v, p.Asked.World, f, q)
	if err != nil {
		_, err = p.refused(r, err)
		out.Wrong, p.Wrong = p.Wrong, ""
		return err
	}
	if snapshot == nil {
		out.Wrong = p.T("console.answer.world")
		return nil
	}
	out.Answer = policy.Decide(snapshot, q)
	if today != nil {
		now := policy.Decide(today, q)
		out.Today = &now
	}
	out.explain(f)
	out.Sketch = s.draw(r, v, p, snapshot.Graph(), q, &out.Answer)
	return nil
}

// snapshot is what the question is asked on, and the same with the policies of now,
// if the facts are those of now and there are any. Both are nil for a test that
// there is not.
func (s *Server) snapshot(r *http.Request, v *visit, test string, f *folder.Folder, q *policy.Question) (draft, today *policy.Snapshot, err error) {
	if test == "" {
		now, _, err := s.Snapshot(r.Context(), v.Realm.Name, audit.Position{}, q)
		if err != nil {
			return nil, nil, err
		}
		if now != nil {
			return now.With(f.Set), now, nil
		}
		facts, err := s.Policies.Facts(r.Context(), v.Realm.Name)
		if err != nil {
			return nil, nil, err
		}
		return facts(f.Set), nil, nil
	}
	for _, t := range f.Tests {
		if world(t) != test {
			continue
		}
		g, err := graph.Empty().Apply(t.Facts)
		if err != nil {
			return nil, nil, nil // the tests say so
		}
		if len(t.Questions) > 0 {
			q.At = t.Questions[0].Question.At
		}
		return policy.NewSnapshot(f.Set, g, 0), nil, nil
	}
	return nil, nil, nil
}

// explain joins the policies that decided with their text and what they say.
func (a *answer) explain(f *folder.Folder) {
	said := map[string]policy.Reason{}
	for _, r := range a.Reasons {
		if r.Policy == "" {
			a.Why = append(a.Why, r)
		} else {
			said[r.Policy] = r
		}
	}
	statements := map[string]folder.Statement{}
	for _, p := range f.Policies() {
		statements[p.ID] = p
	}
	ids := a.Determining
	for _, r := range a.Reasons {
		if r.Policy != "" && !slices.Contains(ids, r.Policy) {
			ids = append(slices.Clone(ids), r.Policy)
		}
	}
	for _, id := range ids {
		one := rule{ID: id, Reason: said[id].Text, Error: said[id].Error}
		if p, ok := statements[id]; ok {
			one.Text, one.File, one.Line, one.Forbids = p.Text, p.File, p.Line, p.Forbids
		} else if typ, role, ok := strings.Cut(strings.TrimPrefix(id, "role:"), ":"); ok && strings.HasPrefix(id, "role:") {
			one.Role, one.File = true, folder.RolesFile
			for _, t := range f.Source.Roles.Types {
				if t.Type != typ {
					continue
				}
				for _, x := range t.Roles {
					if x.Name == role {
						one.Line = x.Line
					}
				}
				one.Text = typ + ": " + role + " → " + strings.Join(t.Permissions(role), ", ")
			}
		}
		a.Rules = append(a.Rules, one)
	}
}
