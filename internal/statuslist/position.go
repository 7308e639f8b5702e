package statuslist

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
)

// Position is a place in the event log: an epoch, which rises when a failover
// may have lost events, and a sequence number within it.
type Position struct{ Epoch, Seq int64 }

// String writes the position as it stands in tokens: "epoch.seq".
func (p Position) String() string {
	b := strconv.AppendInt(make([]byte, 0, 24), p.Epoch, 10)
	return string(strconv.AppendInt(append(b, '.'), p.Seq, 10))
}

// ParsePosition reads what String writes, and nothing else.
func ParsePosition(s string) (Position, error) {
	e, q, ok := strings.Cut(s, ".")
	if ok {
		epoch, errE := strconv.ParseInt(e, 10, 64)
		seq, errS := strconv.ParseInt(q, 10, 64)
		p := Position{epoch, seq}
		if errE == nil && errS == nil && epoch >= 0 && seq >= 0 && p.String() == s {
			return p, nil
		}
	}
	return Position{}, errors.New(`a position is written "epoch.seq"`)
}

// Compare returns -1, 0 or 1 as p lies before, at or after o.
func (p Position) Compare(o Position) int {
	return cmp.Or(cmp.Compare(p.Epoch, o.Epoch), cmp.Compare(p.Seq, o.Seq))
}

// Before reports whether p lies before o.
func (p Position) Before(o Position) bool { return p.Compare(o) < 0 }

// MarshalText writes "epoch.seq".
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads "epoch.seq".
func (p *Position) UnmarshalText(b []byte) error {
	v, err := ParsePosition(string(b))
	if err == nil {
		*p = v
	}
	return err
}
