package edge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/verify"
)

// Config is what an edge needs to know. Issuer and Credentials must be set.
type Config struct {
	// Issuer is the issuer URL of the realm.
	Issuer string
	// Credentials are those of a client that may be an edge: it is allowed the
	// scope cardea:edge. To check access tokens it must be a resource server, too.
	Credentials verify.Credentials
	// Types are the types of resources that questions are about. Empty: all.
	Types []string
	// Dir keeps what the edge knows, so that it starts when it is cut off. One edge
	// at a time may use it. Empty: nothing is kept.
	Dir string
	// Audience is what the access tokens in questions must be for. Empty: the edge
	// takes no access tokens.
	Audience string
	// MaxStaleness is how old the last signed sign of life may be before the edge
	// denies. Default 30 s; at least 2 s, since one comes each second.
	MaxStaleness time.Duration
	// Actions says otherwise for some actions.
	Actions map[string]Staleness
	// AskUpstream has the server asked where a question needs a newer revision than
	// the edge has, instead of denying. The client needs the scope cardea:decide.
	AskUpstream bool
	// LogDecisions hands every decision in at the server, from Dir.
	LogDecisions bool
	// MaxLog bounds the decisions that wait in Dir; beyond, the oldest are left out
	// and counted, and the server is told how many. Default 64 MiB, at least 64 KiB.
	MaxLog int64
	// HTTPClient makes all requests, if set; its Timeout is not used. See
	// verify.Transport for what it should be able to do.
	HTTPClient *http.Client
	// OnError, if set, is told why the stream was interrupted. The edge goes on
	// trying by itself.
	OnError func(error)
	// Now replaces the clock in tests.
	Now func() time.Time
}

// Staleness is how old facts may be.
type Staleness struct {
	Max time.Duration
	// Mark allows what the facts allow even when they are older, and marks it in
	// the answer; else it is denied.
	Mark bool
}

const (
	defaultStaleness = 30 * time.Second
	leastStaleness   = 2 * time.Second
	defaultLog       = 64 << 20
)

