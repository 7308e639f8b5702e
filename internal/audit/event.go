// Package audit is the event log: what happened, who did it, and in which
// order. The log is at once the audit trail, the invalidation of every cache,
// and the revocation stream; nothing else carries news between nodes.
//
// A change appends its event in its own transaction. The sequencer gives
// committed events their positions and hashes them into the realm's Merkle
// tree; followers apply them in that order on every node; and a change that
// invalidates something is acknowledged only when every node that may still
// say yes has applied it.
package audit

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/id"
)

// Actor is whoever causes a change, and from where.
type Actor struct {
	Kind      string `json:"kind"`             // person, service, workload, agent, client, system or anonymous
	ID        string `json:"id,omitempty"`     // usr_…, svc_…, cli_…
	Client    string `json:"client,omitempty"` // the client that acted for them
	Session   string `json:"session,omitempty"`
	IP        string `json:"ip,omitempty"`
	UserAgent string `json:"ua,omitempty"`
}

// mostAgent is how much is kept of what a stranger's browser says it is, in bytes.
const mostAgent = 400

// bounded is a with as much as is kept of it.
func (a Actor) bounded() Actor {
	if len(a.UserAgent) > mostAgent {
		a.UserAgent = strings.ToValidUTF8(a.UserAgent[:mostAgent], "")
	}
	return a
}

// System is Cardea itself.
var System = Actor{Kind: "system"}

// Bit is a status bit that an event sets: the grant or key behind it is dead.
type Bit struct {
	List  string
	Index int64
}

// Cutoff refuses every token of an issuer, client, key or principal that was
// minted before the event's own position.
type Cutoff struct {
	Kind string `json:"kind"` // issuer, client, key or principal
	ID   string `json:"id"`
}

// DeadToken refuses a single access token until it would have expired anyway.
type DeadToken struct {
	JTI     string    `json:"jti"`
	Client  string    `json:"client"`
	Expires time.Time `json:"exp"`
}

// Event is something that changed.
type Event struct {
	Action     string // area.verb, such as client.update
	TargetType string // such as client
	Target     string // its id
	Data       map[string]any
	// Aside is for those in the same transaction only ([Log.Within]), such as what
	// was before. It is never written down.
	Aside any
	// Invalidates says that nodes may hold something in memory that this makes
	// wrong. The change is acknowledged when they have let go of it.
	Invalidates bool
	Deaths      []Bit
	Cut         *Cutoff
	JTI         *DeadToken
}

// Record is an event as the log holds it.
type Record struct {
	Position Position
	Leaf     int64 // place in the realm's tree
	Realm    string
	ID       string
	At       time.Time
	Actor    Actor
	Event
}

// Position is a place in the log. The epoch rises when the database has lost
// or changed what was already told, after a failover or a restore.
type Position struct{ Epoch, Seq int64 }

// Before reports whether p comes before q.
func (p Position) Before(q Position) bool {
	return p.Epoch < q.Epoch || p.Epoch == q.Epoch && p.Seq < q.Seq
}

// epochShift leaves room for 10^12 events in an epoch and 8192 epochs in what a
// JSON number holds exactly.
const epochShift = 40

// Revision is the position as one number that rises with it.
func (p Position) Revision() int64 { return p.Epoch<<epochShift | p.Seq }

// AtRevision is the position of a number that Revision gave.
func AtRevision(n int64) Position { return Position{n >> epochShift, n & (1<<epochShift - 1)} }

func (p Position) String() string {
	b := strconv.AppendInt(make([]byte, 0, 41), p.Epoch, 10)
	return string(strconv.AppendInt(append(b, '.'), p.Seq, 10))
}

