package edge

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/jose"
)

// Followers hear of everybody who is refused with a group, though the event names
// the group alone. Leave refused out of hub.advance to lose them.
func TestWhoIsRefusedWithAGroupIsTold(t *testing.T) {
	entity := func(typ, id string) graph.Entity { return graph.Entity{Type: typ, ID: id} }
	outer, inner, ada, bob := entity("group", "outer"), entity("group", "inner"), entity("user", "ada"), entity("user", "bob")
	unfit := func(e graph.Entity) graph.Attribute {
		return graph.Attribute{Entity: e, Name: replica.Unfit, Value: true}
	}
	g, err := graph.Empty().Apply(graph.Change{
		Add: []graph.Tuple{{Subject: inner, Relation: graph.Member, Object: outer}, {Subject: ada, Relation: graph.Member, Object: inner}, {Subject: bob, Relation: graph.Member, Object: outer},
			{Subject: ada, Relation: "viewer", Object: outer}},
		Set: []graph.Attribute{unfit(outer), unfit(inner), unfit(ada)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ seen, want map[graph.Entity]bool }{
		{map[graph.Entity]bool{outer: false}, map[graph.Entity]bool{outer: false, inner: false, ada: false}},
		{map[graph.Entity]bool{outer: true, ada: true}, map[graph.Entity]bool{outer: true, inner: false, ada: true}},
		{map[graph.Entity]bool{bob: false}, map[graph.Entity]bool{bob: false}},
	} {
		refused(g, c.seen)
		if !maps.Equal(c.seen, c.want) {
			t.Errorf("%v, want %v", c.seen, c.want)
		}
	}
}

// watched is a log in which nothing happens, and that tells when it is asked.
type watched struct {
	still
	asked func()
}

func (w *watched) Live() error {
	w.asked()
	return nil
}

// A change goes out together with the head that vouches for it: each addition wakes
// a thousand followers.
func TestAChangeAndItsHeadGoOutAtOnce(t *testing.T) {
	set, err := policy.Compile(policy.Source{Schema: policy.File{Name: "schema.cedarschema", Text: []byte("entity user;")}})
	if err != nil {
		t.Fatal(err)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jose.ParseKey("k", jose.ES256, der)
	if err != nil {
		t.Fatal(err)
	}
	known, revision := graph.Empty(), int64(1)
	log := &watched{asked: func() {}}
	s := New(Options{Log: log, Now: time.Now, Signer: func(context.Context, string) (*jose.Key, error) { return key, nil },
		Snapshot: func(context.Context, string, audit.Position) (*policy.Snapshot, audit.Position, error) {
			return policy.NewSnapshot(set, known, revision), audit.Position{}, nil
		}})
	h := newHub(s, "r", "https://r.example")
	t.Cleanup(h.Stop)
	l, err := h.line(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	next := l.ring.Next()
	ada := graph.Entity{Type: "user", ID: "ada"}
	if known, err = known.Apply(graph.Change{Set: []graph.Attribute{{Entity: ada, Name: "status", Value: "active"}}}); err != nil {
		t.Fatal(err)
	}
	revision++
	h.note(Touch{Seen: []graph.Entity{ada}}, audit.Position{})
	log.asked = func() {
		if got := l.ring.Next(); got != next {
			t.Errorf("%d frames went out before their head", got-next)
		}
	}
	h.carryOn()
	frames, _, _, ok := l.ring.After(next)
	if !ok || len(frames) != 2 || frames[0].Wire[0] != replica.KindPart || frames[1].Wire[0] != replica.KindHead {
		t.Errorf("%d frames, want a part and a head", len(frames))
	}
}

// A node makes so many slices of a realm at once, not in all its life: one that
// nobody follows any more makes room for another.
func TestASliceThatNobodyFollowsMakesRoom(t *testing.T) {
	var schema strings.Builder
	schema.WriteString("entity user;\n")
	for n := range maxLines + 1 {
		fmt.Fprintf(&schema, "entity t%d; action a%d appliesTo { principal: user, resource: t%d };\n", n, n, n)
	}
	set, err := policy.Compile(policy.Source{Schema: policy.File{Name: "schema.cedarschema", Text: []byte(schema.String())}})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Log: still{}, Now: time.Now, Snapshot: func(context.Context, string, audit.Position) (*policy.Snapshot, audit.Position, error) {
		return policy.NewSnapshot(set, graph.Empty(), 1), audit.Position{}, nil
	}})
	h := newHub(s, "r", "https://r.example")
	t.Cleanup(h.Stop)
	follow := func(n int) (*line, error) { return h.line(t.Context(), []string{fmt.Sprint("t", n)}) }
	var all []*line
	for n := range maxLines {
		l, err := follow(n)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	if _, err := follow(maxLines); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("one more than can be made: %v", err)
	}
	if same, err := follow(3); err != nil || same != all[3] {
		t.Fatalf("a second one who follows: %p %v, want %p", same, err, all[3])
	}
	h.leave(all[3])
	h.leave(all[7])
	if _, err := follow(maxLines); err != nil {
		t.Errorf("where nobody follows one of them: %v", err)
	}
	if all[3].live.Err() != nil || all[7].live.Err() == nil {
		t.Error("another slice than the one that nobody follows made room")
	}
}
