package statuslist

import (
	"errors"
	"strconv"
	"strings"

	"github.com/cardea-id/cardea/internal/chain"
)

// The events of the stream, as its "event:" lines name them.
const (
	EventSnapshot = "snapshot"
	EventDelta    = "delta"
	EventHead     = "head"
)

// Kinds of cut-off.
const (
	CutIssuer    = "issuer"    // every token of the issuer
	CutClient    = "client"    // tokens with this client_id
	CutKey       = "key"       // whatever this kid signed; the position does not matter, a stolen key can write any
	CutPrincipal = "principal" // tokens with this sub; pairwise subjects and what the principal owns die by their bits
)

// Cutoff kills at once all tokens of one issuer, client, key or principal that
// were minted before Pos.
type Cutoff struct {
	Kind string   `json:"kind"`
	ID   string   `json:"id"`
	Pos  Position `json:"pos"`
	// Exp is when the last token that falls under it has expired, in seconds
	// since 1970. Zero says nothing: any token may.
	Exp int64 `json:"exp,omitempty"`
}

// DeadToken is one token killed by its jti until it would have expired anyway.
type DeadToken struct {
	JTI string `json:"jti"`
	Exp int64  `json:"exp"` // seconds since 1970
}

// ListState is one list with its bits: what the server holds and hands to the
// stream.
type ListState struct {
	URI  string
	ID   string
	Size int64
	Bits []byte // as Bitmap.Bytes
}

// State is everything dead in a realm. Pos is the position of the last record
// of the realm that is in it (or later: applying a death twice is harmless).
type State struct {
	Pos     Position
	Lists   []ListState
	Cutoffs []Cutoff
	JTIs    []DeadToken
}

// List is a list in a snapshot or, without Lst, a new and empty one in a delta.
type List struct {
	URI  string `json:"uri"`
	Size int64  `json:"size"`
	Lst  string `json:"lst,omitempty"`
}

// Dead are the indexes of one list that a delta kills.
type Dead struct {
	URI     string  `json:"uri"`
	Indexes []int64 `json:"idx"`
}

// Snapshot is the signed payload (TypeSnapshot) that starts a stream.
type Snapshot struct {
	Issuer   string      `json:"iss"`
	IssuedAt Instant     `json:"iat"`
	Boot     string      `json:"boot"` // names one life of one sender; positions and chains compare only within it
	Pos      Position    `json:"pos"`
	Chain    Chain       `json:"chain"`
	Lists    []List      `json:"lists"`
	Cutoffs  []Cutoff    `json:"cutoffs,omitempty"`
	JTIs     []DeadToken `json:"jtis,omitempty"`
}

// Delta is what changed at Pos. It is not signed itself: its bytes enter the
// chain, and the next head signs that. Deltas only kill, so a verifier applies
// them at once.
type Delta struct {
	Pos     Position    `json:"pos"`
	Lists   []Dead      `json:"lists,omitempty"`
	New     []List      `json:"new,omitempty"`
	Gone    []string    `json:"gone,omitempty"` // lists whose last token has expired
	Cutoffs []Cutoff    `json:"cutoffs,omitempty"`
	JTIs    []DeadToken `json:"jtis,omitempty"`
}

// Empty reports whether the delta changes nothing.
func (d *Delta) Empty() bool {
	return len(d.Lists)+len(d.New)+len(d.Gone)+len(d.Cutoffs)+len(d.JTIs) == 0
}

// Head is the signed payload (TypeHead) that proves that the deltas so far are
// all there were up to Pos.
type Head struct {
	Issuer   string   `json:"iss"`
	IssuedAt Instant  `json:"iat"`
	Boot     string   `json:"boot"`
	Pos      Position `json:"pos"`
	Chain    Chain    `json:"chain"`
}

// Chain is the running hash over the deltas of a stream, each in its bytes as sent.
type Chain = chain.Hash

// EventID is the id of a delta or snapshot on the stream:
// "<boot>.<epoch>.<seq>", which a reconnecting verifier sends as Last-Event-ID.
func EventID(boot string, p Position) string { return boot + "." + p.String() }

// ParseEventID reads what EventID writes.
func ParseEventID(s string) (boot string, p Position, err error) {
	boot, rest, ok := strings.Cut(s, ".")
	if !ok || boot == "" || len(s) > 120 {
		return "", Position{}, errors.New(`an event id is written "boot.epoch.seq"`)
	}
	p, err = ParsePosition(rest)
	return boot, p, err
}

// Instant is a NumericDate (RFC 7519, section 2) that keeps milliseconds, so
// that the age of a head can be told better than by the second.
type Instant int64 // milliseconds since 1970

// MarshalJSON writes seconds with three decimals.
func (i Instant) MarshalJSON() ([]byte, error) {
	if i < 0 {
		return nil, errors.New("an instant before 1970")
	}
	b := strconv.AppendInt(nil, int64(i)/1000, 10)
	ms := int64(i) % 1000
	return append(b, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10)), nil
}

// UnmarshalJSON reads a NumericDate up to the year 9999.
func (i *Instant) UnmarshalJSON(b []byte) error {
	secs, err := strconv.ParseFloat(string(b), 64)
	if err != nil || !(secs >= 0 && secs <= 253402300799) {
		return errors.New("not a date")
	}
	*i = Instant(secs*1000 + 0.5)
	return nil
}