// ParsePosition reads what String wrote.
func ParsePosition(s string) (Position, error) {
	e, q, ok := strings.Cut(s, ".")
	epoch, err1 := strconv.ParseInt(e, 10, 64)
	seq, err2 := strconv.ParseInt(q, 10, 64)
	if !ok || err1 != nil || err2 != nil || epoch < 0 || seq < 0 {
		return Position{}, fmt.Errorf("audit: %q is not a position", s)
	}
	return Position{epoch, seq}, nil
}

// Append notes in the transaction that by caused e. The event is written when
// the transaction's function has returned.
func Append(tx *db.Tx, by Actor, e Event) {
	tx.Journal(&entry{Record: newRecord(tx.Realm, tx.Now, by, e)})
}

// Place is where in the log something stands that a transaction journalled.
type Place struct{ e *entry }

// Position is known when the transaction is acknowledged: at it, or at most a
// few events behind it, the log holds what was journalled. It is zero where no
// log runs.
func (p *Place) Position() Position { return p.e.Position }

// AppendPlaced is Append for an event that invalidates, and tells where it went.
func AppendPlaced(tx *db.Tx, by Actor, e Event) *Place {
	e.Invalidates = true
	p := &Place{&entry{Record: newRecord(tx.Realm, tx.Now, by, e)}}
	tx.Journal(p.e)
	return p
}

// BarrierPlaced is Barrier, and tells up to where it waited.
func BarrierPlaced(tx *db.Tx) *Place {
	p := &Place{&entry{barrier: true}}
	tx.Journal(p.e)
	return p
}

// Barrier makes a transaction wait, after its commit, for everything that was
// committed before it to hold on every node. A kill that finds the work already
// done calls it, so that its acknowledgement means as much as the first one's.
func Barrier(tx *db.Tx) { tx.Journal(&entry{barrier: true}) }

// entry is what a transaction journals.
type entry struct {
	Record
	barrier bool
}

// body is the text that is stored and hashed. Field order is part of the format.
type body struct {
	ID          string             `json:"id"`
	Realm       string             `json:"realm"`
	At          int64              `json:"at"`
	Actor       Actor              `json:"actor"`
	Action      string             `json:"action"`
	TargetType  string             `json:"target_type,omitempty"`
	Target      string             `json:"target,omitempty"`
	Data        map[string]any     `json:"data,omitempty"`
	Invalidates bool               `json:"invalidates,omitempty"`
	Deaths      map[string][]int64 `json:"deaths,omitempty"`
	Cut         *Cutoff            `json:"cut,omitempty"`
	JTI         *DeadToken         `json:"jti,omitempty"`
}

func (r *Record) encode() (string, error) {
	b := body{ID: r.ID, Realm: r.Realm, At: r.At.UnixMilli(), Actor: r.Actor, Action: r.Action, TargetType: r.TargetType,
		Target: r.Target, Data: r.Data, Invalidates: r.Invalidates, Cut: r.Cut, JTI: r.JTI}
	if len(r.Deaths) > 0 {
		b.Deaths = map[string][]int64{}
		for _, d := range r.Deaths {
			b.Deaths[d.List] = append(b.Deaths[d.List], d.Index)
		}
	}
	text, err := json.Marshal(b)
	return string(text), err
}

func decode(text string) (Record, error) {
	var b body
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return Record{}, fmt.Errorf("audit: an event cannot be read: %w", err)
	}
	r := Record{Realm: b.Realm, ID: b.ID, At: time.UnixMilli(b.At).UTC(), Actor: b.Actor, Event: Event{Action: b.Action,
		TargetType: b.TargetType, Target: b.Target, Data: b.Data, Invalidates: b.Invalidates, Cut: b.Cut, JTI: b.JTI}}
	for list, indexes := range b.Deaths {
		for _, i := range indexes {
			r.Deaths = append(r.Deaths, Bit{list, i})
		}
	}
	return r, nil
}

func newRecord(realm string, now time.Time, by Actor, e Event) Record {
	return Record{Realm: realm, ID: id.New("evt", now), At: now, Actor: by.bounded(), Event: e}
}
