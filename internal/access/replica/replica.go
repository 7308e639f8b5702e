package replica

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
)

// State is what a follower knows at a revision, with its place in the stream. It
// never changes.
type State struct {
	Snapshot *policy.Snapshot // nil where the realm has no policies
	Graph    *graph.Graph
	Revision int64
	Line     string
	Seq      int64
	Chain    Chain
	Types    []string // of the slice, nil for the whole realm
	At       int64    // of the last head, milliseconds since 1970
}

// Empty is the state of a follower that knows nothing.
func Empty() *State { return &State{Graph: graph.Empty()} }

// What a stream is refused for.
var (
	ErrChain = errors.New("what was received is not what the signed head speaks of: something is missing or was changed on the way")
	ErrBack  = errors.New("the stream is behind what is known here already")
	ErrFacts = errors.New("the facts here are not those of the server; they are asked for anew")
)

// Stage takes the frames of one connection and makes states of them. It is not
// safe for concurrent use.
type Stage struct {
	issuer string
	types  []string
	dress  func(*policy.Snapshot) *policy.Snapshot
	state  *State
	begin  *Begin
	chain  Chain
	seq    int64
	news   News
	joined bool // the first head has come
	fresh  bool // the news are everything, not a change
}

// NewStage continues a state with the frames of an issuer's stream, for a slice.
// dress, if not nil, gives each snapshot what does not come on the stream.
func NewStage(issuer string, types []string, dress func(*policy.Snapshot) *policy.Snapshot, s *State) *Stage {
	return &Stage{issuer: issuer, types: types, dress: dress, state: s}
}

// State is what the last head vouched for.
func (g *Stage) State() *State { return g.state }

// Begin takes the frame that begins a connection, and says when the server was asked
// for it, by the server's clock.
func (g *Stage) Begin(payload []byte) (at int64, err error) {
	var b Begin
	if err := json.Unmarshal(payload, &b); err != nil || g.begin != nil {
		return 0, errors.New("the stream begins in a way that is not known")
	}
	g.begin = &b
	switch b.Mode {
	case ModeResume:
		if b.Line != g.state.Line {
			return 0, ErrChain
		}
		g.chain, g.seq, g.joined = g.state.Chain, g.state.Seq, true
	case ModePatch:
		g.chain = g.state.Chain.Next(KindBegin, payload)
	case ModeSnapshot:
		g.chain = Chain{}.Next(KindBegin, payload)
		g.fresh = true
	default:
		return 0, fmt.Errorf("the stream begins with %.20q, which is not known", b.Mode)
	}
	return b.At, nil
}

// Part takes facts. They count when a head vouches for them.
func (g *Stage) Part(payload []byte) error {
	if g.begin == nil {
		return errors.New("the stream does not say how it begins")
	}
	g.chain = g.chain.Next(KindPart, payload)
	g.seq++
	return g.news.read(payload)
}

// Head takes the claims of a head whose signature was verified, and makes a state
// of what came since the last one. An error leaves the state as it was, and this
// connection is of no more use.
func (g *Stage) Head(claims []byte) (*State, error) {
	var h Head
	dec := json.NewDecoder(bytes.NewReader(claims))
	if err := dec.Decode(&h); err != nil || g.begin == nil {
		return nil, errors.New("a head is malformed")
	}
	switch {
	case h.Issuer != g.issuer:
		return nil, fmt.Errorf("the stream is that of issuer %q", h.Issuer)
	case !slices.Equal(h.Types, g.types):
		return nil, errors.New("the stream is that of other types of resources")
	case h.Line != g.begin.Line, h.Chain != g.chain:
		return nil, ErrChain
	case g.joined && (h.Seq != g.seq || h.Next != nil), !g.joined && h.Next == nil:
		return nil, ErrChain
	case h.Revision < g.state.Revision:
		return nil, ErrBack
	}
	next, err := g.apply(&h)
	if err != nil {
		return nil, err
	}
	if !g.joined {
		g.chain, g.joined = *h.Next, true
	}
	g.seq, g.fresh, g.news = h.Seq, false, News{}
	next.Line, next.Seq, next.Chain, next.At, next.Types = h.Line, h.Seq, g.chain, h.At, g.types
	g.state = next
	return next, nil
}

func (g *Stage) apply(h *Head) (*State, error) {
	old, now := g.state, g.state.Graph
	if g.fresh {
		now = graph.Empty()
	}
	c := g.news.Change
	for _, e := range g.news.Clear {
		for t := range now.From(e) {
			c.Remove = append(c.Remove, t)
		}
		for name := range now.Attributes(e) {
			c.Unset = append(c.Unset, graph.Attribute{Entity: e, Name: name})
		}
	}
	if len(c.Add)+len(c.Remove)+len(c.Set)+len(c.Unset)+len(c.Drop) > 0 {
		var err error
		if now, err = now.Apply(c); err != nil {
			return nil, fmt.Errorf("the facts of the stream do not fit: %w", err)
		}
	}
	var set *policy.Set
	if old.Snapshot != nil && !g.fresh {
		set = old.Snapshot.Set()
	}
	switch {
	case g.news.None:
		set = nil
	case g.news.Policies != nil:
		var err error
		if set, err = policy.Compile(*g.news.Policies); err != nil {
			return nil, fmt.Errorf("the policies of the stream do not compile here; is this version older than the server's? %w", err)
		}
	}
	next := &State{Graph: now, Revision: h.Revision}
	hash := ""
	if set != nil {
		hash = set.Hash()
		next.Snapshot = policy.NewSnapshot(set, now, h.Revision)
		if g.dress != nil {
			next.Snapshot = g.dress(next.Snapshot)
		}
	}
	if hash != h.Policies {
		return nil, ErrChain
	}
	// Whatever goes wrong in telling what changed shows here sooner or later.
	if set != nil && h.Facts != now.Sum() {
		return nil, ErrFacts
	}
	return next, nil
}