// Edge holds the facts and policies of a realm. It is safe for concurrent use.
type Edge struct {
	c        Config
	issuer   string
	kept     *store
	tokens   *verify.Verifier  // nil: none are taken
	log      *spool            // nil: none is kept
	upstream *verify.Decisions // nil: the server is not asked
	client   *http.Client
	own      *http.Transport // nil: HTTPClient was set
	patience time.Duration
	keys     *keys

	state atomic.Pointer[replica.State]
	asOf  atomic.Int64 // local time of the last sign of life, nanoseconds; 0: none since the start

	mu      sync.Mutex
	changed chan struct{} // closed when there is another state
	trouble error
	follows bool // a stream is connected and has been joined

	anew   bool        // ask for a snapshot; only the follower's goroutine uses it
	proved atomic.Bool // which tokens are dead has been known since the start
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// Open starts an edge with what Dir keeps, and follows the server from there. It
// does not wait for the server; use Wait for that.
func Open(ctx context.Context, c Config) (*Edge, error) {
	if c.Credentials == nil {
		return nil, errors.New("edge: Credentials are missing: name a client with the scope cardea:edge")
	}
	if c.MaxStaleness == 0 {
		c.MaxStaleness = defaultStaleness
	}
	if c.MaxLog == 0 {
		c.MaxLog = defaultLog
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	for action, s := range c.Actions {
		if s.Max < leastStaleness {
			return nil, fmt.Errorf("edge: the staleness of %s must be at least %s, since a sign of life comes each second", action, leastStaleness)
		}
	}
	if c.MaxStaleness < leastStaleness {
		return nil, fmt.Errorf("edge: MaxStaleness must be at least %s, since a sign of life comes each second", leastStaleness)
	}
	if c.LogDecisions && c.Dir == "" {
		return nil, errors.New("edge: decisions wait in Dir until they are handed in: set it")
	}
	if c.MaxLog < leastLog {
		return nil, fmt.Errorf("edge: MaxLog must be at least %d bytes", leastLog)
	}
	if err := checkIssuer(c.Issuer); err != nil {
		return nil, err
	}
	c.Types = slices.Compact(slices.Sorted(slices.Values(c.Types)))
	if len(c.Types) == 0 {
		c.Types = nil
	}
	e := &Edge{c: c, issuer: c.Issuer, patience: patience, changed: make(chan struct{})}
	e.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if c.HTTPClient != nil {
		e.client.Transport = c.HTTPClient.Transport
	} else {
		e.own = verify.Transport()
		e.client.Transport = e.own
	}
	e.state.Store(replica.Empty())
	if c.Dir != "" {
		kept, s, err := openStore(c.Dir, c.Issuer, c.Types)
		if err != nil {
			return nil, err
		}
		e.kept = kept
		e.state.Store(s)
		e.client.Transport = &remembering{next: e.client.Transport, dir: c.Dir, issuer: c.Issuer}
		if s.At > 0 {
			e.asOf.Store(min(s.At*int64(time.Millisecond), c.Now().UnixNano()))
		}
	}
	e.keys = &keys{e: e}
	if c.LogDecisions {
		spool, err := openSpool(c.Dir, c.MaxLog)
		if err != nil {
			e.kept.close()
			return nil, err
		}
		e.log = spool
	}
	if c.AskUpstream {
		var err error
		if e.upstream, err = verify.NewDecisions(verify.DecisionsConfig{Issuer: c.Issuer, Credentials: c.Credentials, HTTPClient: e.client}); err != nil {
			return nil, errors.Join(err, e.kept.close(), e.log.close())
		}
	}
	ctx, e.cancel = context.WithCancel(ctx)
	if c.Audience != "" {
		var err error
		e.tokens, err = verify.New(ctx, verify.Config{Issuer: c.Issuer, Audience: c.Audience, Credentials: c.Credentials, Mode: verify.Accept,
			HTTPClient: e.client, OnError: c.OnError, Now: c.Now})
		if err != nil {
			e.cancel()
			e.kept.close()
			e.log.close()
			return nil, err
		}
	}
	e.wg.Go(func() { e.follow(ctx) })
	if e.log != nil {
		e.wg.Go(func() { e.log.write(ctx) })
		e.wg.Go(func() { e.upload(ctx) })
	}
	return e, nil
}

// Close ends the edge and writes down what it knows.
func (e *Edge) Close() error {
	e.cancel()
	e.wg.Wait()
	if e.tokens != nil {
		e.tokens.Close()
	}
	if e.own != nil {
		e.own.CloseIdleConnections()
	}
	return errors.Join(e.log.close(), e.kept.close())
}

// Wait returns when the edge knows what the server knows now, or when ctx ends.
func (e *Edge) Wait(ctx context.Context) error {
	for {
		e.mu.Lock()
		ready, changed := e.follows, e.changed
		e.mu.Unlock()
		if ready {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			e.mu.Lock()
			defer e.mu.Unlock()
			return errors.Join(ctx.Err(), e.trouble)
		}
	}
	if e.tokens != nil {
		return e.tokens.Wait(ctx)
	}
	return nil
}

// Health is what a health check may show.
type Health struct {
	Ready     bool    `json:"ready"`     // there are facts to decide on
	Connected bool    `json:"connected"` // the stream runs
	Revision  string  `json:"revision"`
	Age       float64 `json:"age"` // seconds since the last sign of life; -1: never
	Stale     bool    `json:"stale"`
	Policies  string  `json:"policies"` // their hash
	Entities  int     `json:"entities"`
	Tuples    int     `json:"tuples"`
	Waiting   int64   `json:"decisions_waiting_bytes"` // decisions that are not handed in yet
	Lost      int64   `json:"decisions_lost"`          // and those that there was no room for
	Error     string  `json:"error,omitempty"`
}

// Health says how the edge fares.
func (e *Edge) Health() Health {
	s := e.state.Load()
	e.mu.Lock()
	h := Health{Connected: e.follows, Revision: replica.Text(s.Revision), Ready: s.Revision > 0}
	if e.trouble != nil {
		h.Error = e.trouble.Error()
	}
	e.mu.Unlock()
	size := s.Graph.Size()
	h.Entities, h.Tuples = size.Entities, size.Tuples
	if s.Snapshot != nil {
		h.Policies = s.Snapshot.Set().Hash()
	}
	age, known := age(e.asOf.Load(), e.c.Now())
	h.Age, h.Stale = age.Seconds(), !known || age > e.c.MaxStaleness
	if !known {
		h.Age = -1
	}
	h.Waiting, h.Lost = e.log.state()
	return h
}

// Digest is a hash of all facts and policies that the edge holds, with their
// revision: two edges of the same slice at the same revision have the same.
func (e *Edge) Digest() (revision, digest string, err error) {
	s := e.state.Load()
	c, err := replica.Digest(s.Snapshot)
	if err != nil {
		return "", "", err
	}
	text, err := c.MarshalText()
	return replica.Text(s.Revision), string(text), err
}

// age is how long ago a sign of life was made. A clock that was set back
// makes it no younger than it is: it is then not known.
func age(at int64, now time.Time) (time.Duration, bool) {
	if at == 0 {
		return 0, false
	}
	since := now.Sub(time.Unix(0, at))
	return max(since, 0), since >= -time.Second
}

// Age is how long ago the last signed sign of life was made, a day where that is
// not known.
func (e *Edge) Age() time.Duration {
	age, known := age(e.asOf.Load(), e.c.Now())
	if !known {
		return 24 * time.Hour
	}
	return age
}

// dress gives snapshots what does not come on the stream: the gate of the server.
func dress(s *policy.Snapshot) *policy.Snapshot { return s.WithGate(replica.Gate) }
