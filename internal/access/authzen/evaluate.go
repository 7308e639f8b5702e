package authzen

import (
	"net/http"
	"slices"

	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/web"
)

// The ways to ask many questions at once (AuthZEN 1.0, section 7.1.2.1).
const (
	executeAll          = "execute_all"
	denyOnFirstDeny     = "deny_on_first_deny"
	permitOnFirstPermit = "permit_on_first_permit"
)

// decision is what is answered to one question. The zero value denies.
type decision struct {
	id        string
	answer    policy.Answer
	problem   string // what is wrong with the question, or why it was not asked
	status    int    // of the problem; 0: the question is in order, its circumstances are not
	stale     bool   // what was known was old, and the action may be decided by it all the same
	elsewhere string // the revision of whoever answered instead, "" if nobody did
}

// evaluation answers one question. A no is a 200.
func (s *Server) evaluation(w http.ResponseWriter, r *http.Request) error {
	q, err := s.admit(w, r, RateAsk, maxOne)
	if err != nil {
		return err
	}
	defer s.release(q)
	return s.one(w, q)
}

func (s *Server) one(w http.ResponseWriter, q *request) error {
	if p := q.body.problem(nothing); p != "" {
		return invalid("%s", p)
	}
	if q.body.token != "" {
		s.vouch(q, q.body.token)
	}
	p := &q.single
	if err := s.prepare(q, &q.body.asked, p); err != nil {
		return err
	}
	if err := s.open(q, &p.Question, false); err != nil {
		return err
	}
	d := s.decide(q, p)
	s.write(w, q, d.append(q.paper(), q))
	return nil
}

// evaluations answers many questions on one state, in their order.
func (s *Server) evaluations(w http.ResponseWriter, r *http.Request) error {
	q, err := s.admit(w, r, RateAsk, maxMany)
	if err != nil {
		return err
	}
	defer s.release(q)
	items := q.body.items
	if len(items) == 0 {
		return s.one(w, q) // section 7.1
	}
	// All tokens are read first: the state must be as new as each.
	if q.body.token != "" {
		s.vouch(q, q.body.token)
	}
	for i := range items {
		if token := items[i].token; token != "" {
			s.vouch(q, token)
		}
	}
	if err := s.open(q, nil, true); err != nil {
		return err
	}
	b := append(q.paper(), `{"evaluations":[`...)
	for i := range items {
		d, err := s.item(q, &items[i])
		if err != nil {
			return err
		}
		if i > 0 {
			b = append(b, ',')
		}
		if b = d.append(b, q); i == 0 {
			b = slices.Grow(b, len(b)*len(items)) // most say as much
		}
		if d.answer.Allowed && q.body.semantic == permitOnFirstPermit || !d.answer.Allowed && q.body.semantic == denyOnFirstDeny {
			break
		}
	}
	s.write(w, q, append(b, "]}"...))
	return nil
}

// item answers one of many questions.
func (s *Server) item(q *request, a *asked) (d decision, err error) {
	sharing := a.shares()
	a.inherit(&q.body.asked)
	if problem := a.problem(nothing); problem != "" {
		return decision{problem: problem, status: http.StatusBadRequest}, nil
	}
	p := &q.single
	if sharing {
		p = &q.all
	}
	if sharing && p.ready {
		p.about(a)
	} else if err = s.prepare(q, a, p); err != nil {
		return d, err
	} else if sharing {
		p.begin(q)
	}
	if q.apart {
		if err = s.open(q, &p.Question, false); err != nil {
			return d, err
		}
	}
	return s.decide(q, p), nil
}

// prepared is a question that is in order, with what is known of its person.
type prepared struct {
	policy.Question
	vouched *Vouched
	refused string // why it is not asked, "" if it is
	token   string // the access token in it, "" if there is none
	ready   bool
	series  *policy.Series // that it is one of, nil if it is asked by itself
}

func (s *Server) prepare(q *request, a *asked, p *prepared) (err error) {
	*p = prepared{Question: a.question(), token: a.token, ready: true}
	p.At = q.now
	p.vouched, p.refused, err = s.trusted(q, a, &p.Question)
	return err
}

// begin makes the question the first of those that differ from it in nothing but
// the resource.
func (p *prepared) begin(q *request) {
	if q.snapshot != nil && !q.apart && p.refused == "" {
		p.series = policy.Begin(q.snapshot, &p.Question)
	}
}

// about turns the question to the resource of another item.
func (p *prepared) about(a *asked) {
	p.Resource, p.ResourceProperties = a.of(), a.resource.properties
}

func (p *prepared) end() {
	if p.series != nil {
		p.series.End()
	}
}

func (p *prepared) decide(on *policy.Snapshot) policy.Answer {
	if p.series != nil {
		return p.series.Decide(p.Resource, p.ResourceProperties)
	}
	return policy.Decide(on, &p.Question)
}

// decide answers one question, and notes what the answer rests on.
func (s *Server) decide(q *request, p *prepared) decision {
	d := decision{id: q.random.New(journal.Prefix, q.now)}
	switch {
	case p.refused != "":
		d.problem = p.refused
	case q.late != "":
		if q.behind && s.o.Upstream != nil {
			var ok bool
			if d.answer, d.elsewhere, ok = s.o.Upstream(q.Context, &p.Question, p.token, q.min); ok {
				return d // whoever answered writes it down
			}
		}
		d.problem = q.late
	default:
		if d.problem, d.stale = q.fresh(p.Action, p.token); d.problem == "" {
			d.answer = p.decide(q.snapshot)
		}
	}
	s.note(q, &d, p)
	return d
}

func (s *Server) note(q *request, d *decision, p *prepared) {
	s.o.Note(q.realm, q.note(d, journal.Evaluation, &p.Question, p.vouched))
}

func (s *Server) noteSearch(q *request, d *decision, kind string, p *policy.Question, v *Vouched, results int) {
	e := q.note(d, kind, p, v)
	e.Results = results
	s.o.Note(q.realm, e)
}

// note is what is written down of a decision, until the next.
func (q *request) note(d *decision, kind string, p *policy.Question, v *Vouched) *journal.Entry {
	e := &q.noted
	*e = journal.Entry{ID: d.id, At: q.now, Kind: kind, Question: *p, Answer: d.answer, Revision: q.revision, Refused: d.problem,
		Client: q.caller.Client, Principal: q.caller.Principal, CallerToken: q.caller.Token, Request: q.id}
	if v != nil {
		e.Token, e.Grant, e.Session, e.Application = v.Token, v.Grant, v.Session, v.Client
	}
	return e
}

// paper is what an answer is begun on.
func (q *request) paper() []byte {
	if q.answer != nil {
		return q.answer[:0]
	}
	return make([]byte, 0, ordinaryAnswer/2)
}

func (s *Server) write(w http.ResponseWriter, q *request, b []byte) {
	if q.snapshot != nil {
		w.Header()[headerRevision] = s.told(q.at).header
	}
	web.Body(w, http.StatusOK, b)
}
