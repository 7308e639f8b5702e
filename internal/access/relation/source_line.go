package relation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
)

// fact is what a line says: a relation or an attribute. Rows of a database have
// the flat names.
type fact struct {
	Subject     *graph.Entity   `json:"subject"`
	SubjectType string          `json:"subject_type"`
	SubjectID   string          `json:"subject_id"`
	Relation    string          `json:"relation"`
	Object      *graph.Entity   `json:"object"`
	ObjectType  string          `json:"object_type"`
	ObjectID    string          `json:"object_id"`
	ExpiresAt   *time.Time      `json:"expires_at"`
	Entity      *graph.Entity   `json:"entity"`
	EntityType  string          `json:"entity_type"`
	EntityID    string          `json:"entity_id"`
	Name        string          `json:"name"`
	Value       json.RawMessage `json:"value"`
}

type attributeKey struct {
	graph.Entity
	name string
}

// given is everything that a source gives.
type given struct {
	tuples     map[graph.Tuple]int64 // without end: its end
	attributes map[attributeKey]string
}

func (s *Store) take(g *given, line []byte) error {
	var f fact
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return errors.New("it is not a JSON object of a relation or an attribute")
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("there is more than one JSON object")
	}
	either := func(e *graph.Entity, typ, id string) graph.Entity {
		if e != nil {
			return *e
		}
		return graph.Entity{Type: typ, ID: id}
	}
	if len(g.tuples)+len(g.attributes) >= maxPulled {
		return fmt.Errorf("there are more than %d facts", maxPulled)
	}
	if f.Relation != "" {
		t := graph.Tuple{Subject: either(f.Subject, f.SubjectType, f.SubjectID), Relation: f.Relation, Object: either(f.Object, f.ObjectType, f.ObjectID)}
		if err := s.checkTuple(t); err != nil {
			return err
		}
		var end int64
		if f.ExpiresAt != nil {
			end = max(f.ExpiresAt.UnixMilli(), 1)
		}
		g.tuples[t] = end
		return nil
	}
	k := attributeKey{either(f.Entity, f.EntityType, f.EntityID), f.Name}
	if err := s.checkAttribute(k.Entity, f.Name); err != nil {
		return err
	}
	v, err := Value(f.Value)
	if err != nil {
		return err
	}
	g.attributes[k], err = text(v)
	return err
}
