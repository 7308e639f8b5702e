package authzen

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// mostWork is how many candidates are judged for one page, fewer where the question
// is so long that each takes more. A page that ends because of it says so, and where
// to go on.
const (
	mostWork  = 50_000
	freeBytes = 1 << 10 // of a question
)

func (q *request) work() int {
	return min(mostWork, mostWork*freeBytes/max(q.body.asked.size()-len(q.body.token), 1))
}

// search answers who, for what or which: exactly those for whom the same
// question would be answered with a yes.
func (s *Server) search(open sought) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		q, err := s.admit(w, r, RateSearch, maxOne)
		if err != nil {
			return err
		}
		if p := q.body.problem(open); p != "" {
			return invalid("%s", p)
		}
		p := q.body.question()
		switch p.At = q.now; open { // what is sought is ignored if it was sent (section 8.4.1)
		case subjects:
			p.Subject.ID = ""
		case resources:
			p.Resource.ID = ""
		case actions:
			p.Action, p.ActionProperties = "", nil
		}
		place, err := q.place(open, &p)
		if err != nil {
			return err
		}
		at := cursor{Limit: min(q.body.page.limit, policy.MaxPage)}
		if q.body.page.token != "" {
			if at, err = s.unseal(q.body.page.token, place); err != nil {
				return err
			}
			if q.body.page.limit != 0 && min(q.body.page.limit, policy.MaxPage) != at.Limit {
				return invalid("page.limit must stay as it was on the first page")
			}
		}
		if q.body.token != "" {
			s.vouch(q, q.body.token)
		}
		if err := s.open(q, nil, s.o.Search != nil); err != nil {
			return err
		}
		f, err := s.find(q, open, &p, at)
		if err != nil {
			return err
		}
		next := ""
		if f.next != "" {
			if next, err = s.seal(cursor{f.next, at.Limit}, place); err != nil {
				return err
			}
		}
		s.write(w, q, f.append(make([]byte, 0, 128+64*len(f.entities)+32*len(f.names)), q, next))
		return nil
	}
}

// found is a page of results.
type found struct {
	id       string
	entities []policy.Entity
	names    []string
	next     string
	partial  bool
	stale    bool   // what was known was old
	reason   string // why nothing can be found
}

func (s *Server) find(q *request, open sought, p *policy.Question, at cursor) (*found, error) {
	f := &found{id: id.New(journal.Prefix, q.now)}
	var v *Vouched
	var refused string
	var err error
	if open == subjects {
		// Nobody in particular is asked about, so no token can vouch for them; and
		// one person may not ask about all others.
		if refused = "an access token in the question is of one subject, and this asks about all"; q.body.token == "" {
			refused = ""
		}
		if q.caller.Person != nil {
			return nil, fault.New(fault.Forbidden, "own_access_only", "with a person's token, only that person's access can be asked about")
		}
	} else if v, refused, err = s.trusted(q, &q.body.asked, p); err != nil {
		return nil, err
	}
	kind := [...]string{subjects: journal.SearchSubject, resources: journal.SearchResource, actions: journal.SearchAction}[open]
	if refused == "" {
		refused = q.late
	}
	if refused == "" && open != actions {
		refused, f.stale = q.fresh(p.Action, q.body.token)
	}
	if f.reason = refused; refused == "" {
		page := policy.Page{After: at.After, Size: at.Limit, Work: q.work()}
		if q.apart {
			err = s.askApart(q, f, kind, p, page)
		} else {
			err = f.ask(q.snapshot, open, p, page)
		}
		if err != nil {
			return nil, err
		}
	}
	// Each action has an age of its own that facts may have.
	f.names = slices.DeleteFunc(f.names, func(action string) bool {
		late, stale := q.fresh(action, q.body.token)
		f.stale = f.stale || stale
		return late != ""
	})
	d := decision{id: f.id, problem: refused}
	d.answer.Allowed = len(f.entities)+len(f.names) > 0
	if q.snapshot != nil {
		d.answer.Revision, d.answer.PolicyHash = q.snapshot.Revision(), q.snapshot.Set().Hash()
	}
	s.noteSearch(q, &d, kind, p, v, len(f.entities)+len(f.names))
	return f, nil
}

func (f *found) ask(snapshot *policy.Snapshot, open sought, p *policy.Question, page policy.Page) (err error) {
	var got policy.Found
	switch open {
	case subjects:
		got, err = policy.Subjects(snapshot, p, page)
	case resources:
		got, err = policy.Resources(snapshot, p, page)
	default:
		f.names, got, err = policy.Actions(snapshot, p, page)
	}
	return f.take(got, err)
}

// askApart searches a realm of which there is no state for all questions.
func (s *Server) askApart(q *request, f *found, kind string, p *policy.Question, page policy.Page) error {
	got, names, on, at, err := s.o.Search(q.Context, q.realm.Name, kind, p, page)
	f.names, q.snapshot, q.at, q.revision = names, on, at, at.String()
	if err == nil && on == nil {
		got.Reason = "the realm has no policies"
	}
	return f.take(got, err)
}

func (f *found) take(got policy.Found, err error) error {
	if errors.Is(err, policy.ErrCursor) {
		return invalid("page.token is not of this question, caller and realm; ask again without one")
	}
	f.entities, f.next, f.partial, f.reason = got.Entities, got.Next, got.Partial, got.Reason
	return err
}

// append writes the page, the part that says how much there is first.
func (f *found) append(b []byte, q *request, next string) []byte {
	b = quote(append(b, `{"page":{"next_token":`...), next)
	b = strconv.AppendInt(append(b, `,"count":`...), int64(len(f.entities)+len(f.names)), 10)
	b = append(b, `},"context":{`...)
	start := len(b)
	b = member(b, start, "id", f.id)
	if q.snapshot != nil {
		b = member(b, start, "revision", q.revision)
	}
	if f.stale {
		b = append(name(b, start, "stale"), "true"...)
	}
	if f.partial {
		b = append(name(b, start, "partial"), "true"...)
	}
	if f.reason != "" && q.realm.Settings.DecisionDetail != realm.DetailNone {
		b = member(b, start, "reason", f.reason)
	}
	b = append(b, `},"results":[`...)
	for i, e := range f.entities {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendEntity(b, e)
	}
	for i, n := range f.names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(quote(append(b, `{"name":`...), n), '}')
	}
	return append(b, "]}"...)
}
