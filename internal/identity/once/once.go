// Package once owns every value that is good for one use: authorization codes,
// links in mails, set-up links, sign-in transactions, and the identifiers of
// client assertions that must not come twice.
//
// A value is stored as its SHA-256 together with everything it is bound to, and
// is consumed by one conditional UPDATE, so that no interleaving of requests,
// nodes and crashes uses it twice. The package does not know what the values
// are for: the purpose is a word of the caller's, and a value is never good for
// another purpose, client or binding than its own.
package once

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/secret"
)

// Purpose says what a value is good for, such as "code".
type Purpose string

// Code is the purpose of authorization codes (RFC 6749, section 4.1.2).
const Code Purpose = "code"

// Pushed is the purpose of pushed authorization requests (RFC 9126).
const Pushed Purpose = "pushed_request"

// Proof is the purpose of the ids of DPoP proofs (RFC 9449, section 11.1).
const Proof Purpose = "dpop_proof"

// Value is a single-use value as it is stored: all but the value itself.
type Value struct {
	Purpose Purpose
	// Subject is the principal it is about, if any. It is not compared.
	Subject string
	// Client and Binding are compared when the value is used. Binding is
	// whatever else the value is bound to; see [Bind].
	Client  string
	Binding string
	// Payload is the caller's, as JSON.
	Payload json.RawMessage
	Expires time.Time

	// Issued is what the consumption gave birth to: see [Use.Issues].
	Issued   string
	Version  int64 // counts amendments
	Created  time.Time
	Consumed time.Time // zero while unused

	epoch int64 // of the log, when it was put
}

// Use says who uses a value and for what.
type Use struct {
	Purpose Purpose
	Client  string
	Binding string
	// Issues names what will descend from the value, such as the id of the
	// grant that a code is redeemed for. It is remembered with the
	// consumption, so that a second use can revoke it.
	Issues string
}

// Outcome is how an attempt to use a value ended. Only OK lets the caller go on.
type Outcome int

// The outcomes. The zero value refuses.
const (
	Unknown Outcome = iota // no such value for this purpose, client and binding
	OK
	Reused  // it was consumed before: revoke what Value.Issued names
	Expired // it existed and its time is over, or its epoch is
)

func (o Outcome) String() string {
	switch o {
	case OK:
		return "ok"
	case Reused:
		return "reused"
	case Expired:
		return "expired"
	}
	return "unknown"
}

// Store keeps single-use values.
type Store struct {
	db      *db.DB
	current Epoch
	quota   quota
}

// Epoch tells the current epoch of the event log and when it began; the first
// one has no beginning.
type Epoch func() (n int64, began time.Time)

// New returns the store. After a failover that may have lost consumptions the
// epoch rises: every value of the old one is dead, and so is every key that
// could have been seen in it.
func New(d *db.DB, epoch Epoch) *Store {
	return &Store{db: d, current: epoch}
}

func (s *Store) epoch() int64 {
	n, _ := s.current()
	return n
}

// Put stores v under the secret value, which the caller hands out. v.Expires
// must lie in the future.
func (s *Store) Put(tx *db.Tx, value secret.Text, v Value) error {
	return s.insert(tx, secret.Hash(string(value)), v)
}

// Peek looks at a value without using it.
func (s *Store) Peek(tx *db.Tx, value string, u Use) (Value, Outcome, error) {
	return s.look(tx, secret.Hash(value), u)
}

// Consume uses a value up. Of any number of attempts one gets OK, whatever the
// concurrency; the others get Reused, together with what the first one issued.
// A refusal is an outcome and not an error, so that the caller can leave a mark
// in the same transaction.
func (s *Store) Consume(tx *db.Tx, value string, u Use) (Value, Outcome, error) {
	hash := secret.Hash(value)
	v, err := s.consume(tx, hash, u)
	if err == nil {
		return v, OK, nil
	}
	if !db.Missing(err) {
		return Value{}, Unknown, err
	}
	v, outcome, err := s.look(tx, hash, u)
	if outcome == OK {
		// The statement above refused what this reading would allow: it was
		// not there yet. Only the statement decides.
		outcome = Unknown
	}
	return v, outcome, err
}

// Amend replaces the payload of a value that is still live, if its version is
// the one the caller saw, and reports whether it did.
func (s *Store) Amend(tx *db.Tx, value string, u Use, version int64, payload json.RawMessage) (bool, error) {
	return s.amend(tx, secret.Hash(value), u, version, payload)
}

// Prolong is Amend that also moves the end of the value's life, in either
// direction.
func (s *Store) Prolong(tx *db.Tx, value string, u Use, version int64, payload json.RawMessage, until time.Time) (bool, error) {
	return s.prolong(tx, secret.Hash(value), u, version, payload, until)
}

// Discard forgets a value, used or not.
func (s *Store) Discard(tx *db.Tx, value string, p Purpose) error {
	return s.remove(tx, secret.Hash(value), p)
}

// DiscardOf forgets every value of a purpose that is about a principal, used or
// not. It reads all values of the purpose: it is for purposes of which there are
// few.
func (s *Store) DiscardOf(tx *db.Tx, p Purpose, subject string) error {
	return s.removeOf(tx, p, subject)
}

// DiscardLater is DiscardOf for the values that were put after an instant.
func (s *Store) DiscardLater(tx *db.Tx, p Purpose, subject string, than time.Time) error {
	return s.removeLater(tx, p, subject, than)
}

// Bind folds the things a value is bound to, such as redirect URI and code
// challenge, into one binding. No two lists of parts give the same binding.
func Bind(parts ...string) string {
	h := sha256.New()
	var n [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
