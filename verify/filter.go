package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Column says where something lies in a table of one's own: a name, or schema,
// table or alias and name with dots between. Type is text, integer, uuid, boolean,
// epoch_s or epoch_ms; empty means what fits the schema of the policies.
type Column struct {
	Name string
	Type string
}

// Table maps what policies ask about a type of resource to columns.
type Table struct {
	Dialect    string            // postgresql, sqlite or mysql
	ID         Column            // the resource's id
	Attributes map[string]Column // by the attribute
	Parents    map[string]Column // by the type of the parent; the column holds its id
	First      int               // number of the first placeholder in PostgreSQL; 0: 1
}

// Filter is a condition on rows: exactly those of which a decision would say yes.
// The zero value, and whatever comes with an error, is no condition: do not query.
type Filter struct {
	Decision string          // all, none or some
	SQL      string          // stands by itself behind WHERE or AND
	Args     []any           // strings and int64
	Tree     json.RawMessage // the same, for what is not SQL
	ID       string
	Revision string
	StepUp   *SignedIn // when none: with such a sign-in there may be some
}

// ErrNotExpressible says that a policy cannot be written as a condition on rows.
// It is an ErrUndecided.
var ErrNotExpressible = errors.New("a policy cannot be written as a condition on rows")

// Filter asks which rows of a table the subject may do the action to. The id and
// the properties of q.Resource are not sent: the rows hold them.
func (d *Decisions) Filter(ctx context.Context, q Question, t Table) (Filter, error) {
	body := struct {
		wireQuestion
		Resource map[string]string `json:"resource"`
		Table    wireTable         `json:"table"`
	}{q.wire(), map[string]string{"type": q.Resource.Type}, t.wire()}
	var got struct {
		wireDecision
		Decision   string          `json:"decision"`
		SQL        string          `json:"sql"`
		Parameters json.RawMessage `json:"parameters"`
		Condition  json.RawMessage `json:"condition"`
	}
	if err := d.post(ctx, "/residual", q.MinRevision, body, &got); err != nil {
		if strings.Contains(err.Error(), `"not_expressible"`) {
			return Filter{}, fmt.Errorf("%w: %w", ErrNotExpressible, err)
		}
		return Filter{}, err
	}
	f := Filter{Decision: got.Decision, SQL: got.SQL, Tree: got.Condition, ID: got.Context.ID, Revision: got.Context.Revision}
	if s := got.Context.StepUp; s != nil {
		f.StepUp = &SignedIn{ACR: strings.Fields(s.ACR), Within: time.Duration(s.MaxAge) * time.Second}
	}
	var err error
	if f.Args, err = arguments(got.Parameters); err != nil || f.SQL == "" || f.Decision != "all" && f.Decision != "none" && f.Decision != "some" {
		return Filter{}, fmt.Errorf("%w: the answer is no filter", ErrUndecided)
	}
	return f, nil
}

// arguments keeps whole numbers whole.
func arguments(text json.RawMessage) ([]any, error) {
	if len(text) == 0 {
		return nil, nil
	}
	r := json.NewDecoder(bytes.NewReader(text))
	r.UseNumber()
	var all []any
	if err := r.Decode(&all); err != nil {
		return nil, err
	}
	for i, v := range all {
		switch v := v.(type) {
		case json.Number:
			n, err := strconv.ParseInt(v.String(), 10, 64)
			if err != nil {
				return nil, err
			}
			all[i] = n
		case string:
		default:
			return nil, fmt.Errorf("a parameter is %T", v)
		}
	}
	return all, nil
}

type wireTable struct {
	Dialect    string                `json:"dialect"`
	ID         wireColumn            `json:"id"`
	Attributes map[string]wireColumn `json:"attributes,omitempty"`
	Parents    map[string]wireColumn `json:"parents,omitempty"`
	First      int                   `json:"first_parameter,omitempty"`
}

type wireColumn struct {
	Column string `json:"column"`
	Type   string `json:"type,omitempty"`
}

func (t Table) wire() wireTable {
	columns := func(m map[string]Column) map[string]wireColumn {
		out := make(map[string]wireColumn, len(m))
		for name, c := range m {
			out[name] = wireColumn{c.Name, c.Type}
		}
		return out
	}
	return wireTable{t.Dialect, wireColumn{t.ID.Name, t.ID.Type}, columns(t.Attributes), columns(t.Parents), t.First}
}
