// Package approval owns what clients ask for in one place and a person decides
// in another: on another device (RFC 8628) or by the back channel (OpenID
// Connect CIBA). A request is pending until one person approves or denies it,
// and what was approved is used once; every step is one conditional UPDATE, so
// that no interleaving of requests, nodes and crashes takes two.
//
// The package knows neither pages nor tokens: a door shows what is asked and
// takes the decision, another one issues what follows from it.
package approval

import (
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/secret"
)

// Kind says by which protocol a request came.
type Kind string

// The kinds of requests.
const (
	Device      Kind = "device"      // RFC 8628
	Backchannel Kind = "backchannel" // CIBA
)

// DeviceCodePrefix begins every device code, AuthReqIDPrefix every auth_req_id.
const (
	DeviceCodePrefix = "cdd_"
	AuthReqIDPrefix  = "cda_"
)

// Prefix begins the codes with which clients ask how their requests went.
func (k Kind) Prefix() string {
	if k == Device {
		return DeviceCodePrefix
	}
	return AuthReqIDPrefix
}

// State is how far a request has come. Denied and Consumed are final.
type State string

// The states. A request that is pending or approved also ends by time.
const (
	Pending  State = "pending"
	Approved State = "approved"
	Denied   State = "denied"
	Consumed State = "consumed"
)

// Request is what a client asked for, and what became of it.
type Request struct {
	Realm   string
	ID      string // "apr_…"; no secret
	Kind    Kind
	Client  string
	Subject string // the principal who alone may decide; "": whoever has the user code
	Asked
	State   State
	Answer  Answer        // zero until approved
	Issued  string        // the grant that came of it
	Wait    time.Duration // the least time between two polls
	Created time.Time
	Decided time.Time // zero while pending
	Expires time.Time

	hasty  bool // the latest poll came too early
	epoch  int64
	sealed string
}

// Asked is what the client wants and what a person is shown of that.
type Asked struct {
	Scopes     []string `json:"scopes"`              // sorted
	Details    string   `json:"details,omitempty"`   // RFC 9396, a JSON array
	Resources  []string `json:"resources,omitempty"` // RFC 8707
	ACR        []string `json:"acr,omitempty"`       // acr_values
	MaxAge     *int64   `json:"max_age,omitempty"`   // seconds that the sign-in may be old; nil: any
	Mode       string   `json:"mode,omitempty"`      // how the client learns the answer: "" or poll, ping, push
	Message    string   `json:"message,omitempty"`   // to be compared with what the client shows
	ClientLife int64    `json:"client_life"`         // of the client when it asked: see client.Client
	IP         string   `json:"ip,omitempty"`        // where the request came from
	UserAgent  string   `json:"ua,omitempty"`

	// What the client showed when it asked, to which tokens are bound that it is
	// told: the key of a proof, its certificate, the key of an attested instance.
	JKT      string `json:"jkt,omitempty"`
	X5T      string `json:"x5t,omitempty"`
	Instance string `json:"instance,omitempty"`
}

// Answer is who approved, by which session, and what.
type Answer struct {
	Principal string    `json:"principal"`
	Session   string    `json:"session"`
	Scopes    []string  `json:"scopes"`
	ACR       string    `json:"acr,omitempty"`
	AMR       []string  `json:"amr,omitempty"`
	AuthTime  time.Time `json:"auth_time"`
}

// Open reports whether somebody can still decide.
func (r *Request) Open(now time.Time) bool { return r.State == Pending && now.Before(r.Expires) }

// Store keeps requests and the guesses at their user codes.
type Store struct {
	db       *db.DB
	box      *secret.Box
	epoch    func() int64
	onAsk    []func(*db.Tx, *Request) error
	onDecide []func(*db.Tx, *Request) error
}

// NewStore returns the store. After a failover that may have lost decisions the
// epoch of the log rises: every request of the old one is over. The box seals
// what deliveries need.
func NewStore(d *db.DB, log *audit.Log, box *secret.Box) *Store {
	return &Store{db: d, box: box, epoch: func() int64 { return log.Applied().Epoch }}
}

// OnAsk has fn run in each transaction that writes a request down. Call it
// before anything is started.
func (s *Store) OnAsk(fn func(tx *db.Tx, r *Request) error) { s.onAsk = append(s.onAsk, fn) }

// OnDecide has fn run in each transaction that decides a request. Call it before
// anything is started.
func (s *Store) OnDecide(fn func(tx *db.Tx, r *Request) error) { s.onDecide = append(s.onDecide, fn) }

func each(fns []func(*db.Tx, *Request) error, tx *db.Tx, r *Request) error {
	for _, fn := range fns {
		if err := fn(tx, r); err != nil {
			return err
		}
	}
	return nil
}

func unknown() error {
	return fault.New(fault.NotFound, "approval_unknown", "there is no such request")
}

func closed() error {
	return fault.New(fault.Conflict, "approval_closed", "the request was answered already, or its time is over")
}
