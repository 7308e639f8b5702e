package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/web"
)

// rolesPage lists the roles that there are, and who holds them on what.
type rolesPage struct {
	frame
	Types     []roleType
	Rows      []held
	Filter    filter
	Next      string // the address of the next page
	First     string // of the first, where this is another
	CanChange bool
	Draft     grantDraft
	None      bool // the realm has no policies, so no roles
}

type roleType struct {
	Type  string
	Roles []role
}

type role struct {
	Name                 string
	Implies, Permissions []string
	URL                  string // of those who hold it
	Current              bool
}

// held is a relation as it is listed.
type held struct {
	graph.Tuple
	SubjectName, ObjectName string
	Until                   string
	UntilMachine            string
	Ended                   bool
	Source                  string // of which it was pulled
}

// filter says which relations are listed.
type filter struct{ SubjectType, SubjectID, Relation, ObjectType, ObjectID string }

// grantDraft is a grant that is being made.
type grantDraft struct{ SubjectType, SubjectID, Relation, ObjectType, ObjectID, Until string }

const heldPerPage = 50

func filterOf(q url.Values) filter {
	get := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	return filter{get("subject_type"), get("subject_id"), get("relation"), get("object_type"), get("object_id")}
}

func (f filter) link(p frame, after string) string {
	return p.Link(pathRoles, "subject_type", f.SubjectType, "subject_id", f.SubjectID, "relation", f.Relation, "object_type", f.ObjectType, "object_id", f.ObjectID, "after", after)
}

// Any reports whether the list is restricted.
func (f filter) Any() bool { return f != filter{} }

func (s *Server) roles(w http.ResponseWriter, r *http.Request, v *visit) error {
	p := rolesPage{frame: s.begin(w, r, v, "console.roles"), Filter: filterOf(r.URL.Query())}
	if done := r.URL.Query().Get("done"); done == "add" || done == "remove" {
		p.Said = p.T("console.roles.done." + done)
	}
	p.Draft = grantDraft{p.Filter.SubjectType, p.Filter.SubjectID, p.Filter.Relation, p.Filter.ObjectType, p.Filter.ObjectID, ""}
	return s.showRoles(w, r, v, &p, http.StatusOK)
}

