package residual

import (
	"encoding/json"
	"strconv"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// Node is a condition as JSON has it.
type Node struct {
	Op      policy.Op `json:"op"`
	Args    []Node    `json:"args,omitempty"`
	Field   *Field    `json:"field,omitempty"`
	Other   *Field    `json:"other,omitempty"`
	Values  []any     `json:"values,omitempty"`
	Pattern []Piece   `json:"pattern,omitempty"`
}

// Field is what a row says: its id, an attribute or a parent.
type Field struct {
	Kind   policy.FieldKind `json:"kind"`
	Name   string           `json:"name,omitempty"`
	Type   policy.ValueKind `json:"type"`
	Column string           `json:"column"`
}

// Piece is a part of a pattern: text, or any text.
type Piece struct {
	Text string `json:"text,omitempty"`
	Any  bool   `json:"any,omitempty"`
}

// Tree writes a condition as JSON has it.
func Tree(c policy.Condition, m Mapping) (Node, error) {
	n := Node{Op: c.Op, Values: Values(c.Values)}
	for _, a := range c.Args {
		below, err := Tree(a, m)
		if err != nil {
			return Node{}, err
		}
		n.Args = append(n.Args, below)
	}
	for _, f := range []struct {
		of policy.Field
		to **Field
	}{{c.Field, &n.Field}, {c.Other, &n.Other}} {
		if f.of.Kind == "" {
			continue
		}
		col, err := m.column(f.of)
		if err != nil {
			return Node{}, err
		}
		*f.to = &Field{Kind: f.of.Kind, Name: f.of.Name, Type: f.of.Of, Column: col.Name}
	}
	for _, p := range c.Pattern {
		if p == nil {
			n.Pattern = append(n.Pattern, Piece{Any: true})
		} else {
			n.Pattern = append(n.Pattern, Piece{Text: *p})
		}
	}
	return n, nil
}

// exactNumber is the greatest whole number that every reader of JSON keeps exact
// (RFC 8259, section 6).
const exactNumber = 1<<53 - 1

// Values are values as JSON carries them without loss: a whole number beyond what
// a float holds is a string of its digits, which the SQL casts.
func Values(in []any) []any {
	var out []any
	for _, v := range in {
		if n, ok := v.(int64); ok {
			if n > exactNumber || n < -exactNumber {
				out = append(out, strconv.FormatInt(n, 10))
			} else {
				out = append(out, json.Number(strconv.FormatInt(n, 10)))
			}
			continue
		}
		out = append(out, v)
	}
	return out
}
