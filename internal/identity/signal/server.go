package signal

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/feed"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/statuslist"
)

// Log is what the door needs of *audit.Log.
type Log interface {
	Follow(name string, apply func(audit.Record), reset func())
	Live() error
	Applied() audit.Position
}

// Keys is what the door needs of *keyring.Ring.
type Keys interface {
	Signer(ctx context.Context, realm, alg string) (*jose.Key, error)
}

// Index holds what is dead, in memory.
type Index interface {
	// Snapshot returns all that is dead in a realm. State.Pos is the position of
	// the realm's last record in it, or later. The bits are copies.
	Snapshot(ctx context.Context, realm string) (statuslist.State, error)
	// CutoffEnds returns what says from when no token can fall under a cut-off,
	// as long as the realm is not changed.
	CutoffEnds(ctx context.Context, realm string) (func(kind string, at time.Time) time.Time, error)
	// ListBits returns one list, or fault.NotFound.
	ListBits(ctx context.Context, realm, listID string) (statuslist.ListState, error)
}

// Options is what the door is made of.
type Options struct {
	Log   Log
	Keys  Keys
	Index Index
	// Authorize decides whether a request, a POST by its form, may follow the
	// stream of the realm in its context. It returns the question whether that
	// still holds, which is asked again while the stream lasts.
	Authorize func(w http.ResponseWriter, r *http.Request) (still func(context.Context) error, err error)
	Now       func() time.Time     // the database's time
	Elapsed   func() time.Duration // a clock that never goes back, such as db.Boottime
	Logger    *slog.Logger
	// MaxStreams bounds the connections of this node; zero means 10,000.
	MaxStreams int
}

// The rhythm of a stream.
const (
	headEvery    = 800 * time.Millisecond // a head at least so often, below the promised second
	headGap      = 50 * time.Millisecond  // and at most so often
	snapshotLife = time.Second            // one signed snapshot serves all that connect meanwhile
	askAgain     = 10 * time.Second       // how long a credential is believed
	writeLimit   = 10 * time.Second       // how long a client may take to accept what was sent
	indexWait    = 2 * time.Second        // how long a snapshot waits for the index
)

// What a realm's stream remembers for those who reconnect or fall behind.
const (
	keepFrames = 4096
	keepBytes  = 8 << 20
)

// Server serves status lists and streams of all realms.
type Server struct {
	o     Options
	lists *cache.Cache[*signedList]
	enc   sync.Pool // of *statuslist.Encoder, which keep a megabyte each

	hubs  feed.Feeds[*hub]
	seen  atomic.Pointer[statuslist.Position] // of the last record; nil if that cannot be told
	again time.Duration                       // how long a credential is believed
}

// New returns the door. It follows the log, so make it before the log starts
// and after the Index, which must hear of each record first.
func New(o Options) *Server {
	if o.MaxStreams == 0 {
		o.MaxStreams = 10_000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, again: askAgain}
	s.hubs.Init(o.MaxStreams)
	s.enc.New = func() any { return new(statuslist.Encoder) }
	s.lists = cache.New("signed status lists", 64<<20, 64<<20, func(l *signedList) int { return l.bytes })
	o.Log.Follow("signal", s.apply, s.reset)
	return s
}

// Close ends every stream and waits for what this package started.
func (s *Server) Close() { s.hubs.Close() }

// Streams returns how many connections follow now.
func (s *Server) Streams() int { return s.hubs.Streams() }

// apply hears every record of the log, in order, on one goroutine.
func (s *Server) apply(r audit.Record) {
	at := statuslist.Position(r.Position)
	s.seen.Store(&at)
	h := s.hubs.Of(r.Realm)
	if h == nil {
		return
	}
	h.add(r)
	// A realm that changed may have another issuer or be gone: whoever follows
	// must come back and be asked who they are.
	if strings.HasPrefix(r.Action, "realm.") {
		s.hubs.Drop(h)
	}
}

// reset is told that the log cannot say what was missed: every stream starts over.
func (s *Server) reset() {
	s.seen.Store(nil)
	s.hubs.DropAll()
	s.lists.DropAll()
}

// join returns the hub of a realm, and counts one more listener in until it is left.
func (s *Server) join(rl *realm.Realm) (*hub, error) {
	h, first, err := s.hubs.Join(rl.Name, func() *hub {
		// Everything up to Applied went through apply before, as did seen: both
		// are in the index by the time this hub's first snapshot is made.
		start := statuslist.Position(s.o.Log.Applied())
		if seen := s.seen.Load(); seen != nil {
			start = later(start, *seen)
		}
		return newHub(s, rl.Name, rl.Issuer, start)
	})
	if first {
		h.headDue() // whoever comes back to a silent stream need not wait for the next beat
	}
	return h, err
}

// encode makes the lst of a bitmap.
func (s *Server) encode(bits []byte) string {
	e := s.enc.Get().(*statuslist.Encoder)
	defer s.enc.Put(e)
	return e.Encode(bits)
}
