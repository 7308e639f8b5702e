package api

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
)

type writeFactsInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"What the sender calls the batch. Sent again under the same key within a week, it is not written again."`
	Body wire.AccessChanges
}

// writeFacts writes a batch of relations and attributes.
func (s *Server) writeFacts(ctx context.Context, c *Caller, in *writeFactsInput) (*plainAnswer[wire.AccessWritten], error) {
	b, err := batchOf(in.Body)
	if err != nil {
		return nil, err
	}
	b.Key = in.Key
	done, err := s.Facts.Write(ctx, c.By, c.Realm.Name, b)
	if err != nil {
		return nil, err
	}
	return plain(wire.AccessWritten{Revision: done.Revision.String(), Repeated: done.Repeated}), nil
}

func batchOf(w wire.AccessChanges) (b relation.Batch, err error) {
	if b.Unchanged, err = revision(w.Unchanged); err != nil {
		return b, err
	}
	for _, e := range w.Drop {
		b.Drop = append(b.Drop, graph.Entity(e))
	}
	for _, t := range w.Remove {
		b.Remove = append(b.Remove, namedTuple(t))
	}
	for _, a := range w.Unset {
		b.Change.Unset = append(b.Change.Unset, graph.Attribute{Entity: graph.Entity(a.Entity), Name: a.Name})
	}
	for _, t := range w.Add {
		b.Add = append(b.Add, tupleIn(t))
	}
	for i, a := range w.Set {
		v, err := relation.Value(a.Value)
		if err != nil {
			return b, badValue(fmt.Sprintf("set[%d].value", i), err)
		}
		b.Set = append(b.Set, graph.Attribute{Entity: graph.Entity(a.Entity), Name: a.Name, Value: v})
	}
	for i, r := range w.Require {
		out := relation.Requirement{Absent: r.Absent}
		if out.Unchanged, err = revision(r.Unchanged); err != nil {
			return b, err
		}
		if r.Relation != nil {
			t := namedTuple(*r.Relation)
			out.Tuple = &t
		}
		if r.Attribute != nil {
			out.Attribute = &graph.Attribute{Entity: graph.Entity(r.Attribute.Entity), Name: r.Attribute.Name}
			if len(r.Attribute.Value) > 0 {
				if out.Attribute.Value, err = relation.Value(r.Attribute.Value); err != nil {
					return b, badValue(fmt.Sprintf("require[%d].attribute.value", i), err)
				}
			}
		}
		b.Require = append(b.Require, out)
	}
	return b, nil
}

func badValue(field string, err error) error {
	return fault.New(fault.Invalid, "fact_invalid", "%s: %s", field, err).WithField(field, err.Error())
}

// revision reads one that was given out; "" is none.
func revision(text string) (audit.Position, error) {
	if text == "" {
		return audit.Position{}, nil
	}
	p, err := audit.ParsePosition(text)
	if err != nil {
		return p, fault.New(fault.Invalid, "revision_invalid", "a revision is one that was given out, such as 0.1234").WithField("unchanged_since", "is not a revision")
	}
	return p, nil
}

func namedTuple(t wire.RelationName) graph.Tuple {
	return graph.Tuple{Subject: graph.Entity(t.Subject), Relation: t.Relation, Object: graph.Entity(t.Object)}
}

// tupleIn reads a relation.
func tupleIn(t wire.Relation) graph.Tuple {
	out := graph.Tuple{Subject: graph.Entity(t.Subject), Relation: t.Relation, Object: graph.Entity(t.Object)}
	if t.ExpiresAt != nil {
		out.Expires = max(t.ExpiresAt.UnixMilli(), 1)
	}
	return out
}

type listRelationsInput struct {
	Paging
	SubjectType string `query:"subject_type" maxLength:"128" doc:"Relations of subjects of this type."`
	SubjectID   string `query:"subject_id" maxLength:"512" doc:"Of this subject; with subject_type."`
	Relation    string `query:"relation" maxLength:"64" doc:"Of this name."`
	ObjectType  string `query:"object_type" maxLength:"128" doc:"To objects of this type."`
	ObjectID    string `query:"object_id" maxLength:"512" doc:"To this object; with object_type."`
	Source      string `query:"source" maxLength:"64" doc:"From this pulled source."`
}

type factPage[T any] struct{ Body wire.FactPage[T] }

func (s *Server) listRelations(ctx context.Context, c *Caller, in *listRelationsInput) (*factPage[wire.Relation], error) {
	f := relation.Filter{Subject: graph.Entity{Type: in.SubjectType, ID: in.SubjectID}, Object: graph.Entity{Type: in.ObjectType, ID: in.ObjectID}, Relation: in.Relation, Source: in.Source}
	rows, next, at, err := s.Facts.List(ctx, c.Realm.Name, f, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	out := wire.FactPage[wire.Relation]{Items: make([]wire.Relation, len(rows)), Next: next, Revision: at.String()}
	for i, r := range rows {
		out.Items[i] = wire.Relation{Subject: wire.Entity(r.Subject), Relation: r.Relation, Object: wire.Entity(r.Object), Source: r.Source}
		if r.Expires != 0 {
			out.Items[i].ExpiresAt = optional(time.UnixMilli(r.Expires))
		}
	}
	return &factPage[wire.Relation]{out}, nil
}

type listAttributesInput struct {
	Paging
	EntityType string `query:"entity_type" maxLength:"128" doc:"Attributes of entities of this type."`
	EntityID   string `query:"entity_id" maxLength:"512" doc:"Of this entity; with entity_type."`
	Name       string `query:"name" maxLength:"64" doc:"Of this name."`
	Source     string `query:"source" maxLength:"64" doc:"From this pulled source."`
}

func (s *Server) listAttributes(ctx context.Context, c *Caller, in *listAttributesInput) (*factPage[wire.Attribute], error) {
	f := relation.Filter{Subject: graph.Entity{Type: in.EntityType, ID: in.EntityID}, Relation: in.Name, Source: in.Source}
	rows, next, at, err := s.Facts.Attributes(ctx, c.Realm.Name, f, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	out := wire.FactPage[wire.Attribute]{Items: make([]wire.Attribute, len(rows)), Next: next, Revision: at.String()}
	for i, a := range rows {
		out.Items[i] = wire.Attribute{Entity: wire.Entity(a.Entity), Name: a.Name, Value: json.RawMessage(a.Value), Source: a.Source}
	}
	return &factPage[wire.Attribute]{out}, nil
}
