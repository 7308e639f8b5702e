// Package edge is the door for edges: nodes beside applications that hold a
// realm's facts and policies and decide by themselves. It serves one ordered,
// hash-chained stream of changes with signed heads, whole snapshots in pieces for
// newcomers, and takes in the decisions that edges made.
//
// A line is the stream of a realm, or of a slice of it, as this node makes it. Its
// frames are made once for all who follow. Whoever comes from another node, or
// from before a restart, is told what may have changed since its revision: the log
// says of whom something changed, and the snapshot says what is known of them now.
package edge

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/feed"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

// Scope is what a client must be allowed, or an access token have, to be an edge,
// and Path, behind the issuer, where edges come to.
const (
	Scope = "cardea:edge"
	Path  = "/access/v1/edge"
)

// Log is what the door needs of *audit.Log.
type Log interface {
	Follow(name string, apply func(audit.Record), reset func())
	Live() error
	Applied() audit.Position
	Replay(ctx context.Context, realm string, after audit.Position, fn func(audit.Record) error) (audit.Position, error)
}

// Touch names the entities that an event changes something about.
type Touch struct {
	Seen     []graph.Entity // their attributes, or what they are related to
	Dropped  []graph.Entity // they ended, with all that mentions them
	Policies bool           // other policies count
	Unknown  bool           // it cannot be told: edges need everything anew
}

func (t Touch) nothing() bool { return len(t.Seen)+len(t.Dropped) == 0 && !t.Policies }

// addTo adds them to those of whom something changed: true for who was dropped.
func (t Touch) addTo(seen map[graph.Entity]bool) {
	for _, e := range t.Seen {
		if !seen[e] {
			seen[e] = false
		}
	}
	for _, e := range t.Dropped {
		seen[e] = true
	}
}

// Caller is a client that may be an edge.
type Caller struct {
	Client string
	Still  func(context.Context) error // whether that still holds
}

// Options is what the door is made of.
type Options struct {
	Log Log
	// Snapshot is a realm's state, at least as new as min; nil for a realm without
	// policies. It must be one that this node holds as a whole.
	Snapshot func(ctx context.Context, realm string, min audit.Position) (*policy.Snapshot, audit.Position, error)
	// Touches says what an event is about, the zero value for most.
	Touches func(audit.Record) Touch
	// Signer is the key that signs the heads of a realm.
	Signer func(ctx context.Context, realm string) (*jose.Key, error)
	// Authorize decides whether a request may follow the realm in its context.
	Authorize func(w http.ResponseWriter, r *http.Request) (*Caller, error)
	// AuthorizeUpload is Authorize for a request whose body is something else than
	// a form.
	AuthorizeUpload func(w http.ResponseWriter, r *http.Request) (*Caller, error)
	// Note takes decisions that an edge made, and how many it lost. It reports false
	// if there is no room.
	Note func(rl *realm.Realm, client string, all []*replica.Decision, lost int64) bool
	Now  func() time.Time // the database's time
	// MaxStreams bounds the connections of this node; zero means 10,000.
	MaxStreams int
	Logger     *slog.Logger
}

// The rhythm of a stream, and its bounds.
const (
	headEvery  = 800 * time.Millisecond // a head at least so often
	headGap    = 50 * time.Millisecond  // and at most so often
	stirGap    = 150 * time.Millisecond // how soon one follows what changed no facts
	askAgain   = 10 * time.Second       // how long a credential is believed
	writeLimit = 10 * time.Second       // how long an edge may take to accept what was sent
	factsWait  = 5 * time.Second        // how long is waited for facts

	keepFrames  = 8192
	keepBytes   = 16 << 20 // of a line
	maxLines    = 32       // slices of a realm
	maxJoins    = 16       // snapshots and patches that are sent at once
	maxReplayed = 200_000  // events that are read for a patch; beyond, a snapshot is shorter
)

// Server serves the streams of all realms.
type Server struct {
	o     Options
	joins chan struct{}

	hubs feed.Feeds[*hub]
}

// New returns the door. Make it before the log starts, and after what Snapshot
// rests on, which must hear of each event first.
func New(o Options) *Server {
	if o.MaxStreams == 0 {
		o.MaxStreams = 10_000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, joins: make(chan struct{}, maxJoins)}
	s.hubs.Init(o.MaxStreams)
	o.Log.Follow("edge", s.apply, s.hubs.DropAll) // a reset: the log cannot say what was missed
	return s
}

// Close ends every stream and waits for what this package started.
func (s *Server) Close() { s.hubs.Close() }

// apply hears every event of the log, in order, on one goroutine.
func (s *Server) apply(r audit.Record) {
	name := r.Realm
	if r.Action == "realm.delete" {
		name = r.Target
	}
	h := s.hubs.Of(name)
	if h == nil {
		return
	}
	// A realm that changed may have another issuer, or be gone: whoever follows
	// must come back and be asked who they are.
	if strings.HasPrefix(r.Action, "realm.") {
		s.hubs.Drop(h)
		return
	}
	t := s.o.Touches(r)
	if t.Unknown {
		s.hubs.Drop(h)
		return
	}
	h.note(t, r.Position)
}
