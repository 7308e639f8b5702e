// Package authzen is the door of the decision service: AuthZEN 1.0, the only way
// to ask over HTTP what somebody may do. One question, many at once, and the
// searches for whom, for what and which actions.
//
// It has no rules of its own: package policy decides on the snapshot that it is
// handed, and package journal notes each decision. Who calls, and what a
// person's access token proves, it is told by functions.
package authzen

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// Scope is what an access token needs to ask, and Path, behind the issuer, what
// its audience is.
const (
	Scope = "cardea:decide"
	Path  = "/access/v1"
)

// Caller is whoever asks.
type Caller struct {
	Client    string
	Principal string // on whose behalf, "" for a client with its own credentials
	Token     string // the id of its access token
	// Minted is the position at which that was minted, zero where there is none. No
	// question is judged on facts that are older.
	Minted audit.Position
	// Person is set where the token is a person's: then questions are about that
	// person only.
	Person *Vouched
}

// key names the caller among those of its realm.
func (c *Caller) key() string { return c.Client + " " + c.Principal }

// Vouched is what a person's access token proves.
type Vouched struct {
	Subject policy.Entity     // who it is about
	Alias   string            // under which id the caller knows them, if under another
	Context policy.Properties // what it proves, by the names of policy.Verified
	Minted  audit.Position
	// Where the token comes from.
	Token, Grant, Session, Client string
}

// Options is what the door is made of.
type Options struct {
	// Authenticate finds out who calls. Its refusals are fault.Unauthenticated,
	// fault.Forbidden and fault.Invalid. w takes headers of the answer.
	Authenticate func(w http.ResponseWriter, r *http.Request, rl *realm.Realm) (Caller, error)
	// Vouch reads an access token that came in a question of by. A token that is
	// no good, or none of the caller's business, is fault.Unauthenticated. by must
	// not be kept.
	Vouch func(ctx context.Context, rl *realm.Realm, by *Caller, token string) (*Vouched, error)
	// Snapshot is a realm's state, at least as new as min; the zero position is
	// whatever is known now. It waits a moment for what is newer; where that does
	// not come, the error has the code CodeRevision. It returns nil for a realm
	// without policies. Where q is not nil the state may be what this one question
	// needs and no more.
	Snapshot func(ctx context.Context, realm string, min audit.Position, q *policy.Question) (*policy.Snapshot, audit.Position, error)
	// Fresh notes how old what is known is, before anything is read of it. What it
	// returns says why an action may not be decided by that, because it is too old, ""
	// if it may; and whether it is stale all the same. token says that an access token
	// is in the question. Nil: what is known is never old.
	Fresh func() func(action string, token bool) (refused string, stale bool)
	// Upstream has a question answered elsewhere that Snapshot has no state for that
	// is new enough. It reports false if it is not. Nil: never.
	Upstream func(ctx context.Context, q *policy.Question, token string, min audit.Position) (a policy.Answer, revision string, ok bool)
	// Search answers a search, of one of the journal's kinds, in a realm of which
	// Snapshot cannot hold everything. names are those of actions.
	Search func(ctx context.Context, realm, kind string, q *policy.Question, p policy.Page) (f policy.Found, names []string, on *policy.Snapshot, at audit.Position, err error)
	// Partial answers which rows somebody may see, in such a realm. The snapshot is nil
	// for a realm without policies.
	Partial func(ctx context.Context, realm string, q *policy.Question, rows policy.Rows) (left policy.Residual, on *policy.Snapshot, at audit.Position, err error)
	// Note writes down a decision. It never waits, and holds nothing of the entry when it
	// returns, since the memory of a question is used again.
	Note func(rl *realm.Realm, e *journal.Entry)
	// Signer is the key that signs a realm's metadata.
	Signer func(ctx context.Context, realm string) (*jose.Key, error)
	// AllowsOrigin says which scripts may read answers.
	AllowsOrigin func(r *http.Request, origin string) bool
	Limiter      *web.Limiter
	Now          func() time.Time // the database's time
	Pages        *secret.Box      // seals page tokens; the same on every node
	Algorithms   []string         // of proofs of possession
}

