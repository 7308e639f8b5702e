package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A segment is lines of JSON, a record each, the oldest first. An object is a record in
// full. An array says in what a record differs from one before it:
//
//	[1,12,{"data":{"jti":"0rT4…"}}]
//
// is the record one line before, twelve milliseconds later and with another jti. Members
// that are not named are the same; text that is not there any more is "", a count 0.
// Those who know records in full only find that an array is none.

// mostChanged bounds the details, names and values, of a record that others are told by.
const mostChanged = 16

// appendSegment writes records as the body of a segment.
func appendSegment(b []byte, records []Activity) []byte {
	var e earlier
	for i := range records {
		told := false
		if by := e.find(records, i); by >= 0 {
			b, told = records[i].appendChange(b, &records[by], i-by)
		}
		if !told {
			b = records[i].append(b)
		}
		if i == 0 {
			b = slices.Grow(b, len(records)*(len(b)/4+8)) // most are a fifth of it
		}
	}
	return b
}

// earlier knows records by which others can be told: of each action and target, and of
// each action. Where two share a place, it forgets the one before.
type earlier struct {
	targets [1 << 10]int32 // one more than the index
	actions [1 << 4]int32
}

// find is the best record before the ith to tell it by, or -1. It notes the ith.
func (e *earlier) find(records []Activity, i int) int {
	a := &records[i]
	target, action := &e.targets[slot(a.Target)>>22], &e.actions[slot(a.Action)>>28]
	by := int(*target) - 1
	if by < 0 || records[by].Target != a.Target || records[by].Action != a.Action {
		if by = int(*action) - 1; by >= 0 && records[by].Action != a.Action {
			by = -1
		}
	}
	*target, *action = int32(i+1), int32(i+1)
	return by
}

// slot is a number by the end of s, where identifiers are random. Its first bits say most.
func slot(s string) uint32 {
	n := uint32(2166136261)
	for i := max(0, len(s)-6); i < len(s); i++ {
		n = (n ^ uint32(s[i])) * 16777619
	}
	return n
}

// appendChange writes how a differs from c, so many lines before. It reports false where
// only the record in full says it exactly.
func (a *Activity) appendChange(b []byte, c *Activity, back int) ([]byte, bool) {
	later := a.At.UnixMilli() - c.At.UnixMilli()
	if a.At != c.At.Add(time.Duration(later)*time.Millisecond) || !a.Data.alike(c.Data) {
		return b, false
	}
	b = strconv.AppendInt(append(b, '['), int64(back), 10)
	b = strconv.AppendInt(append(b, ','), later, 10)
	b = append(b, `,{`...)
	b = appendChanged(b, "action", a.Action, c.Action)
	if a.Actor != c.Actor {
		b = append(b, `"actor":{`...)
		b = appendChanged(b, "kind", a.Actor.Kind, c.Actor.Kind)
		b = appendChanged(b, "id", a.Actor.ID, c.Actor.ID)
		b = appendChanged(b, "client", a.Actor.Client, c.Actor.Client)
		b = appendChanged(b, "session", a.Actor.Session, c.Actor.Session)
		b = appendChanged(b, "ip", a.Actor.IP, c.Actor.IP)
		b = appendChanged(b, "ua", a.Actor.UserAgent, c.Actor.UserAgent)
		b = append(closed(b), ',')
	}
	b = appendChanged(b, "target", a.Target, c.Target)
	b = appendChanged(b, "reason", a.Reason, c.Reason)
	if a.Count != c.Count {
		b = append(strconv.AppendInt(append(b, `"count":`...), int64(a.Count), 10), ',')
	}
	from := len(b)
	b = append(b, `"data":{`...)
	named := len(b)
	for i := 0; i+1 < len(a.Data); i += 2 {
		if a.Data[i+1] != c.Data[i+1] {
			b = append(appendText(append(appendText(b, a.Data[i]), ':'), a.Data[i+1]), ',')
		}
	}
	if len(b) == named {
		b = b[:from]
	} else {
		b = append(closed(b), ',')
	}
	return append(closed(b), "]\n"...), true
}

// appendChanged writes a member with a comma behind it, if it is not what it was.
func appendChanged(b []byte, name, now, was string) []byte {
	if now == was {
		return b
	}
	b = append(append(append(b, '"'), name...), `":`...)
	return append(appendText(b, now), ',')
}

// closed ends an object: the comma behind its last member becomes its end.
func closed(b []byte) []byte {
	if last := len(b) - 1; b[last] == ',' {
		b[last] = '}'
		return b
	}
	return append(b, '}')
}

// alike reports whether d differs from c in values at most, which their names tell apart.
func (d Details) alike(c Details) bool {
	if len(d) != len(c) || len(d) > mostChanged {
		return false
	}
	for i := 0; i+1 < len(d); i += 2 {
		if d[i] != c[i] || !plain(d[i]) {
			return false
		}
		for j := 0; j < i; j += 2 {
			if d[j] == d[i] {
				return false
			}
		}
	}
	return true
}

var errSegment = errors.New("audit: a segment of activity cannot be read")

// decode returns a segment's records, newest first.
func (s segment) decode() (all []Activity, err error) {
	dec := json.NewDecoder(strings.NewReader(s.body))
	for {
		var line json.RawMessage
		if err := dec.Decode(&line); errors.Is(err, io.EOF) {
			slices.Reverse(all)
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("%w: %w", errSegment, err)
		}
		a, err := decodeLine(line, all)
		if err != nil {
			return nil, fmt.Errorf("%w: record %d: %w", errSegment, len(all), err)
		}
		all = append(all, a)
	}
}

// decodeLine reads a line behind those before it.
func decodeLine(line json.RawMessage, before []Activity) (a Activity, err error) {
	switch line[0] {
	case '{':
		err = json.Unmarshal(line, &a)
		return a, err
	case '[':
	default:
		return a, errors.New("a line is neither an object nor an array")
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(line, &parts); err != nil {
		return a, err
	}
	if len(parts) != 3 {
		return a, fmt.Errorf("an array of %d where 3 are known", len(parts))
	}
	back, err1 := strconv.Atoi(string(parts[0]))
	later, err2 := strconv.ParseInt(string(parts[1]), 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return a, err
	}
	if back < 1 || back > len(before) {
		return a, fmt.Errorf("it is told by one that is not there, %d lines before", back)
	}
	a = before[len(before)-back]
	err = a.change(later, parts[2])
	return a, err
}

// change makes of a record the one that differs from it so.
func (a *Activity) change(later int64, members json.RawMessage) error {
	const most = math.MaxInt64 / int64(time.Millisecond)
	if a.At = a.At.Add(time.Duration(later) * time.Millisecond); later < -most || later > most || a.At.Year() < 0 || a.At.Year() > 9999 {
		return errors.New("it is of no time")
	}
	if members[0] != '{' {
		return errors.New("what differs is not an object")
	}
	change := struct {
		*Activity
		Data Details `json:"data"`
	}{Activity: a}
	if err := json.Unmarshal(members, &change); err != nil {
		return err
	}
	if len(change.Data) == 0 {
		return nil
	}
	if len(a.Data) > mostChanged {
		return errors.New("it is told by one with too many details")
	}
	a.Data = slices.Clone(a.Data) // the other one keeps its own
	for i := 0; i < len(change.Data); i += 2 {
		at := a.Data.index(change.Data[i])
		if at < 0 {
			return fmt.Errorf("the one that it is told by has no detail %q", change.Data[i])
		}
		a.Data[at+1] = change.Data[i+1]
	}
	return nil
}
