package folder

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/access/builtin"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
)

// Report is what the tests of a folder found.
type Report struct {
	Tests     int       `json:"tests"`
	Questions int       `json:"questions"`
	Failures  []Failure `json:"failures"`
	// Unexercised are the policies and roles that no question rested on, so that
	// nobody would notice if they were wrong.
	Unexercised []Unexercised `json:"unexercised"`
}

// Failure is a question with another answer than expected.
type Failure struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Test     string   `json:"test"`
	Question string   `json:"question,omitempty"`
	Message  string   `json:"message"`
	Reasons  []string `json:"reasons,omitempty"` // what Decide said
	Path     []string `json:"path,omitempty"`    // what it rested on
}

// Unexercised is a policy or role that no test rests on.
type Unexercised struct {
	Kind   string `json:"kind"` // policy or role
	Name   string `json:"name"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// OK reports whether all tests passed.
func (r *Report) OK() bool { return len(r.Failures) == 0 }

// Run runs the tests of a folder on the function that decides. The folder must
// have no problems.
func (f *Folder) Run() *Report {
	r := &Report{Tests: len(f.Tests), Failures: []Failure{}, Unexercised: []Unexercised{}}
	used := map[string]bool{}
	for i := range f.Tests {
		f.run(&f.Tests[i], r, used)
	}
	for _, p := range f.Policies() {
		if !used[p.ID] {
			r.Unexercised = append(r.Unexercised, Unexercised{"policy", p.ID, p.File, p.Line, p.Column})
		}
	}
	for _, t := range f.Source.Roles.Types {
		for _, role := range t.Roles {
			if !used[roleID(t.Type, role.Name)] {
				r.Unexercised = append(r.Unexercised, Unexercised{"role", role.Name + " of " + t.Type, f.Source.Roles.File, role.Line, role.Column})
			}
		}
	}
	slices.SortStableFunc(r.Failures, func(a, b Failure) int { return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	return r
}

// roleID is the id that decisions name the permissions of a role by.
func roleID(typ, role string) string { return "role:" + typ + ":" + role }

func (f *Folder) run(t *Test, r *Report, used map[string]bool) {
	g, err := graph.Empty().Apply(t.Facts)
	if err != nil {
		r.Failures = append(r.Failures, Failure{File: t.File, Line: t.Line, Test: t.Name, Message: "the facts cannot be: " + err.Error()})
		return
	}
	s := policy.NewSnapshot(f.Set, g, 0)
	for i := range t.Questions {
		asked := &t.Questions[i]
		r.Questions++
		a := f.answer(s, g, asked.Question)
		for _, id := range a.Determining {
			used[id] = true
		}
		for _, step := range a.Path {
			used[roleID(step.Object.Type, step.Relation)] = true
		}
		if wrong := asked.compare(&a); wrong != "" {
			r.Failures = append(r.Failures, Failure{File: t.File, Line: asked.Line, Test: t.Name, Question: asked.String(), Message: wrong, Reasons: Reasons(&a), Path: Path(&a)})
		}
	}
}

// own begins the names of actions in tests that are Cardea's own operations.
const own = builtin.Namespace + "::"

// answer asks the policies of the folder, or, about Cardea's own operations, those.
func (f *Folder) answer(s *policy.Snapshot, g *graph.Graph, q policy.Question) policy.Answer {
	action, ours := strings.CutPrefix(q.Action, own)
	switch {
	case !ours:
		return policy.Decide(s, &q)
	case f.Guard == nil:
		return policy.Answer{Reasons: []policy.Reason{{Text: "the folder has no policies about Cardea's own operations (cardea/*.cedar)"}}}
	}
	q.Action = action
	return policy.Decide(policy.NewSnapshot(f.Guard, g, 0), &q)
}

// compare says how an answer differs from what was expected, or nothing.
func (a *Asked) compare(got *policy.Answer) string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if got.Allowed != a.Allow {
		say("want %s, got %s", decision(a.Allow), decision(got.Allowed))
	}
	if a.Policies != nil && !slices.Equal(sortedSet(a.Policies), sortedSet(got.Determining)) {
		say("want it decided by %s, got %s", listed(a.Policies), listed(got.Determining))
	}
	if a.Reason != "" && !slices.ContainsFunc(Reasons(got), func(s string) bool { return strings.Contains(s, a.Reason) }) {
		say("no reason says %s", quoted(a.Reason))
	}
	if a.StepUp != "" {
		acr := noStepUp
		if got.StepUp != nil {
			acr = got.StepUp.ACR
		}
		if acr != a.StepUp {
			say("want step-up to %s, got %s", quoted(a.StepUp), quoted(acr))
		}
	}
	return strings.Join(wrong, "; ")
}

func decision(allowed bool) string {
	if allowed {
		return "allow"
	}
	return "deny"
}

func listed(ids []string) string {
	if len(ids) == 0 {
		return "no policy"
	}
	return strings.Join(sortedSet(ids), ", ")
}

// Reasons are the reasons of an answer, in words.
func Reasons(a *policy.Answer) (all []string) {
	for _, r := range a.Reasons {
		s := r.Text
		if r.Policy != "" {
			s = r.Policy + ": " + s
		}
		if r.Error != "" {
			s += " (" + r.Error + ")"
		}
		all = append(all, strings.TrimSuffix(s, ": "))
	}
	return all
}

// Path is what an answer rested on, in words.
func Path(a *policy.Answer) (all []string) {
	for _, s := range a.Path {
		all = append(all, fmt.Sprintf("%s %s %s", s.Subject, s.Relation, s.Object))
	}
	return all
}
