package console

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// picture is the way from the subject to the resource, as it is climbed: on the left
// up from the subject, on the right up from the resource, and across where a role
// was granted. Without such a way it shows what either is inside of, and the roles that
// are held and did not do.
type picture struct {
	Width, Height int
	Nodes         []node
	Edges         []edge
	Words         []string // the same for who does not see
	Met           bool     // there is a way
}

type node struct {
	X, Y                int
	Type, Label, Name   string // Label is short, Name is whole
	Ends, Muted, Person bool
}

// Middle and its like place what stands in a node.
func (n node) Middle() int { return n.X + nodeWidth/2 }

// TypeY is where the type of a node stands.
func (n node) TypeY() int { return n.Y + 19 }

// LabelY is where the id of a node stands.
func (n node) LabelY() int { return n.Y + 38 }

type edge struct {
	Path, Label string
	X, Y        int // of the label
	Anchor      string
	Across      bool
	Missing     bool
}

// The measures of pictures.
const (
	nodeWidth, nodeHeight = 190, 50
	rowHeight             = 96
	columnLeft, columnGap = 14, 150
	columnRight           = columnLeft + nodeWidth + columnGap
	mostNodes             = 6 // of a column
	mostLabel             = 22
)

// step is a relation in a picture.
type step = graph.Tuple

// draw draws the answer to a question.
func (s *Server) draw(r *http.Request, v *visit, p *playgroundPage, g *graph.Graph, q *policy.Question, a *policy.Answer) *picture {
	var left, right []graph.Entity
	var steps []step
	held := false
	pic := &picture{Met: len(a.Path) > 0}
	add := func(list *[]graph.Entity, e graph.Entity) {
		if !slices.Contains(*list, e) && len(*list) < mostNodes {
			*list = append(*list, e)
		}
	}
	left, right = []graph.Entity{q.Subject}, []graph.Entity{q.Resource}
	if pic.Met {
		steps = a.Path
		// The way is told from the subject to the resource, so the right side is told
		// from the top.
		for _, t := range a.Path {
			if t.Relation == graph.Member {
				add(&left, t.Subject)
				add(&left, t.Object)
			}
		}
		for _, t := range slices.Backward(a.Path) {
			if t.Relation == graph.Parent {
				add(&right, t.Subject)
				add(&right, t.Object)
			}
		}
		for _, t := range a.Path {
			if t.Relation != graph.Parent && t.Relation != graph.Member {
				add(&left, t.Subject)
				add(&right, t.Object)
			}
		}
	} else {
		left, steps = climb(g, q.Subject, graph.Member, q.At, nil)
		right, steps = climb(g, q.Resource, graph.Parent, q.At, steps)
		for _, e := range left { // roles that were held, and did not do
			for t := range g.From(e) {
				if t.Relation != graph.Member && t.Relation != graph.Parent && !ended(t, q.At) && slices.Contains(right, t.Object) {
					steps = append(steps, t)
					held = true
				}
			}
		}
	}
	rows := max(len(left), len(right))
	pic.Width, pic.Height = columnRight+nodeWidth+columnLeft, rows*rowHeight-rowHeight+nodeHeight+20
	y := func(i int) int { return 10 + (rows-1-i)*rowHeight }
	at := func(list []graph.Entity, e graph.Entity) int { return slices.Index(list, e) }
	names := s.names(r, v)
	for i, e := range left {
		pic.Nodes = append(pic.Nodes, nodeOf(e, columnLeft, y(i), i == 0, !pic.Met && i > 0, names(e)))
	}
	for i, e := range right {
		pic.Nodes = append(pic.Nodes, nodeOf(e, columnRight, y(i), i == 0, !pic.Met && i > 0, names(e)))
	}
	for _, t := range steps {
		switch {
		case t.Relation == graph.Member && at(left, t.Subject) >= 0 && at(left, t.Object) >= 0:
			pic.Edges = append(pic.Edges, up(columnLeft, y(at(left, t.Subject)), y(at(left, t.Object)), t.Relation, false))
		case t.Relation == graph.Parent && at(right, t.Subject) >= 0 && at(right, t.Object) >= 0:
			pic.Edges = append(pic.Edges, up(columnRight, y(at(right, t.Subject)), y(at(right, t.Object)), t.Relation, true))
		case at(left, t.Subject) >= 0 && at(right, t.Object) >= 0:
			pic.Edges = append(pic.Edges, across(y(at(left, t.Subject)), y(at(right, t.Object)), t.Relation, false))
		}
		pic.Words = append(pic.Words, told(p, t, names))
	}
	if !pic.Met && !held {
		label := p.T("console.path.none")
		if a.Allowed {
			label = p.T("console.path.unneeded")
		}
		pic.Edges = append(pic.Edges, across(y(0), y(0), label, true))
	}
	return pic
}

