package edge

import (
	"maps"
	"testing"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/replica"
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
