package policy

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
)

// value makes of a JSON value the Cedar value of the type that the schema
// expects. Names that a record of the schema does not have are left out, so the
// cost is bounded by the schema and not by what was sent.
func value(v any, t resolved.IsType) (types.Value, error) {
	switch t := t.(type) {
	case resolved.StringType:
		if s, ok := v.(string); ok {
			return types.String(s), nil
		}
	case resolved.BoolType:
		if b, ok := v.(bool); ok {
			return types.Boolean(b), nil
		}
	case resolved.LongType:
		if n, ok := integer(v); ok {
			return types.Long(n), nil
		}
	case resolved.EntityType:
		return reference(v, types.EntityType(t))
	case resolved.ExtensionType:
		return extension(v, string(t))
	case resolved.SetType:
		return set(v, t)
	case resolved.RecordType:
		m, ok := object(v)
		if !ok {
			break
		}
		return record(m, t)
	}
	return nil, fmt.Errorf("expected %s, got %s", typeName(t), kind(v))
}

func record(m map[string]any, t resolved.RecordType) (types.Value, error) {
	out := make(types.RecordMap, len(t))
	for name, a := range t {
		v, ok := m[string(name)]
		if !ok || v == nil {
			continue
		}
		c, err := value(v, a.Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = c
	}
	return types.NewRecord(out), nil
}

func set(v any, t resolved.SetType) (types.Value, error) {
	var out []types.Value
	add := func(v any) error {
		c, err := value(v, t.Element)
		if err != nil {
			return fmt.Errorf("element %d: %w", len(out)+1, err)
		}
		out = append(out, c)
		return nil
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := add(e); err != nil {
				return nil, err
			}
		}
	case []string:
		for _, e := range v {
			if err := add(e); err != nil {
				return nil, err
			}
		}
	default:
		return nil, fmt.Errorf("expected %s, got %s", typeName(t), kind(v))
	}
	return types.NewSet(out...), nil
}

// reference reads an entity: {"type", "id"}, the same under "__entity" as Cedar
// writes it, or the id alone, since the schema knows the type.
func reference(v any, want types.EntityType) (types.Value, error) {
	switch v := v.(type) {
	case string:
		return types.NewEntityUID(want, types.String(v)), nil
	case Entity:
		return reference(map[string]any{"type": v.Type, "id": v.ID}, want)
	}
	m, ok := object(v)
	if inner, wrapped := m["__entity"]; wrapped {
		m, ok = object(inner)
	}
	typ, hasType := m["type"].(string)
	id, hasID := m["id"].(string)
	if !ok || !hasType || !hasID {
		return nil, fmt.Errorf("expected an entity of type %s, got %s", want, kind(v))
	}
	if typ != string(want) {
		return nil, fmt.Errorf("expected an entity of type %s, got one of type %s", want, typ)
	}
	return types.NewEntityUID(want, types.String(id)), nil
}

// extension reads Cedar's other types from strings. Times and durations may be
// numbers of seconds as tokens have them (NumericDate, RFC 7519, section 2).
func extension(v any, name string) (types.Value, error) {
	if m, ok := object(v); ok {
		if inner, ok := object(m["__extn"]); ok {
			v = inner["arg"]
		}
	}
	if t, ok := v.(time.Time); ok && name == "datetime" {
		return types.NewDatetime(t), nil
	}
	if n, ok := integer(v); ok && n < math.MaxInt64/1000 && n > math.MinInt64/1000 {
		switch name {
		case "datetime":
			return types.NewDatetimeFromMillis(n * 1000), nil
		case "duration":
			return types.NewDurationFromMillis(n * 1000), nil
		}
	}
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("expected %s, got %s", name, kind(v))
	}
	switch name {
	case "ipaddr":
		return checked(types.ParseIPAddr(s))
	case "decimal":
		return checked(types.ParseDecimal(s))
	case "datetime":
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			return types.NewDatetime(t), nil
		}
		return checked(types.ParseDatetime(s))
	case "duration":
		return checked(types.ParseDuration(s))
	}
	return nil, fmt.Errorf("unknown type %s", name)
}

func checked[T types.Value](v T, err error) (types.Value, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case int:
		return int64(v), true
	case json.Number:
		n, err := strconv.ParseInt(string(v), 10, 64)
		return n, err == nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), true
		}
	}
	return 0, false
}

func object(v any) (map[string]any, bool) {
	switch v := v.(type) {
	case map[string]any:
		return v, true
	case Properties:
		return v, true
	}
	return nil, false
}

func typeName(t resolved.IsType) string {
	switch t := t.(type) {
	case resolved.StringType:
		return "a string"
	case resolved.BoolType:
		return "true or false"
	case resolved.LongType:
		return "a whole number"
	case resolved.EntityType:
		return "an entity of type " + string(t)
	case resolved.ExtensionType:
		return string(t)
	case resolved.SetType:
		return "an array"
	}
	return "an object"
}

// kind names the kind of a JSON value without showing it.
func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "true or false"
	case json.Number, float64, int64, int:
		return "a number"
	case []any, []string:
		return "an array"
	case map[string]any, Properties:
		return "an object"
	}
	return fmt.Sprintf("%T", v)
}