// CodeRevision is the code of the error that a revision was not reached in time.
const CodeRevision = "revision_unreached"

// CodeToken is the code of a refusal of Options.Vouch that says itself, for the
// caller, why the token cannot be read.
const CodeToken = "token_unread"

// CodeTooMany is the code of the error that there are more facts than are held at
// once: questions and searches are answered all the same, each by itself.
const CodeTooMany = "facts_too_many"

// Rate classes: questions and searches of one caller, and those who are refused,
// by address.
const (
	RateAsk     = "access.ask"
	RateSearch  = "access.search"
	RateRefused = "access.refused"
)

// Server is the door.
type Server struct {
	o         Options
	documents *cache.Cache[*document]
	requests  sync.Pool // of *request
	last      atomic.Pointer[revision]
}

// New returns the door.
func New(o Options) *Server {
	return &Server{o: o, documents: cache.New("decision point metadata", 1<<20, 1<<16, func(d *document) int { return len(d.body) + 256 })}
}

// request is one call of the door.
type request struct {
	context.Context
	realm  *realm.Realm
	caller Caller
	id     string // X-Request-ID
	min    audit.Position
	body   *body
	room   []byte // that bodies are read into
	answer []byte // that answers are put together in, nil where one may be read later

	apart    bool // each question, or the search, gets a state of its own
	snapshot *policy.Snapshot
	at       audit.Position
	revision string // at, as it is told
	late     string // why there is no snapshot that is new enough
	behind   bool   // it is on its way
	now      time.Time
	old      func(action string, token bool) (refused string, stale bool) // nil: nothing is

	vouched map[string]vouching

	// What answering needs memory for.
	random      *id.Source
	noted       journal.Entry
	told        told
	single, all prepared // a question, and those that say nothing but the resource
}

// release has the memory of a request used again. Nobody may hold it any more: what
// is handed to others is the context in it, never q.
func (s *Server) release(q *request) {
	q.all.end()
	q.body.reset()
	*q = request{body: q.body, room: q.room, answer: q.answer, random: q.random}
	s.requests.Put(q)
}

type vouching struct {
	*Vouched
	err error
}

// How long a body and an answer may be to be in memory that is used again.
const (
	ordinaryBody   = 2 << 10
	ordinaryAnswer = 1 << 10
)

// admit is what all questions share: who asks, not too often, in JSON of bounded
// size and shape, on which state.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, class string, most int64) (*request, error) {
	q, _ := s.requests.Get().(*request)
	if q == nil {
		q = &request{body: &body{}, room: make([]byte, ordinaryBody), random: &id.Source{}}
	}
	if r.ProtoMajor != 1 { // HTTP/2 may still read what a reset stream was to send
		q.answer = nil
	} else if q.answer == nil {
		q.answer = make([]byte, 0, ordinaryAnswer)
	}
	q.Context, q.realm, q.now = r.Context(), realm.From(r.Context()), s.o.Now()
	if q.realm == nil {
		return nil, fault.New(fault.NotFound, "not_found", "there is nothing at this address")
	}
	if s.o.Fresh != nil {
		q.old = s.o.Fresh()
	}
	var err error
	if q.id, err = echo(w, r); err != nil {
		return nil, err
	}
	if q.caller, err = s.authenticate(w, r, q.realm); err != nil {
		return nil, err
	}
	q.min = q.caller.Minted
	if s.o.Limiter != nil {
		if wait, ok := s.o.Limiter.Allow(class, web.Names{q.realm.Name, q.caller.Client, q.caller.Principal}); !ok {
			return nil, fault.New(fault.TooMany, "too_many_requests", "too many questions, wait a moment").WithRetry(wait)
		}
	}
	wanted, err := minRevision(r)
	if err != nil {
		return nil, err
	}
	if q.min.Before(wanted) {
		q.min = wanted
	}
	text, err := web.ReadBody(w, r, "application/json", most, q.room)
	if fault.Is(err, fault.TooLarge) {
		return nil, invalid("the body is limited to %d bytes", most)
	}
	if err != nil {
		return nil, err
	}
	if err := q.body.read(text); err != nil {
		return nil, err
	}
	if q.body.wrong != "" {
		return nil, invalid("%s", q.body.wrong)
	}
	return q, nil
}