func (s *Server) showRoles(w http.ResponseWriter, r *http.Request, v *visit, p *rolesPage, status int) error {
	if err := s.API.Admit(r, v.Caller, "list-relations"); err != nil {
		return err
	}
	p.CanChange = s.API.May(v.Caller, "write-facts")
	if s.API.May(v.Caller, "show-policy") {
		if err := s.types(r, v, p); err != nil {
			return err
		}
	}
	f, after := p.Filter, r.URL.Query().Get("after")
	if f.SubjectType == "" && f.SubjectID != "" || f.ObjectType == "" && f.ObjectID != "" {
		p.Wrong, status = p.T("console.roles.type"), http.StatusUnprocessableEntity
	} else {
		rows, next, _, err := s.Facts.List(r.Context(), v.Realm.Name, relation.Filter{Subject: graph.Entity{Type: f.SubjectType, ID: f.SubjectID},
			Object: graph.Entity{Type: f.ObjectType, ID: f.ObjectID}, Relation: f.Relation}, after, heldPerPage)
		if fault.Is(err, fault.Invalid) && p.Wrong == "" {
			if status, err = p.refused(r, err); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		s.list(r, v, p, rows)
		if next != "" {
			p.Next = f.link(p.frame, next)
		}
	}
	if after != "" {
		p.First = f.link(p.frame, "")
	}
	return s.look.Render(w, status, "roles", p)
}

// types reads which roles the policies of now know.
func (s *Server) types(r *http.Request, v *visit, p *rolesPage) error {
	_, files, err := s.Policies.ByNumber(r.Context(), v.Realm.Name, 0)
	if fault.Is(err, fault.NotFound) {
		p.None = true
		return nil
	}
	if err != nil {
		return err
	}
	now, _ := folder.Read(files)
	for _, t := range now.Source.Roles.Types {
		rt := roleType{Type: t.Type}
		for _, x := range t.Roles {
			to := filter{Relation: x.Name, ObjectType: t.Type}
			rt.Roles = append(rt.Roles, role{x.Name, x.Implies, t.Permissions(x.Name), to.link(p.frame, ""), p.Filter == to})
		}
		p.Types = append(p.Types, rt)
	}
	return nil
}

// RoleNames are the names that a grant can have.
func (p *rolesPage) RoleNames() []string {
	all := []string{graph.Member, graph.Parent}
	for _, t := range p.Types {
		for _, x := range t.Roles {
			all = append(all, x.Name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (s *Server) list(r *http.Request, v *visit, p *rolesPage, rows []relation.Row) {
	names, now := s.names(r, v), s.DB.Now().UnixMilli()
	for _, row := range rows {
		h := held{Tuple: row.Tuple, SubjectName: names(row.Subject), ObjectName: names(row.Object), Source: row.Source}
		if row.Expires != 0 {
			at := time.UnixMilli(row.Expires).UTC()
			h.Until, h.UntilMachine, h.Ended = at.Format(p.T("date.exact")), at.Format(time.RFC3339), row.Expires <= now
		}
		p.Rows = append(p.Rows, h)
	}
}

// changeRoles adds a grant or removes one. It writes what the command relation
// writes.
func (s *Server) changeRoles(w http.ResponseWriter, r *http.Request) error {
	v, form, again, err := s.admitted(w, r)
	if err != nil {
		return err
	}
	p := &rolesPage{frame: s.begin(w, r, v, "console.roles"), Filter: filterOf(r.URL.Query())}
	get := func(name string) string { return strings.TrimSpace(form.Get(name)) }
	p.Draft = grantDraft{get("subject_type"), form.Get("subject_id"), get("relation"), get("object_type"), form.Get("object_id"), get("until")}
	if v == nil {
		p.gone()
		p.Form = form.Get("form")
		return s.look.Render(w, http.StatusUnauthorized, "kept_role", struct {
			*rolesPage
			Do, Here string
		}{p, form.Get("do"), p.Filter.link(p.frame, "")})
	}
	if again {
		p.Wrong = p.T("console.form")
		return s.showRoles(w, r, v, p, http.StatusForbidden)
	}
	t := graph.Tuple{Subject: graph.Entity{Type: p.Draft.SubjectType, ID: p.Draft.SubjectID}, Relation: p.Draft.Relation, Object: graph.Entity{Type: p.Draft.ObjectType, ID: p.Draft.ObjectID}}
	do := form.Get("do")
	if do == "add" && p.Draft.Until != "" {
		at, err := until(p.Draft.Until)
		if err != nil || !at.After(s.DB.Now()) {
			p.Wrong = p.T("console.roles.until.wrong")
			return s.showRoles(w, r, v, p, http.StatusUnprocessableEntity)
		}
		t.Expires = at.UnixMilli()
	}
	if err := s.change(r, v, do, t); err != nil {
		status, err := p.refused(r, err)
		if err != nil {
			return err
		}
		return s.showRoles(w, r, v, p, status)
	}
	to := p.Filter.link(p.frame, "")
	join := "?"
	if strings.Contains(to, "?") {
		join = "&"
	}
	web.See(w, to+join+"done="+do)
	return nil
}

func (s *Server) change(r *http.Request, v *visit, do string, t graph.Tuple) error {
	if err := s.API.Admit(r, v.Caller, "write-facts"); err != nil {
		return err
	}
	var b relation.Batch
	switch do {
	case "add":
		b.Add = []graph.Tuple{t}
	case "remove":
		b.Remove = []graph.Tuple{t}
	default:
		return fault.New(fault.Invalid, "invalid_request", "a form adds or removes")
	}
	_, err := s.Facts.Write(r.Context(), v.By, v.Realm.Name, b)
	return err
}

// until reads the end of a grant, in UTC, as browsers send it.
func until(text string) (time.Time, error) {
	var at time.Time
	var err error
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02", time.RFC3339} {
		if at, err = time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return at, err
}

// Here is the address of this list, where its forms go.
func (p *rolesPage) Here() string { return p.Filter.link(p.frame, "") }
