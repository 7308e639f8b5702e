package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/fault"
)

const (
	maxJSON      = 1 << 20
	maxJSONDepth = 32
)

// ReadJSON reads an application/json body of at most 1 MiB into v, as strictly
// as Strict.
func ReadJSON(w http.ResponseWriter, r *http.Request, v any) error {
	if err := mediaType(r, "application/json"); err != nil {
		return err
	}
	body, err := readAll(w, r, maxJSON, nil)
	if err != nil {
		return err
	}
	return Strict([]byte(body), v)
}

// Strict decodes JSON that means one thing only: valid UTF-8, one value, no key
// twice (also not in another case), no key that v does not have exactly so, at
// most 32 levels deep.
func Strict(data []byte, v any) error {
	if !utf8.Valid(data) {
		return badJSON("it is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	i := inspector{dec, map[reflect.Type]map[string]reflect.Type{}}
	if err := i.value(reflect.TypeOf(v), 0); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return badJSON("something follows the first value")
	}
	err := json.Unmarshal(data, v)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		// The message of encoding/json quotes the value; ours must not.
		return badJSON("field %q cannot be a %s", wrong.Field, strings.SplitN(wrong.Value, " ", 2)[0])
	}
	if err != nil {
		return badJSON("a field has a value that it cannot have")
	}
	return nil
}

// inspector walks a document and compares its keys with a type.
type inspector struct {
	*json.Decoder
	known map[reflect.Type]map[string]reflect.Type // fields of the structs met so far
}

// value walks one value of type t, which is nil where anything goes.
func (i *inspector) value(t reflect.Type, depth int) error {
	if depth > maxJSONDepth {
		return badJSON("it is more than %d levels deep", maxJSONDepth)
	}
	tok, err := i.Token()
	if err != nil {
		return i.malformed()
	}
	switch tok {
	case json.Delim('{'):
		return i.object(t, depth)
	case json.Delim('['):
		elem := elemType(t, reflect.Slice, reflect.Array)
		for i.More() {
			if err := i.value(elem, depth+1); err != nil {
				return err
			}
		}
		if _, err := i.Token(); err != nil {
			return i.malformed()
		}
	}
	return nil
}

func (i *inspector) object(t reflect.Type, depth int) error {
	fields, met := i.known[t]
	if !met {
		fields = fieldsOf(t)
		i.known[t] = fields
	}
	elem := elemType(t, reflect.Map)
	seen := map[string]bool{}
	for i.More() {
		tok, err := i.Token()
		if err != nil {
			return i.malformed()
		}
		key, ok := tok.(string)
		if !ok {
			return i.malformed()
		}
		folded := fold(key)
		if seen[folded] {
			return badJSON("key %q is there more than once", clip(key))
		}
		seen[folded] = true
		inner := elem
		if fields != nil {
			f, known := fields[key]
			if !known {
				return badJSON("key %q is unknown", clip(key))
			}
			inner = f
		}
		if err := i.value(inner, depth+1); err != nil {
			return err
		}
	}
	if _, err := i.Token(); err != nil {
		return i.malformed()
	}
	return nil
}

func (i *inspector) malformed() error {
	return badJSON("it is malformed at byte %d", i.InputOffset())
}

// fold maps keys to one form when encoding/json could take one for the other.
func fold(s string) string {
	return strings.ToLower(strings.ToUpper(s)) // also of the long s and the Kelvin sign
}

// elemType is the element type of t if it is of one of the kinds, else nil.
func elemType(t reflect.Type, kinds ...reflect.Kind) reflect.Type {
	t = plain(t)
	for _, k := range kinds {
		if t != nil && t.Kind() == k {
			return t.Elem()
		}
	}
	return nil
}

// fieldsOf are the keys of a struct with their types, nil when t is none.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	t = plain(t)
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if f.Anonymous && name == "" {
			for k, v := range fieldsOf(f.Type) {
				if _, taken := fields[k]; !taken {
					fields[k] = v
				}
			}
			continue
		}
		if !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields[name] = f.Type
	}
	return fields
}

// plain strips pointers; a type that decodes itself says nothing of its keys.
func plain(t reflect.Type) reflect.Type {
	for t != nil {
		if t.Implements(unmarshaler) || reflect.PointerTo(t).Implements(unmarshaler) {
			return nil
		}
		if t.Kind() != reflect.Pointer {
			return t
		}
		t = t.Elem()
	}
	return nil
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func badJSON(format string, args ...any) error {
	f := fault.New(fault.Invalid, "invalid_json", format, args...)
	f.Detail = "the JSON cannot be read: " + f.Detail
	return f
}
