package signal

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/statuslist"
)

// standing is a log, a ring and an index in which nothing happens by itself.
type standing struct {
	apply func(audit.Record)
	key   *jose.Key
	live  func(asked bool) error // asked is whether somebody asked what is applied; nil: always
	asked atomic.Bool
}

func (l *standing) Follow(_ string, apply func(audit.Record), _ func())       { l.apply = apply }
func (l *standing) Signer(context.Context, string, string) (*jose.Key, error) { return l.key, nil }
func (l *standing) Live() error {
	if l.live == nil {
		return nil
	}
	return l.live(l.asked.Load())
}
func (l *standing) Applied() audit.Position {
	l.asked.Store(true)
	return audit.Position{}
}
func (l *standing) Snapshot(context.Context, string) (statuslist.State, error) {
	return statuslist.State{}, nil
}
func (l *standing) CutoffEnds(context.Context, string) (func(string, time.Time) time.Time, error) {
	return func(string, time.Time) time.Time { return time.Unix(1, 0) }, nil
}
func (l *standing) ListBits(context.Context, string, string) (s statuslist.ListState, err error) {
	return s, errors.New("no list")
}

func (l *standing) kill(seq int64) {
	l.apply(audit.Record{Realm: "test", Position: audit.Position{Epoch: 1, Seq: seq},
		Event: audit.Event{Deaths: []audit.Bit{{List: "slt_1", Index: seq}}}})
}

func newStanding(t *testing.T) (*standing, *Server) {
	t.Helper()
	key, err := jose.Generate("key_1", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	l := &standing{key: key}
	s := New(Options{Log: l, Keys: l, Index: l, Authorize: anybody,
		Now: time.Now, Elapsed: func() time.Duration { return 0 }, MaxStreams: 2})
	t.Cleanup(s.Close)
	return l, s
}

func anybody(http.ResponseWriter, *http.Request) (func(context.Context) error, error) {
	return func(context.Context) error { return nil }, nil
}

// stuck is a client that takes nothing until it is let go.
type stuck struct {
	*httptest.ResponseRecorder
	writing, free chan struct{}
}

func (w *stuck) Write(b []byte) (int, error) {
	select {
	case w.writing <- struct{}{}:
		<-w.free
	default:
	}
	return w.ResponseRecorder.Write(b)
}

func (w *stuck) SetReadDeadline(time.Time) error  { return nil }
func (w *stuck) SetWriteDeadline(time.Time) error { return nil }

// Spine 10: the queue of a verifier is bounded; who falls off its end is cut,
// and the log never waits. Let Pump go on when After says no to see it fail.
func TestASlowClientIsCut(t *testing.T) {
	l, s := newStanding(t)
	w := &stuck{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	r := httptest.NewRequest("GET", statuslist.StreamPath, nil)
	r = r.WithContext(realm.With(r.Context(), &realm.Realm{Name: "test", Issuer: "https://id.example.com"}))
	ended := make(chan error, 1)
	go func() { ended <- s.stream(w, r) }()
	<-w.writing // it hangs in its first write
	for seq := range int64(keepFrames + 100) {
		l.kill(seq + 1)
	}
	close(w.free)
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the stream ends with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a client that missed something is still served")
	}
	if s.Streams() != 0 {
		t.Error("a stream that ended is counted")
	}
}

// Spine 10: a node without a lease signs no head, for it may have missed a death:
// neither one that has none when it looks where it stands, nor one that has lost it
// by the time the head could leave. Take one of the two looks at Live out of
// hub.head to see it fail.
func TestANodeWithoutALeaseSignsNoHead(t *testing.T) {
	stale := errors.New("no lease")
	for what, c := range map[string]struct {
		live  func(asked bool) error
		heads int
	}{
		"with a lease": {func(bool) error { return nil }, 1},
		"without one":  {func(bool) error { return stale }, 0},
		"which comes while it signs": {func(asked bool) error {
			if asked {
				return nil
			}
			return stale
		}, 0},
		"which ends while it signs": {func(asked bool) error {
			if asked {
				return stale
			}
			return nil
		}, 0},
	} {
		l, s := newStanding(t)
		h := newHub(s, "test", "https://id.example.com", statuslist.Position{})
		l.live = c.live
		l.asked.Store(false)
		h.head()
		if all, _ := h.ring.All(); len(all) != c.heads {
			t.Errorf("%s: %d heads are signed, want %d", what, len(all), c.heads)
		}
	}
}

func TestTheHubRemembersABoundedPast(t *testing.T) {
	l, s := newStanding(t)
	rl := &realm.Realm{Name: "test", Issuer: "https://id.example.com"}
	h, err := s.join(rl)
	if err != nil {
		t.Fatal(err)
	}
	at := func(seq int64) statuslist.Position { return statuslist.Position{Epoch: 1, Seq: seq} }
	for seq := range int64(keepFrames + 100) {
		l.kill(seq + 1)
	}
	h.mu.Lock()
	all, _ := h.ring.All()
	kept, base, bytes := len(all), h.base, 0
	h.mu.Unlock()
	for _, f := range all {
		bytes += len(f.Wire)
	}
	if kept > keepFrames || bytes > keepBytes || base.Before(at(50)) {
		t.Errorf("%d frames of %d bytes are kept, complete after %v", kept, bytes, base)
	}
	if _, ok := h.resume(h.boot, at(10)); ok {
		t.Error("a client resumes before what is kept")
	}
	if _, ok := h.resume("other", at(keepFrames)); ok {
		t.Error("a client of another sender resumes")
	}
	next, ok := h.resume(h.boot, at(keepFrames))
	frames, _, _, _ := h.ring.After(next)
	deltas := 0
	for _, f := range frames {
		if f.At.delta {
			deltas++
		}
	}
	if !ok || deltas != 100 || frames[0].At.pos != at(keepFrames+1) {
		t.Errorf("after resuming come %d deltas (%v)", deltas, ok)
	}
	if _, ok := h.resume(h.boot, at(keepFrames+100)); !ok {
		t.Error("a client that missed nothing must start over")
	}

	if _, err := s.join(rl); err != nil {
		t.Error("a second stream is refused")
	}
	if _, err := s.join(rl); err == nil {
		t.Error("more streams than MaxStreams")
	}
}