// climb finds what an entity is inside of by one relation, the nearest first.
func climb(g *graph.Graph, e graph.Entity, relation string, now time.Time, steps []step) ([]graph.Entity, []step) {
	found := []graph.Entity{e}
	for i := 0; i < len(found) && len(found) < mostNodes; i++ {
		for t := range g.From(found[i]) {
			if t.Relation != relation || ended(t, now) {
				continue
			}
			if !slices.Contains(found, t.Object) {
				if len(found) == mostNodes {
					break
				}
				found = append(found, t.Object)
			}
			steps = append(steps, t)
		}
	}
	return found, steps
}

func ended(t step, now time.Time) bool { return t.Expires != 0 && t.Expires <= now.UnixMilli() }

// told is a relation as people say it.
func told(p *playgroundPage, t step, names func(graph.Entity) string) string {
	who := func(e graph.Entity) string {
		if name := names(e); name != "" {
			return e.Type + " " + name + " (" + e.ID + ")"
		}
		return e.Type + " " + e.ID
	}
	key := "console.told.role"
	switch t.Relation {
	case graph.Member:
		key = "console.told.member"
	case graph.Parent:
		key = "console.told.parent"
	}
	s := p.T(key, "subject", who(t.Subject), "role", t.Relation, "object", who(t.Object))
	if t.Expires != 0 {
		s += " " + p.T("console.told.until", "at", time.UnixMilli(t.Expires).UTC().Format(p.T("date.exact")))
	}
	return s
}

// names gives the name of somebody in the directory, to who may read it; else "".
func (s *Server) names(r *http.Request, v *visit) func(graph.Entity) string {
	return func(e graph.Entity) string {
		if !v.SeesPeople() || !principal.ValidID(e.ID) {
			return ""
		}
		found, err := s.People.Cached(r.Context(), v.Realm.Name, e.ID)
		if err != nil {
			return ""
		}
		return found.DisplayName
	}
}

func nodeOf(e graph.Entity, x, y int, ends, muted bool, name string) node {
	n := node{X: x, Y: y, Type: short(e.Type), Label: short(e.ID), Name: e.Type + " " + e.ID, Ends: ends, Muted: muted}
	if name != "" {
		n.Label, n.Name = short(name), e.Type+" "+name+" ("+e.ID+")"
	}
	return n
}

func short(s string) string {
	r := []rune(s)
	if len(r) <= mostLabel {
		return s
	}
	return string(r[:mostLabel-6]) + "…" + string(r[len(r)-5:])
}

// up is an edge of a column. One that passes others swings around them, outside.
func up(x, from, to int, label string, right bool) edge {
	middle := x + nodeWidth/2
	if from-to == rowHeight {
		return edge{Path: fmt.Sprintf("M%d %dV%d", middle, from, to+nodeHeight+7), Label: label, X: middle + 9, Y: (from+to+nodeHeight)/2 + 4, Anchor: "start"}
	}
	side, out := x, x-12
	if right {
		side, out = x+nodeWidth, x+nodeWidth+12
	}
	return edge{Path: fmt.Sprintf("M%d %dC%d %d %d %d %d %d", side, from+nodeHeight/2, out, from, out, to+nodeHeight, side, to+nodeHeight-4)}
}

// across is an edge from the left column to the right.
func across(from, to int, label string, missing bool) edge {
	a, b := columnLeft+nodeWidth, columnRight
	if missing {
		return edge{Path: fmt.Sprintf("M%d %dH%d", a+6, from+nodeHeight/2, b-6), Label: label, X: (a + b) / 2, Y: from + nodeHeight/2 - 9, Anchor: "middle", Missing: true}
	}
	return edge{Path: fmt.Sprintf("M%d %dC%d %d %d %d %d %d", a, from+nodeHeight/2, a+columnGap/2, from+nodeHeight/2, b-columnGap/2, to+nodeHeight/2, b-7, to+nodeHeight/2),
		Label: label, X: (a + b) / 2, Y: (from+to)/2 + nodeHeight/2 - 9, Anchor: "middle", Across: true}
}
