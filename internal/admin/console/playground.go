package console

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/web"
)

// playgroundPage is the draft and what came of it.
type playgroundPage struct {
	frame
	draft
	Current int64 // the version that counts now; 0: none
	Fresh   bool  // the draft is a folder to begin with
	CanPlan bool  // the role permits to plan and to apply
	verdict
	Planned *planned
	// Pristine says that the draft is what the server has, so that the browser may put
	// one of its own in its place.
	Pristine bool
	// Kept names the operator to the browser, so that it keeps a draft for its author.
	Kept string
}

func (s *Server) playground(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := s.API.Admit(r, v.Caller, "show-policy"); err != nil {
		return err
	}
	p := playgroundPage{frame: s.begin(w, r, v, "console.playground"), draft: draft{Days: int(version.Window / (24 * time.Hour))}, Pristine: true}
	if n := r.URL.Query().Get("applied"); n != "" {
		if _, err := strconv.ParseUint(n, 10, 32); err == nil {
			p.Said = p.T("console.applied", "n", n)
		}
	}
	if err := s.current(r, v, &p, true); err != nil {
		return err
	}
	return s.show(w, r, v, &p, http.StatusOK)
}

// current notes which version counts, and takes its folder into the draft.
func (s *Server) current(r *http.Request, v *visit, p *playgroundPage, take bool) error {
	now, files, err := s.Policies.ByNumber(r.Context(), v.Realm.Name, 0)
	switch {
	case fault.Is(err, fault.NotFound):
		if files, err = starter(); err != nil {
			return err
		}
		p.Fresh = take
	case err != nil:
		return err
	default:
		p.Current = now.Number
	}
	if take {
		p.take(files)
		p.Base = p.Current
	}
	return nil
}

// show judges the draft and answers with the page.
func (s *Server) show(w http.ResponseWriter, r *http.Request, v *visit, p *playgroundPage, status int) error {
	p.CanPlan = s.API.May(v.Caller, "plan-policy")
	p.Kept = v.Realm.Name + "/" + v.person.ID
	if err := s.judge(r, v, p); err != nil {
		return err
	}
	return s.look.Render(w, status, "playground", p)
}

// play takes the draft and does what the pressed button says. Whatever is refused,
// the page that answers holds the draft.
func (s *Server) play(w http.ResponseWriter, r *http.Request) error {
	v, form, again, err := s.admitted(w, r, repeated...)
	if err != nil {
		return err
	}
	p := &playgroundPage{frame: s.begin(w, r, v, "console.playground"), draft: readDraft(form)}
	if v == nil {
		p.gone()
		p.Form = form.Get("form") // is good again after the sign-in
		return s.look.Render(w, http.StatusUnauthorized, "kept", p)
	}
	if err := s.API.Admit(r, v.Caller, "show-policy"); err != nil {
		return err
	}
	if err := s.current(r, v, p, false); err != nil {
		return err
	}
	status := http.StatusOK
	if again {
		p.Wrong, status = p.T("console.form"), http.StatusForbidden
		return s.show(w, r, v, p, status)
	}
	do, about, _ := strings.Cut(form.Get("do"), " ")
	switch do {
	case "add":
		if wrong := p.add(); wrong != "" {
			p.Wrong = p.T(wrong)
		}
	case "drop":
		p.drop(about)
	case "layout":
		p.layOut()
	case "reset":
		web.See(w, v.Realm.Path+pathPlayground)
		return nil
	case "plan":
		status, err = s.plan(r, v, p)
	case "apply":
		var done bool
		if done, status, err = s.apply(w, r, v, p); done {
			return err
		}
	}
	if err != nil {
		return err
	}
	return s.show(w, r, v, p, status)
}

// planned is what a plan found, for the page.
type planned struct{ *version.Plan }

// mostEffects is how many effects of a kind the page shows, and how many failed tests.
const mostEffects = 50

// Few reports whether the differences can be shown at once.
func (p planned) Few() bool { return len(p.Differences) <= 8 }

func (s *Server) plan(r *http.Request, v *visit, p *playgroundPage) (int, error) {
	if err := s.API.Admit(r, v.Caller, "plan-policy"); err != nil {
		return p.refused(r, err)
	}
	found, err := s.Policies.Plan(r.Context(), v.Realm.Name, p.folder(), time.Duration(p.Days)*24*time.Hour)
	if err != nil {
		return p.refused(r, err)
	}
	p.Planned = &planned{found}
	p.draft.Plan = found.Hash
	return http.StatusOK, nil
}

// apply makes the draft the folder that counts, if it still does what the plan that
// was seen says.
func (s *Server) apply(w http.ResponseWriter, r *http.Request, v *visit, p *playgroundPage) (done bool, status int, err error) {
	if err := s.API.Admit(r, v.Caller, "apply-policy"); err != nil {
		status, err = p.refused(r, err)
		return false, status, err
	}
	if p.draft.Plan == "" {
		p.Wrong = p.T("console.plan.first")
		return false, http.StatusUnprocessableEntity, nil
	}
	base := p.Base
	applied, err := s.Policies.Apply(r.Context(), v.By, v.Realm.Name, version.Change{Files: p.folder(), Message: p.Why, Plan: p.draft.Plan,
		Window: time.Duration(p.Days) * 24 * time.Hour, Base: &base})
	if err != nil {
		status, err = p.refused(r, err)
		return false, status, err
	}
	web.See(w, v.Realm.Path+pathPlayground+"?applied="+strconv.FormatInt(applied.Number, 10))
	return true, 0, nil
}

// Index is where a file stands among the files of a draft; the first for one that
// is not there.
func (d draft) Index(path string) int {
	for i, f := range d.Files {
		if f.Path == path {
			return i
		}
	}
	return 0
}

// Lang is the language of a file, for the colours of its words.
func (f draftFile) Lang() string {
	switch {
	case strings.HasSuffix(f.Path, ".cedar"), strings.HasSuffix(f.Path, ".cedarschema"):
		return "cedar"
	case strings.HasSuffix(f.Path, ".rego"):
		return "rego"
	}
	return "yaml"
}

// Rows is how tall the field of a file is where no script makes it fit.
func (f draftFile) Rows() int { return min(max(strings.Count(f.Text, "\n")+2, 4), 24) }

// Covered is how many of a hundred policies and roles some test rests on.
func (v verdict) Covered() int {
	all := v.Counts.Policies + v.Counts.Roles
	if all == 0 {
		return 100
	}
	return (all - v.Counts.Gaps) * 100 / all
}

// sketched is a picture with the words around it.
type sketched struct {
	*playgroundPage
	Sketch *picture
}

// Sketched is a picture with the words around it.
func (p *playgroundPage) Sketched(pic *picture) sketched { return sketched{p, pic} }

// effects are some effects with the words around them.
type effects struct {
	P    *playgroundPage
	List []version.Effect
	More int
}

// Effects are the first of some effects with the words around them, and how many
// more there are.
func (p *playgroundPage) Effects(all []version.Effect) effects {
	list := all[:min(len(all), mostEffects)]
	return effects{p, list, len(all) - len(list)}
}

// Failed are the first of the tests that failed.
func (p *playgroundPage) Failed() []folder.Failure {
	return p.Report.Failures[:min(len(p.Report.Failures), mostEffects)]
}

// FailedMore is how many failed besides.
func (p *playgroundPage) FailedMore() int { return len(p.Report.Failures) - len(p.Failed()) }
