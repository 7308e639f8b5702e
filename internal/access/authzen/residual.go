package authzen

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/residual"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/realm"
)

// pathResidual is a question of our own beside AuthZEN's, so its name cannot meet
// one of theirs.
const pathResidual = Path + "/residual"

// CodeInexpressible is the code of the error that a policy cannot be written as a
// condition on rows.
const CodeInexpressible = "not_expressible"

// filter is the answer about all rows of a table at once.
type filter struct {
	Decision  string         `json:"decision"` // all, none or some
	SQL       string         `json:"sql,omitempty"`
	Values    []any          `json:"parameters,omitempty"`
	Condition residual.Node  `json:"condition"`
	Context   map[string]any `json:"context"`
}

// residual answers which rows of the caller's own table a subject may do an action
// to: as SQL, and as a tree. A policy that cannot be written so is an error, never
// a wider condition.
func (s *Server) residual(w http.ResponseWriter, r *http.Request) error {
	q, err := s.admit(w, r, RateSearch, maxOne)
	if err != nil {
		return err
	}
	if p := q.body.problem(resources); p != "" {
		return invalid("%s", p)
	}
	if len(q.body.resource.properties) > 0 {
		return invalid("resource.properties are what the rows hold; map them to columns in table.attributes")
	}
	table, dialect, first, err := q.body.mapping()
	if err != nil {
		return err
	}
	p := q.body.question()
	p.At, p.Resource.ID = q.now, ""
	if q.body.token != "" {
		s.vouch(q, q.body.token)
	}
	if err := s.open(q, nil, s.o.Partial != nil); err != nil {
		return err
	}
	v, refused, err := s.trusted(q, &q.body.asked, &p)
	if err != nil {
		return err
	}
	if refused == "" {
		refused = q.late
	}
	stale := false
	if refused == "" {
		refused, stale = q.fresh(p.Action, q.body.token)
	}
	d := decision{id: id.New(journal.Prefix, q.now), problem: refused, stale: stale}
	left := policy.Residual{When: policy.Condition{Op: policy.OpFalse}, Reason: refused}
	if refused == "" {
		if left, err = s.left(q, &p, table.Rows()); err != nil {
			return inexpressible(err)
		}
		d.answer = policy.Answer{Allowed: left.When.Op != policy.OpFalse, Determining: left.Policies, StepUp: left.StepUp, Revision: left.Revision, PolicyHash: left.PolicyHash}
		if left.Reason != "" {
			d.answer.Reasons = []policy.Reason{{Text: left.Reason}}
		}
	}
	out, err := write(left, table, dialect, first)
	if err != nil {
		return inexpressible(err)
	}
	q.describe(out.Context, &d, left)
	b, err := json.Marshal(out)
	if err != nil {
		return err
	}
	s.noteSearch(q, &d, journal.SearchResource, &p, v, 0)
	s.write(w, q, b)
	return nil
}

// left is what is left of the question, by what is held of the realm or, where that
// is not all, by what the question needs.
func (s *Server) left(q *request, p *policy.Question, rows policy.Rows) (left policy.Residual, err error) {
	if !q.apart {
		return policy.Partial(q.snapshot, p, rows)
	}
	if left, q.snapshot, q.at, err = s.o.Partial(q, q.realm.Name, p, rows); err != nil {
		return left, err
	}
	if q.revision = q.at.String(); q.snapshot == nil {
		return policy.Residual{When: policy.Condition{Op: policy.OpFalse}, Reason: "the realm has no policies"}, nil
	}
	return left, nil
}

func write(left policy.Residual, table residual.Mapping, dialect residual.Dialect, first int) (*filter, error) {
	out := &filter{Decision: "some", Context: map[string]any{}}
	if always, constant := left.When.Constant(); constant {
		out.Decision = map[bool]string{true: "all", false: "none"}[always]
	}
	var err error
	if out.Condition, err = residual.Tree(left.When, table); err != nil || dialect == "" {
		return out, err
	}
	where, err := residual.SQL(left.When, table, dialect, first)
	out.SQL, out.Values = where.SQL, residual.Values(where.Args)
	return out, err
}

// describe is the context of an answer, as detailed as the realm has it.
func (q *request) describe(to map[string]any, d *decision, left policy.Residual) {
	to["id"] = d.id
	if q.snapshot != nil {
		to["revision"] = q.revision
	}
	if d.stale {
		to["stale"] = true
	}
	if left.StepUp != nil {
		to["step_up"] = json.RawMessage(appendStepUp(nil, left.StepUp))
	}
	if q.realm.Settings.DecisionDetail == realm.DetailNone {
		return
	}
	if left.Reason != "" {
		to["reason"] = left.Reason
	}
	if len(left.Policies) > 0 {
		to["policies"] = left.Policies
	}
}

func inexpressible(err error) error {
	switch {
	case errors.Is(err, policy.ErrInexpressible):
		return fault.New(fault.Invalid, CodeInexpressible, "%s", err.Error())
	case errors.Is(err, residual.ErrMapping):
		return invalid("%s", err.Error())
	}
	return err
}

// mapping reads the member table: the dialect, the number of the first placeholder
// and the columns, each a name or a name with a type.
func (b *body) mapping() (m residual.Mapping, dialect residual.Dialect, first int, err error) {
	if b.table == nil {
		return m, "", 0, invalid("table is missing: it maps the id, attributes and parents of the resource to columns")
	}
	first = 1
	for name, v := range b.table {
		switch name {
		case "dialect":
			text, _ := v.(string)
			if dialect = residual.Dialect(text); dialect != residual.PostgreSQL && dialect != residual.SQLite && dialect != residual.MySQL {
				return m, "", 0, invalid("table.dialect must be postgresql, sqlite or mysql; leave it out for the tree alone")
			}
		case "first_parameter":
			n, whole := wholeNumber(v)
			if first = n; !whole || n < 1 || n > 60_000 {
				return m, "", 0, invalid("table.first_parameter must be a whole number from 1 to 60000")
			}
		case "id":
			if m.ID, err = column(v, "table.id"); err != nil {
				return m, "", 0, err
			}
		case "attributes":
			if m.Attributes, err = mapped(v, "table.attributes"); err != nil {
				return m, "", 0, err
			}
		case "parents":
			if m.Parents, err = mapped(v, "table.parents"); err != nil {
				return m, "", 0, err
			}
		default:
			return m, "", 0, invalid("table has the members dialect, first_parameter, id, attributes and parents, and no others")
		}
	}
	if m.ID.Name == "" {
		return m, "", 0, invalid("table.id is missing: the column that holds the id of the resource")
	}
	if err := m.Check(); err != nil {
		return m, "", 0, invalid("%s", err.Error())
	}
	return m, dialect, first, nil
}

func mapped(v any, what string) (map[string]residual.Column, error) {
	sent, ok := v.(map[string]any)
	if !ok {
		return nil, invalid("%s must be an object", what)
	}
	out := make(map[string]residual.Column, len(sent))
	for name, v := range sent {
		c, err := column(v, what+"."+name)
		if err != nil {
			return nil, err
		}
		out[name] = c
	}
	return out, nil
}

func column(v any, what string) (residual.Column, error) {
	switch v := v.(type) {
	case string:
		return residual.Column{Name: v}, nil
	case map[string]any:
		name, ok := v["column"].(string)
		kind, typed := v["type"].(string)
		if ok && (typed || v["type"] == nil) {
			return residual.Column{Name: name, Type: residual.Type(kind)}, nil
		}
	}
	return residual.Column{}, invalid(`%s must be the name of a column, or {"column", "type"}`, what)
}