// authenticate counts those it refuses, by address.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request, rl *realm.Realm) (Caller, error) {
	c, err := s.o.Authenticate(w, r, rl)
	if err == nil {
		web.Note(r.Context(), "client", c.Client)
		return c, nil
	}
	if s.o.Limiter != nil && (fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Forbidden)) {
		if wait, ok := s.o.Limiter.AllowAddr(RateRefused, web.ClientIP(r.Context())); !ok {
			return Caller{}, fault.New(fault.TooMany, "too_many_requests", "too many requests from your network, wait a moment").WithRetry(wait)
		}
	}
	return Caller{}, err
}

// open takes the snapshot on which everything in the request is judged, at least
// as new as the caller asks and as every token in it. p is the question where there
// is one only; apart says that what is asked can do without one for all.
func (s *Server) open(q *request, p *policy.Question, apart bool) error {
	var err error
	q.snapshot, q.at, err = s.o.Snapshot(q.Context, q.realm.Name, q.min, p)
	if apart && fault.Code(err) == CodeTooMany {
		q.apart = true
		return nil
	}
	if fault.Code(err) == CodeRevision {
		q.snapshot, q.late, q.behind = nil, "the revision asked for was not reached in time", true
		return nil
	}
	q.revision = s.told(q.at).text
	if err == nil && q.snapshot == nil {
		q.late = "the realm has no policies"
	}
	return err
}

// revision is a position as it is told: in a body, and as the value of a header.
type revision struct {
	at     audit.Position
	text   string
	header []string // shared by answers
}

// told is how a position is told. One answer after the other tells the same.
func (s *Server) told(at audit.Position) *revision {
	if last := s.last.Load(); last != nil && last.at == at {
		return last
	}
	r := &revision{at: at, text: at.String()}
	r.header = []string{r.text}
	s.last.Store(r)
	return r
}

// fresh says what Options.Fresh noted when the request came.
func (q *request) fresh(action, token string) (refused string, stale bool) {
	if q.old == nil {
		return "", false
	}
	return q.old(action, token != "")
}

// vouch reads the tokens of a question, each once.
func (s *Server) vouch(q *request, token string) vouching {
	if v, known := q.vouched[token]; known {
		return v
	}
	v := vouching{}
	v.Vouched, v.err = s.o.Vouch(q.Context, q.realm, &q.caller, token)
	if q.vouched == nil {
		q.vouched = map[string]vouching{}
	}
	q.vouched[token] = v
	if v.err == nil && q.min.Before(v.Minted) {
		q.min = v.Minted
	}
	return v
}

// trusted puts into a question what is known of its person, and says why it
// cannot be asked, or "".
func (s *Server) trusted(q *request, a *asked, p *policy.Question) (v *Vouched, refused string, err error) {
	switch {
	case a.token != "":
		read := s.vouch(q, a.token)
		if why := (*fault.Error)(nil); errors.As(read.err, &why) && why.Code == CodeToken {
			return nil, why.Detail, nil
		}
		if fault.Is(read.err, fault.Unauthenticated) || fault.Is(read.err, fault.Forbidden) {
			return nil, "the access token in the question is invalid, expired, revoked or not for this caller", nil
		}
		if read.err != nil {
			return nil, "", read.err
		}
		if v = read.Vouched; q.caller.Person != nil && v.Subject != q.caller.Person.Subject {
			return nil, "with a person's token, only that person's access can be asked about", nil
		}
	case q.caller.Person != nil:
		v = q.caller.Person
	default:
		return nil, "", nil
	}
	if refused := p.Vouch(v.Subject, v.Alias, v.Context); refused != "" {
		return nil, refused, nil
	}
	return v, "", nil
}
