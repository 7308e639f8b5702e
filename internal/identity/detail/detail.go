// Package detail owns the types of authorization details (RFC 9396): which
// there are in a realm, what a detail of each type must look like, and how it
// is put into words for the person who is asked. It reads details and compares
// them; what they allow is the business of whoever they are shown to.
package detail

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/jose"
)

// Bounds of an authorization_details parameter.
const (
	MaxBytes   = 4 << 10
	MaxDetails = 10
)

// Detail is one authorization detail as somebody asks for it.
type Detail struct {
	Type string
	// Text is the detail as JSON in one spelling: no space, names sorted. Two
	// details ask for the same if their texts are the same.
	Text string

	value any // as decoded, for its schema and words
}

// List is authorization_details in the order asked for. Nil is none.
type List []Detail

// Parse reads an authorization_details parameter (RFC 9396, section 2). It does
// not know the types; see [Registry.Check]. What is wrong is fault.Invalid.
func Parse(text string) (List, error) {
	if len(text) > MaxBytes {
		return nil, invalid("authorization_details is longer than %d bytes", MaxBytes)
	}
	// Read strictly first: names twice and the like have two meanings.
	strict, err := jose.ParseObject([]byte(`{"list":` + text + `}`))
	if err != nil || len(strict.Members()) != 1 {
		return nil, invalid("authorization_details is not a JSON array")
	}
	raw, _ := strict.Raw("list")
	var items []any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if raw[0] != '[' || d.Decode(&items) != nil {
		return nil, invalid("authorization_details is not a JSON array")
	}
	if len(items) == 0 || len(items) > MaxDetails {
		return nil, invalid("authorization_details holds 1 to %d details", MaxDetails)
	}
	list := make(List, len(items))
	for i, item := range items {
		object, _ := item.(map[string]any)
		name, _ := object["type"].(string)
		if name == "" {
			return nil, invalid("authorization_details[%d] is not an object with a type", i)
		}
		spelled, err := spell(item)
		if err != nil {
			return nil, err
		}
		list[i] = Detail{Type: name, Text: spelled, value: item}
		if list[:i].has(spelled) {
			return nil, invalid("authorization_details[%d] is there twice", i)
		}
	}
	return list, nil
}

// spell writes JSON in its one spelling.
func spell(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

func (l List) has(text string) bool {
	return slices.ContainsFunc(l, func(d Detail) bool { return d.Text == text })
}

// String is the list as JSON, "" for none.
func (l List) String() string {
	if len(l) == 0 {
		return ""
	}
	b := []byte{'['}
	for i, d := range l {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, d.Text...)
	}
	return string(append(b, ']'))
}

// Among says where each of l stands in granted, in its order. It reports false
// if one of them was not granted as it is asked for: less of a detail is
// another detail (RFC 9396, section 6.1 leaves the comparison to us).
func (l List) Among(granted List) ([]int, bool) {
	at := make([]int, 0, len(l))
	for _, d := range l {
		i := slices.IndexFunc(granted, func(g Detail) bool { return g.Text == d.Text })
		if i < 0 {
			return nil, false
		}
		at = append(at, i)
	}
	slices.Sort(at)
	return at, true
}

// Pick are the details at the given places; those there are not are left out.
func (l List) Pick(at []int) List {
	var picked List
	for _, i := range at {
		if i >= 0 && i < len(l) {
			picked = append(picked, l[i])
		}
	}
	return picked
}

func invalid(format string, args ...any) error {
	return fault.New(fault.Invalid, "authorization_details_invalid", format, args...)
}

// place names a detail, or a member of one, in what is said to a client.
func place(i int, path []string) string {
	b := []byte("authorization_details[" + strconv.Itoa(i) + "]")
	for _, name := range path {
		if strings.ContainsFunc(name, func(r rune) bool { return !member(r) }) {
			break // the client's own word, which may hold anything
		}
		b = append(append(b, '.'), name...)
	}
	return string(b)
}
