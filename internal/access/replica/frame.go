// Package replica is what a server and its edges agree on: how a realm's facts and
// policies are written down, canonically and in bounded pieces; the hash chain and
// the signed heads of the stream that carries them; and the follower, which holds
// nothing that a head did not vouch for. It is pure: bytes come from elsewhere.
package replica

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cardea-id/cardea/internal/chain"
)

// The kinds of frames. A stream is a sequence of them.
const (
	KindBegin = 'B' // JSON of Begin: how the stream joins what the follower has
	KindPart  = 'P' // facts and policies
	KindHead  = 'H' // a signed Head: everything since the last one counts now
)

// TypeHead is the typ of the JWS that a head is.
const TypeHead = "edge-head+jwt"

// MaxFrame bounds a frame. A policy folder is the largest thing in one.
const MaxFrame = 4 << 20

// Chain is the hash of all frames of a stream but its heads.
type Chain struct{ chain.Hash }

// Next returns the chain after a frame.
func (c Chain) Next(kind byte, payload []byte) Chain {
	return Chain{c.Hash.Next([]byte{kind}, payload)}
}

// The ways in which a stream joins what its follower has.
const (
	ModeSnapshot = "snapshot" // everything follows
	ModePatch    = "patch"    // what may have changed since the follower's revision follows
	ModeResume   = "resume"   // the line goes on where the follower was
)

// Begin is the first frame of a connection.
type Begin struct {
	Mode string `json:"mode"`
	Line string `json:"line"` // the stream as one node makes it; another node makes another
	// At is when the request for the stream came, in milliseconds since 1970 by the
	// database's clock: the follower's request cannot have been made later.
	At int64 `json:"at,omitempty"`
}

// Head says where the stream stands. It is signed by a key of the realm.
type Head struct {
	Issuer   string   `json:"iss"`
	At       int64    `json:"at"` // milliseconds since 1970, by the database's clock
	Line     string   `json:"line"`
	Seq      int64    `json:"seq"` // parts of the line so far
	Revision int64    `json:"rev"`
	Chain    Chain    `json:"chain"`          // what was sent up to here
	Next     *Chain   `json:"next,omitempty"` // at the end of a join: what the line goes on from
	Policies string   `json:"policies"`       // hash of the policies, "" where there are none
	Facts    uint64   `json:"facts,string"`   // the sum of those that the follower now has
	Types    []string `json:"types,omitempty"`
}

// AppendFrame writes a frame behind dst.
func AppendFrame(dst []byte, kind byte, payload []byte) []byte {
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	return append(dst, payload...)
}

// ReadFrame reads the next frame. The error is io.EOF where the stream ends
// between two.
func ReadFrame(r io.Reader) (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > MaxFrame {
		return 0, nil, fmt.Errorf("a frame of %d bytes is longer than any", n)
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return head[0], payload, nil
}

// Superseded reports whether the head that was just read from in need not be judged:
// a later one is here already and vouches for all that this one does. news says that
// parts came before this head. Where parts come behind it as well, it counts, since
// what two heads tell is not one change. Only a stream that was joined may go on so.
func Superseded(in *bufio.Reader, news bool) bool {
	b, _ := in.Peek(in.Buffered()) // what is there can be looked at
	for len(b) >= 5 {
		n := binary.BigEndian.Uint32(b[1:])
		switch {
		case n > MaxFrame || int(n) > len(b)-5:
			return false
		case b[0] == KindHead:
			return true
		case b[0] != KindPart || news:
			return false
		}
		b = b[5+n:]
	}
	return false
}

// epochShift is that of audit.Position.Revision.
const epochShift = 40

// Text writes a revision as people and headers have it: epoch and position.
func Text(revision int64) string {
	return fmt.Sprintf("%d.%d", revision>>epochShift, revision&(1<<epochShift-1))
}

// Parse reads what Text writes.
func Parse(text string) (int64, error) {
	var epoch, seq int64
	var rest string
	if n, _ := fmt.Sscanf(text+" .", "%d.%d %s", &epoch, &seq, &rest); n != 3 || rest != "." ||
		epoch < 0 || seq < 0 || epoch >= 1<<(62-epochShift) || seq >= 1<<epochShift || Text(epoch<<epochShift|seq) != text {
		return 0, errors.New("a revision is two numbers such as 1.4711")
	}
	return epoch<<epochShift | seq, nil
}
