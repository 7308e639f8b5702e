package replica

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/chain"
)

const schema = `
entity user in [group] { @stored level?: Long };
entity group in [group];
entity folder in [folder];
entity document in [folder] { @stored status?: String, @stored owner?: user };
entity invoice { @stored status?: String };
action read, write appliesTo { principal: [user], resource: [document] };
action pay appliesTo { principal: [user], resource: [invoice] };
`

const policies = `
@id("archived") forbid (principal, action == Action::"write", resource is document) when { resource has status && resource.status == "archived" };
@id("owner") permit (principal, action, resource is document) when { resource has owner && resource.owner == principal };
@id("level") permit (principal is user, action == Action::"pay", resource is invoice) when { principal has level && principal.level > 3 && resource has status && resource.status == "open" };
`

// compiled is a small set of policies, with one more for each variant.
func compiled(t testing.TB, variant int) *policy.Set {
	t.Helper()
	text := policies
	if variant > 0 {
		text += fmt.Sprintf("@id(\"v%d\") permit (principal == user::\"u%d\", action, resource);\n", variant, variant%5)
	}
	set, err := policy.Compile(policy.Source{Schema: policy.File{Name: "schema.cedarschema", Text: []byte(schema)},
		Policies: []policy.File{{Name: "policies/all.cedar", Text: []byte(text)}},
		Roles: policy.Roles{File: "roles.yaml", Types: []policy.RoleType{
			{Type: "document", Roles: []policy.Role{{Name: "reader", Permissions: []string{"read"}}, {Name: "writer", Implies: []string{"reader"}, Permissions: []string{"write"}}}},
			{Type: "folder", Roles: []policy.Role{{Name: "reader"}, {Name: "writer", Implies: []string{"reader"}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// line is a stream as a server makes it, reduced to its bytes.
type line struct {
	t        testing.TB
	set      *policy.Set
	graph    *graph.Graph
	revision int64
	name     string
	seq      int64
	chain    Chain
}

func (l *line) head(chain Chain, next *Chain) []byte {
	hash := ""
	if l.set != nil {
		hash = l.set.Hash()
	}
	text, err := json.Marshal(Head{Issuer: "https://id.example", Line: l.name, Seq: l.seq, Revision: l.revision, Chain: chain, Next: next, Policies: hash, Facts: l.graph.Sum()})
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

func (l *line) join(s *Stage, mode string, parts ...[]byte) {
	l.t.Helper()
	begin, _ := json.Marshal(Begin{Mode: mode, Line: l.name})
	if _, err := s.Begin(begin); err != nil {
		l.t.Fatal(err)
	}
	if mode == ModeResume {
		return
	}
	var chain Chain
	if mode == ModePatch {
		chain = s.State().Chain
	}
	chain = chain.Next(KindBegin, begin)
	for _, p := range parts {
		chain = chain.Next(KindPart, p)
		if err := s.Part(p); err != nil {
			l.t.Fatal(err)
		}
	}
	if _, err := s.Head(l.head(chain, &l.chain)); err != nil {
		l.t.Fatal(err)
	}
}

func (l *line) whole() (parts [][]byte) {
	l.t.Helper()
	if err := Write(l.set, l.graph, nil, func(p []byte) error { parts = append(parts, p); return nil }); err != nil {
		l.t.Fatal(err)
	}
	return parts
}

func (l *line) same(s *State) {
	l.t.Helper()
	want, err := Digest(policy.NewSnapshot(l.set, l.graph, l.revision))
	if err != nil {
		l.t.Fatal(err)
	}
	got, err := Digest(s.Snapshot)
	if err != nil {
		l.t.Fatal(err)
	}
	if got != want || s.Revision != l.revision {
		l.t.Fatalf("at revision %d the follower has another state than the server at %d", s.Revision, l.revision)
	}
}

func apply(t *testing.T, g *graph.Graph, c graph.Change) *graph.Graph {
	t.Helper()
	g, err := g.Apply(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// rounds is how often something random is tried: more where CARDEA_TEST_MODELS asks
// for the long tests.
func rounds(few int) int {
	if os.Getenv("CARDEA_TEST_MODELS") != "" {
		return few * 50
	}
	return few
}

// random makes a change that fits, on few entities, so that much of it collides.
func random(r *rand.Rand, g *graph.Graph) (graph.Change, []graph.Entity, []graph.Entity) {
	var c graph.Change
	seen, dropped := map[graph.Entity]bool{}, []graph.Entity(nil)
	e := func(typ string) graph.Entity {
		return graph.Entity{Type: typ, ID: fmt.Sprintf("%c%d", typ[0], r.IntN(5))}
	}
	for range 1 + r.IntN(4) {
		var t graph.Tuple
		switch r.IntN(4) {
		case 0:
			t = graph.Tuple{Subject: e("user"), Relation: "member", Object: e("group")}
		case 1:
			t = graph.Tuple{Subject: e("document"), Relation: "parent", Object: e("folder")}
		case 2:
			t = graph.Tuple{Subject: e("group"), Relation: "reader", Object: e("folder")}
		default:
			t = graph.Tuple{Subject: e("user"), Relation: "writer", Object: e("document"), Expires: int64(r.IntN(3)) * 1_000}
		}
		seen[t.Subject] = true
		if r.IntN(3) == 0 {
			c.Remove = append(c.Remove, t)
		} else {
			c.Add = append(c.Add, t)
		}
	}
	switch d := e("document"); r.IntN(4) {
	case 0:
		seen[d] = true
		c.Set = append(c.Set, graph.Attribute{Entity: d, Name: "status", Value: []string{"active", "archived"}[r.IntN(2)]})
	case 1:
		u := e("user")
		seen[u] = true
		c.Set = append(c.Set, graph.Attribute{Entity: u, Name: "level", Value: json.Number(fmt.Sprint(r.IntN(9)))})
	case 2:
		seen[d] = true
		c.Unset = append(c.Unset, graph.Attribute{Entity: d, Name: "status"})
	case 3:
		x := e([]string{"group", "folder", "user"}[r.IntN(3)])
		c.Drop, dropped = append(c.Drop, x), append(dropped, x)
	}
	var list []graph.Entity
	for x := range seen {
		list = append(list, x)
	}
	return c, list, dropped
}

func questions(do func(q *policy.Question)) {
	for u := range 5 {
		for d := range 5 {
			for _, action := range []string{"read", "write"} {
				do(&policy.Question{Subject: graph.Entity{Type: "user", ID: fmt.Sprintf("u%d", u)}, Action: action,
					Resource: graph.Entity{Type: "document", ID: fmt.Sprintf("d%d", d)}, At: time.UnixMilli(1_500)})
			}
		}
	}
}

// Whatever happens, an edge answers as the server does at the same revision: after
// every change on the stream, after joining it anew by a patch, and after a
// snapshot.
func TestAnEdgeIsTheServerAtTheSameRevision(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range rounds(20) {
		l := &line{t: t, set: compiled(t, 0), graph: graph.Empty(), name: "one", revision: 1}
		live := NewStage("https://id.example", nil, nil, Empty())
		l.join(live, ModeSnapshot, l.whole()...)
		l.same(live.State())
		late := live.State()
		var missed, ended []graph.Entity
		for range 12 {
			c, seen, dropped := random(r, l.graph)
			now, err := l.graph.Apply(c)
			if err != nil {
				t.Fatal(err)
			}
			var w Writer
			for _, e := range append(seen, dropped...) {
				if err := w.Difference(l.graph, now, e, false, nil); err != nil {
					t.Fatal(err)
				}
			}
			for _, e := range dropped {
				if err := w.Difference(l.graph, now, e, true, nil); err != nil {
					t.Fatal(err)
				}
			}
			if r.IntN(5) == 0 {
				l.set = compiled(t, r.IntN(9))
				if err := w.Policies(l.set); err != nil {
					t.Fatal(err)
				}
			}
			missed, ended = append(missed, seen...), append(ended, dropped...)
			l.graph = now
			l.revision += 1 + int64(r.IntN(3))
			if !w.Empty() {
				part := w.Take()
				l.chain, l.seq = l.chain.Next(KindPart, part), l.seq+1
				if err := live.Part(part); err != nil {
					t.Fatal(err)
				}
			}
			before := live.State()
			if _, err := live.Head(l.head(l.chain, nil)); err != nil {
				t.Fatal(err)
			}
			if live.State().Revision <= before.Revision {
				t.Fatal("the revision did not rise")
			}
			l.same(live.State())
			server := policy.NewSnapshot(l.set, l.graph, l.revision)
			questions(func(q *policy.Question) {
				if a, b := policy.Decide(server, q), policy.Decide(live.State().Snapshot, q); a.Allowed != b.Allowed {
					t.Fatalf("seed %d: the server says %v and the edge %v to %+v", seed, a.Allowed, b.Allowed, q)
				}
			})
		}
		// One that was away joins by what may have changed meanwhile, on another node.
		l.name, l.seq, l.chain = "two", 7, Chain{chain.Hash{1}}
		var w Writer
		for _, e := range ended {
			if err := w.Renew(l.graph, e, true, nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, e := range missed {
			if err := w.Renew(l.graph, e, false, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Policies(l.set); err != nil {
			t.Fatal(err)
		}
		patched := NewStage("https://id.example", nil, nil, late)
		l.join(patched, ModePatch, w.Take())
		l.same(patched.State())
		whole := NewStage("https://id.example", nil, nil, late)
		l.join(whole, ModeSnapshot, l.whole()...)
		l.same(whole.State())
	}
}

// Nothing counts that a head does not vouch for, and nothing is ever unlearned.
func TestWhatWasChangedOnTheWayCountsForNothing(t *testing.T) {
	fresh := func() (*line, *Stage) {
		l := &line{t: t, set: compiled(t, 0), graph: graph.Empty(), name: "one", revision: 5}
		s := NewStage("https://id.example", nil, nil, Empty())
		l.join(s, ModeSnapshot, l.whole()...)
		return l, s
	}
	var w Writer
	w.Add(graph.Tuple{Subject: graph.Entity{Type: "user", ID: "u1"}, Relation: "writer", Object: graph.Entity{Type: "document", ID: "d1"}})
	part := w.Take()

	l, s := fresh()
	if err := s.Part(part); err != nil {
		t.Fatal(err)
	}
	if s.State().Graph.Size().Tuples != 0 {
		t.Error("a part counts before its head")
	}
	if _, err := s.Head(l.head(l.chain, nil)); !errors.Is(err, ErrChain) {
		t.Errorf("a part that nobody vouched for: %v", err)
	}
	l, s = fresh()
	l.chain, l.seq = l.chain.Next(KindPart, part), 1
	if _, err := s.Head(l.head(l.chain, nil)); !errors.Is(err, ErrChain) {
		t.Errorf("a part that was left out: %v", err)
	}
	// Without policies there is no sum of the facts: the chain alone tells.
	l = &line{t: t, graph: graph.Empty(), name: "one", revision: 5}
	s = NewStage("https://id.example", nil, nil, Empty())
	l.join(s, ModeSnapshot, l.whole()...)
	if err := s.Part(part); err != nil {
		t.Fatal(err)
	}
	l.seq = 1
	if _, err := s.Head(l.head(l.chain, nil)); !errors.Is(err, ErrChain) {
		t.Errorf("a part of no chain, without policies: %v", err)
	}
	l, s = fresh()
	l.revision, l.graph = 6, apply(t, l.graph, graph.Change{Set: []graph.Attribute{{Entity: graph.Entity{Type: "document", ID: "d1"}, Name: "status", Value: "lost"}}})
	if _, err := s.Head(l.head(l.chain, nil)); !errors.Is(err, ErrFacts) {
		t.Errorf("a change that the server forgot to tell: %v", err)
	}
	// As many facts are not the same facts: one whose membership did not fit, and was
	// let in when the server read its rows anew, is no event.
	ada := graph.Entity{Type: "user", ID: "ada"}
	l = &line{t: t, set: compiled(t, 0), name: "one", revision: 5, graph: apply(t, graph.Empty(), graph.Change{Set: []graph.Attribute{{Entity: ada, Name: Unfit, Value: true}}})}
	s = NewStage("https://id.example", nil, nil, Empty())
	l.join(s, ModeSnapshot, l.whole()...)
	l.revision, l.graph = 6, apply(t, graph.Empty(), graph.Change{Add: []graph.Tuple{{Subject: ada, Relation: graph.Member, Object: graph.Entity{Type: "group", ID: "g1"}}}})
	if _, err := s.Head(l.head(l.chain, nil)); !errors.Is(err, ErrFacts) {
		t.Errorf("somebody who fits now: %v", err)
	}
	l, s = fresh()
	l.revision = 4
	if _, err := s.Head(l.head(l.chain, nil)); !errors.Is(err, ErrBack) {
		t.Errorf("a revision that goes back: %v", err)
	}
	for cut := range part {
		_, s = fresh()
		if err := s.Part(part[:cut]); err == nil && cut > 0 && s.news.Add != nil {
			t.Errorf("%d of %d bytes of a part were taken", cut, len(part))
		}
	}
}

// An edge that holds only what documents rest on decides about them as the server
// does, and holds nothing of invoices.
func TestASliceIsAllThatItsDecisionsRestOn(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range rounds(15) {
		set, g := compiled(t, 0), graph.Empty()
		for range 10 {
			c, _, _ := random(r, g)
			c.Set = append(c.Set, graph.Attribute{Entity: graph.Entity{Type: "invoice", ID: "i1"}, Name: "status", Value: "open"},
				graph.Attribute{Entity: graph.Entity{Type: "document", ID: "d1"}, Name: "owner", Value: map[string]any{"type": "user", "id": "u1"}})
			var err error
			if g, err = g.Apply(c); err != nil {
				t.Fatal(err)
			}
		}
		slice := NewSlice(set, g, []string{"document"})
		if slice.Has("invoice") || !slice.Has("folder") || !slice.Has("group") || !slice.Has("user") {
			t.Fatalf("the slice of documents is %v", slice.types)
		}
		var n News
		if err := Write(set, g, slice, n.read); err != nil {
			t.Fatal(err)
		}
		part, err := graph.Empty().Apply(n.Change)
		if err != nil {
			t.Fatal(err)
		}
		for range part.Attributes(graph.Entity{Type: "invoice", ID: "i1"}) {
			t.Fatal("the slice holds an invoice")
		}
		whole, sliced := policy.NewSnapshot(set, g, 1), policy.NewSnapshot(set, part, 1)
		questions(func(q *policy.Question) {
			if policy.Decide(whole, q).Allowed != policy.Decide(sliced, q).Allowed {
				t.Fatalf("the slice decides otherwise about %+v", q)
			}
		})
	}
}

// Who is late verifies two of five signatures here, and has the state of the server:
// what two heads tell is not made one change, in which the relation would stay.
func TestAHeadThatALaterOneSupersedesNeedsNoLook(t *testing.T) {
	l := &line{t: t, set: compiled(t, 0), graph: graph.Empty(), revision: 1, name: "a"}
	s := NewStage("https://id.example", nil, nil, Empty())
	l.join(s, ModeSnapshot, l.whole()...)
	var wire []byte
	head := func() { wire = AppendFrame(wire, KindHead, l.head(l.chain, nil)) }
	change := func(c graph.Change) {
		var w Writer
		for _, x := range c.Add {
			w.Add(x)
		}
		for _, x := range c.Remove {
			w.Remove(x)
		}
		l.graph = apply(t, l.graph, c)
		part := w.Take()
		l.revision, l.seq, l.chain = l.revision+1, l.seq+1, l.chain.Next(KindPart, part)
		wire = AppendFrame(wire, KindPart, part)
		head()
	}
	both := []graph.Tuple{{Subject: graph.Entity{Type: "user", ID: "u1"}, Relation: "reader", Object: graph.Entity{Type: "document", ID: "d1"}}}
	change(graph.Change{Add: both})
	head()
	head()
	change(graph.Change{Remove: both})
	half := len(wire) - 10 // the last head is not here as a whole
	head()
	for _, c := range []struct{ bytes, heads int }{{len(wire), 2}, {half, 1}} {
		stage, in := *s, bufio.NewReaderSize(bytes.NewReader(wire[:c.bytes]), 64<<10)
		news, heads := false, 0
		for {
			kind, payload, err := ReadFrame(in)
			if err != nil {
				break
			}
			if kind == KindPart {
				if news = true; stage.Part(payload) != nil {
					t.Fatal("a part is refused")
				}
				continue
			}
			if Superseded(in, news) {
				continue
			}
			heads, news = heads+1, false
			if _, err := stage.Head(payload); err != nil {
				t.Fatal(err)
			}
		}
		if heads != c.heads {
			t.Errorf("of %d bytes %d heads are looked at, want %d", c.bytes, heads, c.heads)
		}
		if c.bytes == len(wire) {
			l.same(stage.State())
		} else if r := stage.State().Revision; r != l.revision-1 {
			t.Errorf("without the last head the revision is %d", r)
		}
	}
}

func TestRevisionsAreRead(t *testing.T) {
	for _, n := range []int64{0, 1, 1<<40 | 4711, 8191<<40 | 1} {
		if got, err := Parse(Text(n)); err != nil || got != n {
			t.Errorf("%s is read as %d: %v", Text(n), got, err)
		}
	}
	for _, text := range []string{"", "1", "1.", ".1", "1.2.3", "-1.2", "1.-2", "01.2", "1.2 ", "1. 2", "9999999999999.1"} {
		if n, err := Parse(text); err == nil {
			t.Errorf("%q is read as %d", text, n)
		}
	}
}
