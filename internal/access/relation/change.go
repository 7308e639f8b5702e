package relation

import (
	"encoding/json"
	"fmt"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/audit"
)

// Changed is the action of the event of a batch. Its data carries the version of
// the realm's facts and the change itself.
const Changed = "access.change"

// A fact in an event is a list, because a batch has many: a tuple is subject type
// and id, relation, object type and id, end; an attribute is entity type and id,
// name, value as JSON text, so that numbers stay what they are.

func eventOf(target string, version int64, c graph.Change, texts []string, source string) audit.Event {
	data := map[string]any{"version": version}
	put := func(name string, list []any) {
		if len(list) > 0 {
			data[name] = list
		}
	}
	put("add", listed(c.Add, func(t graph.Tuple) any {
		return []any{t.Subject.Type, t.Subject.ID, t.Relation, t.Object.Type, t.Object.ID, t.Expires}
	}))
	put("remove", listed(c.Remove, func(t graph.Tuple) any {
		return []any{t.Subject.Type, t.Subject.ID, t.Relation, t.Object.Type, t.Object.ID}
	}))
	if len(c.Set) > 0 {
		list := make([]any, len(c.Set))
		for i, a := range c.Set {
			list[i] = []any{a.Entity.Type, a.Entity.ID, a.Name, texts[i]}
		}
		data["set"] = list
	}
	put("unset", listed(c.Unset, func(a graph.Attribute) any { return []any{a.Entity.Type, a.Entity.ID, a.Name} }))
	put("drop", listed(c.Drop, func(e graph.Entity) any { return []any{e.Type, e.ID} }))
	if source != "" {
		data["source"] = source
	}
	return audit.Event{Action: Changed, TargetType: "access_batch", Target: target, Data: data}
}

func listed[T any](items []T, as func(T) any) []any {
	list := make([]any, len(items))
	for i, x := range items {
		list[i] = as(x)
	}
	return list
}

// ChangeOf reads the event of a batch: the version of the facts after it, and
// what it changed.
func ChangeOf(e audit.Event) (version int64, c graph.Change, err error) {
	version, ok := number(e.Data["version"])
	if !ok {
		return 0, c, fmt.Errorf("event of %s has no version", e.Target)
	}
	each(e.Data["add"], func(f []any) {
		end, ok := number(at(f, 5))
		c.Add = append(c.Add, graph.Tuple{Subject: entity(f, 0), Relation: word(f, 2), Object: entity(f, 3), Expires: end})
		if !ok {
			err = fmt.Errorf("event of %s has a relation without end", e.Target)
		}
	})
	each(e.Data["remove"], func(f []any) {
		c.Remove = append(c.Remove, graph.Tuple{Subject: entity(f, 0), Relation: word(f, 2), Object: entity(f, 3)})
	})
	each(e.Data["set"], func(f []any) {
		v, bad := Value([]byte(word(f, 3)))
		if bad != nil {
			err = bad
		}
		c.Set = append(c.Set, graph.Attribute{Entity: entity(f, 0), Name: word(f, 2), Value: v})
	})
	each(e.Data["unset"], func(f []any) { c.Unset = append(c.Unset, graph.Attribute{Entity: entity(f, 0), Name: word(f, 2)}) })
	each(e.Data["drop"], func(f []any) { c.Drop = append(c.Drop, entity(f, 0)) })
	return version, c, err
}

func each(list any, do func([]any)) {
	all, _ := list.([]any)
	for _, f := range all {
		fields, _ := f.([]any)
		do(fields)
	}
}

func at(f []any, i int) any {
	if i < len(f) {
		return f[i]
	}
	return nil
}

func word(f []any, i int) string {
	s, _ := at(f, i).(string)
	return s
}

func entity(f []any, i int) graph.Entity { return graph.Entity{Type: word(f, i), ID: word(f, i+1)} }

// number reads a number of an event, which is an int64 when it was appended and a
// float64 when it was read back.
func number(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case float64:
		return int64(n), true
	case json.Number:
		i, err := n.Int64()
		return i, err == nil
	}
	return 0, false
}

// Count is how many facts a change touches.
func Count(c graph.Change) int {
	return len(c.Add) + len(c.Remove) + len(c.Set) + len(c.Unset) + len(c.Drop)
}
