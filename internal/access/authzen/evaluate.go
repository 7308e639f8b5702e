package authzen

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/id"
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
	return s.single(w, q)
}

func (s *Server) single(w http.ResponseWriter, q *request) error {
	if p := q.body.problem(nothing); p != "" {
		return invalid("%s", p)
	}
	if q.body.token != "" {
		s.vouch(q, q.body.token)
	}
	var p prepared
	if err := s.prepare(q, &q.body.asked, &p); err != nil {
		return err
	}
	if err := s.open(q, &p.Question, false); err != nil {
		return err
	}
	d := s.decide(q, &p)
	s.write(w, q, d.append(make([]byte, 0, 512), q))
	return nil
}

// evaluations answers many questions on one state, in their order.
func (s *Server) evaluations(w http.ResponseWriter, r *http.Request) error {
	q, err := s.admit(w, r, RateAsk, maxMany)
	if err != nil {
		return err
	}
	if len(q.body.items) == 0 {
		return s.single(w, q) // section 7.1
	}
	// All tokens are read first: the state must be as new as each.
	if q.body.token != "" {
		s.vouch(q, q.body.token)
	}
	for i := range q.body.items {
		if token := q.body.items[i].token; token != "" {
			s.vouch(q, token)
		}
	}
	if err := s.open(q, nil, len(q.body.items) > 0); err != nil {
		return err
	}
	b := append(make([]byte, 0, 256*len(q.body.items)), `{"evaluations":[`...)
	var shared, p prepared // shared is of those who say nothing but the resource
	defer func() { shared.end() }()
	for i := range q.body.items {
		sharing := q.body.items[i].shares()
		item := q.body.items[i].over(&q.body.asked)
		d := decision{problem: item.problem(nothing), status: http.StatusBadRequest}
		if d.problem == "" {
			switch {
			case sharing && shared.ready:
				p = shared.about(&item)
			default:
				if err := s.prepare(q, &item, &p); err != nil {
					return err
				}
				if sharing {
					p.begin(q)
					shared = p
				}
			}
			if q.apart {
				if err := s.open(q, &p.Question, false); err != nil {
					return err
				}
			}
			d = s.decide(q, &p)
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = d.append(b, q)
		if d.answer.Allowed && q.body.semantic == permitOnFirstPermit || !d.answer.Allowed && q.body.semantic == denyOnFirstDeny {
			break
		}
	}
	s.write(w, q, append(b, "]}"...))
	return nil
}

// prepared is a question that is in order, with what is known of its person.
type prepared struct {
	policy.Question
	vouched *Vouched
	refused string // why it is not asked, "" if it is
	size    int    // bytes it was sent in
	token   string // the access token in it, "" if there is none
	ready   bool
	series  *policy.Series // that it is one of, nil if it is asked by itself
}

func (s *Server) prepare(q *request, a *asked, p *prepared) (err error) {
	*p = prepared{Question: a.question(), size: a.size(), token: a.token, ready: true}
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

// about is the same question about the resource of another item.
func (p *prepared) about(a *asked) prepared {
	next := *p
	next.Resource, next.ResourceProperties = a.of(), a.resource.properties
	next.size = a.size()
	return next
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
	d := decision{id: id.New(journal.Prefix, q.now)}
	switch {
	case p.refused != "":
		d.problem = p.refused
	case q.late != "":
		if q.behind && s.o.Upstream != nil {
			var ok bool
			if d.answer, d.elsewhere, ok = s.o.Upstream(q, &p.Question, p.token, q.min); ok {
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
	e := q.entry(d, journal.Evaluation, &p.Question, p.vouched)
	e.Size = p.size
	s.o.Note(q.realm, e)
}

func (s *Server) noteSearch(q *request, d *decision, kind string, p *policy.Question, v *Vouched, results int) {
	e := q.entry(d, kind, p, v)
	e.Results = results
	s.o.Note(q.realm, e)
}

// entry is what is written down of a decision.
func (q *request) entry(d *decision, kind string, p *policy.Question, v *Vouched) *journal.Entry {
	e := &journal.Entry{ID: d.id, At: q.now, Kind: kind, Question: *p, Answer: d.answer, Revision: q.revision, Refused: d.problem,
		Client: q.caller.Client, Principal: q.caller.Principal, CallerToken: q.caller.Token, Request: q.id, Size: q.body.asked.size()}
	if v != nil {
		e.Token, e.Grant, e.Session, e.Application = v.Token, v.Grant, v.Session, v.Client
	}
	return e
}

func (s *Server) write(w http.ResponseWriter, q *request, b []byte) {
	if q.snapshot != nil {
		w.Header()[headerRevision] = []string{q.revision}
	}
	web.Body(w, http.StatusOK, b)
}
