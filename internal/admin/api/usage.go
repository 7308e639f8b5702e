package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/fault"
)

type usageInput struct {
	Paging
	Days int `query:"days" minimum:"1" maximum:"800" default:"90" doc:"How far back a need counts."`
}

// grantKey names a role that somebody holds.
type grantKey struct {
	subject  graph.Entity
	relation string
	object   graph.Entity
}

// roleKey names a role on a type of resource.
type roleKey struct{ typ, role string }

// unusedAccess compares what is granted with what decisions needed.
func (s *Server) unusedAccess(ctx context.Context, c *Caller, in *usageInput) (*plainAnswer[wire.AccessUsage], error) {
	after, err := readTuple(in.After)
	if err != nil {
		return nil, err
	}
	snapshot, _, err := s.state(ctx, c)
	if err != nil {
		return nil, err
	}
	since := s.Now().Add(-time.Duration(in.Days) * 24 * time.Hour)
	usage, err := s.Journal.Used(ctx, c.Realm.Name, since, nil)
	if err != nil {
		return nil, err
	}
	out := wire.AccessUsage{Since: since, Decisions: usage.Decisions, Dropped: usage.Dropped, Unused: []wire.UnusedAccess{}, Wide: []wire.WideRole{}}
	if usage.Since.After(since) {
		out.Reaches = &usage.Since
	}
	needed, for_ := neededOf(usage.Uses)
	now, held := s.Now().UnixMilli(), map[roleKey]int{}
	for t := range snapshot.Graph().All() {
		if t.Relation == graph.Member || t.Relation == graph.Parent || t.Expires != 0 && t.Expires <= now {
			continue
		}
		held[roleKey{t.Object.Type, t.Relation}]++
		if needed[grantKey{t.Subject, t.Relation, t.Object}] || in.After != "" && !behind(t, after) {
			continue
		}
		if len(out.Unused) == in.Limit {
			if out.Next == "" {
				last := out.Unused[in.Limit-1]
				out.Next = writeTuple(graph.Tuple{Subject: graph.Entity(last.Subject), Relation: last.Relation, Object: graph.Entity(last.Object)})
			}
			continue // goes on counting what is held
		}
		out.Unused = append(out.Unused, wire.UnusedAccess{DecisionStep: relationsOf([]policy.Step{t})[0], Holders: membersOf(snapshot.Graph(), t.Subject)})
	}
	if in.After == "" {
		out.Wide = wideRoles(snapshot.Set(), held, for_)
	}
	return plain(out), nil
}

// neededOf says which grants were needed, and for which actions which role was.
func neededOf(uses []journal.Use) (grants map[grantKey]bool, actions map[roleKey]map[string]bool) {
	grants, actions = map[grantKey]bool{}, map[roleKey]map[string]bool{}
	for _, u := range uses {
		grants[grantKey{u.Subject, u.Relation, u.Object}] = true
		k := roleKey{u.Object.Type, u.Relation}
		if actions[k] == nil {
			actions[k] = map[string]bool{}
		}
		actions[k][u.Action] = true
	}
	return grants, actions
}

// wideRoles are the roles that are held and permit actions that nobody needed
// them for.
func wideRoles(set *policy.Set, held map[roleKey]int, needed map[roleKey]map[string]bool) []wire.WideRole {
	all := []wire.WideRole{}
	for _, t := range set.Roles() {
		for _, role := range t.Roles {
			k := roleKey{t.Type, role.Name}
			if held[k] == 0 {
				continue
			}
			w := wire.WideRole{Type: t.Type, Role: role.Name, Grants: held[k], Used: []string{}, Unused: []string{}}
			for _, action := range t.Permissions(role.Name) {
				if needed[k][action] {
					w.Used = append(w.Used, action)
				} else {
					w.Unused = append(w.Unused, action)
				}
			}
			if len(w.Unused) > 0 {
				all = append(all, w)
			}
		}
	}
	return all
}

func membersOf(g *graph.Graph, e graph.Entity) (n int) {
	for t := range g.To(e) {
		if t.Relation == graph.Member {
			n++
		}
	}
	return n
}

// behind reports whether a comes after b in the order of the graph.
func behind(a, b graph.Tuple) bool {
	return slices.Compare([]string{a.Subject.Type, a.Subject.ID, a.Relation, a.Object.Type, a.Object.ID}, []string{b.Subject.Type, b.Subject.ID, b.Relation, b.Object.Type, b.Object.ID}) > 0
}

// Places in lists of the access side are texts in a JSON array: ids are opaque,
// so none can separate them.

func writePlace(parts ...string) string {
	text, _ := json.Marshal(parts) // texts always have an encoding
	return base64.RawURLEncoding.EncodeToString(text)
}

func readPlace(after string, parts int) ([]string, error) {
	text, err := base64.RawURLEncoding.DecodeString(after)
	var all []string
	if err != nil || json.Unmarshal(text, &all) != nil || len(all) != parts {
		return nil, fault.New(fault.Invalid, "page_token_invalid", "the page token is not one of ours")
	}
	return all, nil
}

func writeTuple(t graph.Tuple) string {
	return writePlace(t.Subject.Type, t.Subject.ID, t.Relation, t.Object.Type, t.Object.ID)
}

func readTuple(after string) (t graph.Tuple, err error) {
	if after == "" {
		return t, nil
	}
	p, err := readPlace(after, 5)
	if err != nil {
		return t, err
	}
	return graph.Tuple{Subject: graph.Entity{Type: p[0], ID: p[1]}, Relation: p[2], Object: graph.Entity{Type: p[3], ID: p[4]}}, nil
}
