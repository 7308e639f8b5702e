package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
)

// curve measures graphs of growing size: what a relation weighs, ids included,
// and whether a check costs more among many.
func curve(most int) (missed []string) {
	fmt.Println("| relations | entities | bytes a relation | in all | built in | check: mean | p99 | change of 1 |")
	fmt.Println("|--:|--:|--:|--:|--:|--:|--:|--:|")
	for n := 10_000; n <= most; n *= 10 {
		before := heap()
		begun := time.Now()
		g, err := grown(n)
		if err != nil {
			return append(missed, err.Error())
		}
		took := time.Since(begun)
		bytes := heap() - before
		set, err := policy.Compile(ofRoles())
		if err != nil {
			return append(missed, err.Error())
		}
		mean, p99 := checks(policy.NewSnapshot(set, g, 1), n)
		change := changes(g, n)
		size := g.Size()
		fmt.Printf("| %d | %d | %.1f | %.0f MiB | %.1f s | %s | %s | %s |\n", size.Tuples, size.Entities, float64(bytes)/float64(size.Tuples),
			float64(bytes)/(1<<20), took.Seconds(), micros(mean), micros(p99), micros(change))
		if p99 > 50 {
			missed = append(missed, fmt.Sprintf("p99 of 50 µs at %d relations", n))
		}
		if bytes > 3<<29 {
			missed = append(missed, fmt.Sprintf("1.5 GiB at %d relations", n))
		}
		runtime.KeepAlive(g)
	}
	return missed
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func grown(n int) (*graph.Graph, error) {
	b := graph.NewBuilder()
	if err := relations(n, b.Add); err != nil {
		return nil, err
	}
	return b.Graph()
}

// relations makes n relations of which a third are memberships, a third documents
// in folders and a third grants to people, on documents and folders.
func relations(n int, add func(graph.Tuple) error) (err error) {
	r := rand.New(rand.NewPCG(uint64(n), 2))
	put := func(s policy.Entity, relation string, o policy.Entity) {
		if err == nil {
			err = add(graph.Tuple{Subject: s, Relation: relation, Object: o})
		}
	}
	third := n / 3
	t, d := max(third/10, 1), max(third/100, 1)
	for i := range t {
		put(entity("Team", i), graph.Member, entity("Department", i%d))
	}
	for i := range third - t {
		put(entity("User", i), graph.Member, entity("Team", i%t))
	}
	for i := range t {
		put(entity("Folder", i), graph.Parent, entity("Project", i%d))
	}
	for i := range third - t {
		put(entity("Document", i), graph.Parent, entity("Folder", i%t))
	}
	for range n - 2*third {
		s := entity("User", r.IntN(third))
		if r.IntN(10) == 0 {
			s = entity("Team", r.IntN(t))
		}
		o := entity("Document", r.IntN(third))
		if r.IntN(10) == 0 {
			o = entity("Folder", r.IntN(t))
		}
		put(s, []string{"viewer", "editor", "owner"}[r.IntN(3)], o)
	}
	return err
}

// questions are asked where there are n relations: every other one by somebody who
// has a role on what is asked about.
func questions(n, count int) []policy.Question {
	var granted []graph.Tuple
	_ = relations(n, func(t graph.Tuple) error {
		if t.Subject.Type == "User" && t.Object.Type == "Document" && len(granted) < count/2 {
			granted = append(granted, t)
		}
		return nil
	})
	r := rand.New(rand.NewPCG(uint64(n), 3))
	third := n / 3
	all := make([]policy.Question, count)
	for i := range all {
		all[i] = policy.Question{Subject: entity("User", r.IntN(third)), Resource: entity("Document", r.IntN(third)), Action: "view", At: time.UnixMilli(1_800_000_000_000)}
		if i%2 == 0 {
			t := granted[r.IntN(len(granted))]
			all[i].Subject, all[i].Resource = t.Subject, t.Object
		}
	}
	return all
}

func checks(s *policy.Snapshot, n int) (mean, p99 float64) {
	asked := questions(n, 150_000)
	best := -1.0
	for round := range 3 {
		each := make([]time.Duration, len(asked)/3)
		var sum time.Duration
		for i := range each {
			q := &asked[round*len(each)+i]
			t := time.Now()
			policy.Decide(s, q)
			each[i] = time.Since(t)
			sum += each[i]
		}
		slices.Sort(each)
		if m := float64(sum.Nanoseconds()) / float64(len(each)) / 1000; best < 0 || m < best {
			best = m
			mean, p99 = m, float64(each[len(each)*99/100].Nanoseconds())/1000
		}
	}
	return mean, p99
}

// changes is what one change of one relation costs, each upon the one before.
func changes(g *graph.Graph, n int) float64 {
	const count = 2000
	begun := time.Now()
	for i := range count {
		next, err := g.Apply(graph.Change{Add: []graph.Tuple{{Subject: entity("User", i), Relation: "owner", Object: entity("Document", (i*7)%(n/3))}}})
		if err != nil {
			return -1
		}
		g = next
	}
	return float64(time.Since(begun).Nanoseconds()) / count / 1000
}
