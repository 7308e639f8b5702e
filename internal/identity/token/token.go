// Package token is the one gate through which every path to a token passes, and
// the one place that recognises the tokens Cardea made: access tokens, as
// signed JWTs (RFC 9068) or sealed, and ID tokens.
//
// Issue alone checks that realm, client, principal, session, credential,
// consent and grant are alive, that the assurance is high enough, and that
// nothing asked for exceeds the grant. Tokens are never stored: what they
// descend from is, and its death is known in memory.
package token

import (
	"slices"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/grant"
)

// OpaquePrefix begins every sealed access token.
const OpaquePrefix = "cdo_"

// The types of signed tokens, as their typ header names them. A token of one
// type is never taken for another.
const (
	TypeAccess = "at+jwt" // RFC 9068, section 2.1
	TypeID     = "JWT"    // OpenID Connect Core names none; this is the customary one
)

// MaxBytes is the size above which nothing is even looked at.
const MaxBytes = 16 << 10

// Token is an access token that was issued or recognised. Values are shared:
// do not change them.
type Token struct {
	Realm     string
	ID        string // jti
	Subject   string // as the client sees it
	Principal string // who it really is
	Client    string
	Grant     string
	Scopes    []string
	Audience  []string
	Actors    []string // who acts for the subject, as the client sees them, the present one first (RFC 8693, section 4.1)
	Issued    time.Time
	Expires   time.Time

	ACR      string // how the person proved itself; empty for clients
	AMR      []string
	AuthTime time.Time

	// Details are authorization details (RFC 9396): a JSON array, or only what
	// stands for it where it would be too large. The zero value is none.
	Details Details

	Bound Binding // what must be shown with it; zero: nothing

	Status audit.Bit
	Minted audit.Position // the log as the minting node had applied it
	Key    string         // kid of the signing key; empty when sealed
}

// Allows reports whether the token has a scope.
func (t *Token) Allows(scope string) bool { return slices.Contains(t.Scopes, scope) }

// For reports whether the token is meant for a resource server of this name.
func (t *Token) For(audience string) bool { return slices.Contains(t.Audience, audience) }

// Gate issues tokens and recognises them.
type Gate struct {
	db     *db.DB
	log    *audit.Log
	grants *grant.Store
	grant.Cores
	verified verified
	rooms    sync.Pool // of *sealRoom
}

// NewGate returns the gate. It follows log: make it before log starts.
func NewGate(d *db.DB, log *audit.Log, cores grant.Cores, grants *grant.Store) *Gate {
	g := &Gate{db: d, log: log, grants: grants, Cores: cores, verified: newVerified()}
	g.rooms.New = func() any { return new(sealRoom) }
	log.Follow("tokens", g.follow, g.verified.DropAll)
	return g
}

// Request says what is to be issued under a grant. Nothing is implied: what is
// not asked for is not in the token.
type Request struct {
	Grant *grant.Grant
	// Scopes of the access token: none that the grant, and the client today,
	// does not have.
	Scopes []string
	// Audience of the access token: at least one, none beyond the grant's.
	Audience []string
	// ACR is the least assurance demanded, or empty.
	ACR string
	// Details are the authorization details of the access token, a JSON array or
	// empty, and DetailsAt says which of the grant's they are; nil: all.
	Details   string
	DetailsAt []int
	// Bound is what the access token is bound to.
	Bound Binding
	// Until is when the access token ends at the latest; zero: the grant says.
	Until time.Time
	// ID asks for an ID token as well.
	ID *IDRequest
	// Room is where an opaque access token is to be put together, if it is given and
	// no ID token asked for. It is then appended to it and is not in Access.
	Room []byte
}

// IDRequest says what goes into an ID token besides what the grant knows.
type IDRequest struct {
	Nonce string
	// Claims about the person, in order. A name that the token itself uses is
	// an error.
	Claims []Claim
}

// Claim is a claim with its value as JSON.
type Claim struct {
	Name  string
	Value []byte
}

// Issued is what a request has come to.
type Issued struct {
	Access  string // the access token, or
	Room    []byte // the request's room with it appended; nil when it is in Access
	ID      string // the ID token, empty unless asked for
	Expires time.Duration
}

// life is how long a token may live: the client's life if that is shorter than
// the realm's.
func life(r time.Duration, c time.Duration) time.Duration {
	if c > 0 {
		return min(r, c)
	}
	return r
}
