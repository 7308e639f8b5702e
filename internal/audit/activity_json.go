package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"time"
)

// Details are names and values, alternating: they cost less than a map, and
// activity is noted with every token. As JSON they are an object.
type Details []string

// MarshalJSON writes an object.
func (d Details) MarshalJSON() ([]byte, error) { return appendDetails(nil, d), nil }

// UnmarshalJSON reads an object.
func (d *Details) UnmarshalJSON(b []byte) error {
	*d = nil
	dec := json.NewDecoder(bytes.NewReader(b))
	switch begin, err := dec.Token(); {
	case err != nil:
		return err
	case begin == nil: // null
		return nil
	case begin != json.Delim('{'):
		return errors.New("audit: details are an object")
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var value string
		if err := dec.Decode(&value); err != nil {
			return err
		}
		*d = append(*d, name.(string), value) // names are strings, or it is no JSON
	}
	return nil
}

// Get is the value of a name, or "".
func (d Details) Get(name string) string {
	if i := d.index(name); i >= 0 {
		return d[i+1]
	}
	return ""
}

// index is where a name stands, or -1.
func (d Details) index(name string) int {
	for i := 0; i+1 < len(d); i += 2 {
		if d[i] == name {
			return i
		}
	}
	return -1
}

// append writes the line that encoding/json would, in a fraction of its time.
func (a *Activity) append(b []byte) []byte {
	b = a.At.AppendFormat(append(b, `{"at":"`...), time.RFC3339Nano)
	b = appendText(append(b, `","action":`...), a.Action)
	b = appendText(append(b, `,"actor":{"kind":`...), a.Actor.Kind)
	b = appendMember(b, "id", a.Actor.ID)
	b = appendMember(b, "client", a.Actor.Client)
	b = appendMember(b, "session", a.Actor.Session)
	b = appendMember(b, "ip", a.Actor.IP)
	b = append(appendMember(b, "ua", a.Actor.UserAgent), '}')
	b = appendMember(b, "target", a.Target)
	b = appendMember(b, "reason", a.Reason)
	if a.Count != 0 {
		b = strconv.AppendInt(append(b, `,"count":`...), int64(a.Count), 10)
	}
	if len(a.Data) > 0 {
		b = appendDetails(append(b, `,"data":`...), a.Data)
	}
	return append(b, "}\n"...)
}

func appendDetails(b []byte, d Details) []byte {
	b = append(b, '{')
	for i := 0; i+1 < len(d); i += 2 {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(append(appendText(b, d[i]), ':'), d[i+1])
	}
	return append(b, '}')
}

// appendMember writes one member behind others, unless it is empty.
func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	return appendText(b, value)
}

// appendText appends s as a JSON string.
func appendText(b []byte, s string) []byte {
	if !plain(s) {
		text, _ := json.Marshal(s) // strings always have an encoding
		return append(b, text...)
	}
	return append(append(append(b, '"'), s...), '"')
}

// plain reports whether s stands in JSON as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}
