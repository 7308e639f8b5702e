// Package feed owns what the endless streams of a node have in common: a feed for
// each realm that somebody follows, which is forgotten a while after the last one
// left; frames that are made once and read by all, each at its own pace; and sending
// them until something ends the stream. What the frames say is their owner's.
package feed

import (
	"context"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
)

// forget is how long the past of a feed is kept when nobody follows it.
const forget = time.Minute

// Feed is the stream of a realm. Embed it.
type Feed struct {
	// Realm is whose it is, and Live ends when the feed does.
	Realm string
	Live  context.Context

	stop context.CancelFunc

	followers int // guarded, with idle, by Feeds.mu
	idle      time.Duration
}

// New returns the feed of a realm.
func New(realm string) *Feed {
	f := &Feed{Realm: realm}
	f.Live, f.stop = context.WithCancel(context.Background())
	return f
}

// Stop ends the feed: whoever follows must start over.
func (f *Feed) Stop() { f.stop() }

func (f *Feed) feed() *Feed { return f }

// Feeds are those of all realms, as one node makes them.
type Feeds[F interface {
	feed() *Feed
	comparable
	Run() // makes frames until Live ends or Forgotten says so
}] struct {
	most int

	mu      sync.Mutex
	all     map[string]F
	streams int
	closed  bool
	wg      sync.WaitGroup
}

// Init says how many streams there may be at once. Call it first.
func (s *Feeds[F]) Init(most int) { s.most, s.all = most, map[string]F{} }

// Of returns the feed of a realm, the zero value if nobody followed it lately.
func (s *Feeds[F]) Of(realm string) F {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[realm]
}

// Join counts one more who follows a realm's feed, until Leave; first says that
// there was nobody. A feed that there is not yet is made and started: an event whose
// Of comes later finds it, and one whose Of came earlier was there before make.
func (s *Feeds[F]) Join(realm string, make func() F) (f F, first bool, err error) {
	var none F
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.streams >= s.most {
		return none, false, Unavailable("this node takes no further streams")
	}
	f, ok := s.all[realm]
	if ok && f.feed().followers >= s.most-s.most/4 {
		return none, false, Unavailable("this node takes no further streams of this realm") // others need theirs
	}
	if !ok {
		f = make()
		s.all[realm] = f
		s.wg.Go(f.Run)
	}
	f.feed().followers++
	s.streams++
	return f, f.feed().followers == 1, nil
}

// Leave ends what Join began.
func (s *Feeds[F]) Leave(f F) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.feed().followers--
	s.streams--
}

// Streams is how many follow now.
func (s *Feeds[F]) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams
}

// Alone tells whether nobody follows a feed. Run calls it after every round, with
// how much time the round stands for; forgotten says that the feed has ended,
// because nobody came for long.
func (s *Feeds[F]) Alone(f F, beat time.Duration) (alone, forgotten bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := f.feed()
	if one.followers > 0 {
		one.idle = 0
		return false, false
	}
	if one.idle += beat; one.idle < forget {
		return true, false
	}
	s.drop(f)
	return true, true
}

// Drop ends a feed.
func (s *Feeds[F]) Drop(f F) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(f)
}

func (s *Feeds[F]) drop(f F) {
	one := f.feed()
	one.Stop()
	if s.all[one.Realm] == f {
		delete(s.all, one.Realm)
	}
}

// DropAll ends every feed.
func (s *Feeds[F]) DropAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.all {
		s.drop(f)
	}
}

// Close ends every feed, for good, and waits for what was started.
func (s *Feeds[F]) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.DropAll()
	s.wg.Wait()
}

// Unavailable refuses a stream for now.
func Unavailable(why string) error {
	return fault.New(fault.Unavailable, "stream_unavailable", "%s", why).WithRetry(time.Second)
}
