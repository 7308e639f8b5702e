// Package grant owns what was allowed to whom: grants, the consents they rest
// on, the refresh tokens that renew them, and the status lists in which their
// deaths are published.
//
// A grant hangs on a principal and a client, and on a session, a credential,
// another grant or a consent where it came of one. It is alive while all of
// these are. Births prove the ancestors alive in the transaction that inserts
// the grant; deaths commit from the top down; so no birth slips past a death.
// Every token of a grant carries the grant's index in a status list; killing
// sets that bit, here and at every verifier that follows.
//
// The package mints no tokens (package token does) and knows no protocol.
package grant

import (
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/realm"
)

// Kind says how a grant came about.
type Kind string

// The kinds of grants.
const (
	Authorization Kind = "authorization" // somebody let a client act for them
	Standing      Kind = "standing"      // a client acts for itself with a credential
	Exchange      Kind = "exchange"      // a client showed a token of somebody's, or of another issuer
)

// Grant is a permission that was given. Values are shared between requests and
// must not be changed.
type Grant struct {
	Realm      string
	ID         string // "gnt_…"
	Kind       Kind
	Principal  string // who is acted for
	Era        int64  // the principal's era it was born in
	Client     string // who acts
	clientLife int64  // the client's life it was born in

	// What it hangs on, each empty when it does not.
	Session    string
	Credential string
	Parent     string // another grant
	Actor      string // who acts for the principal, if not the client itself
	ActorEra   int64  // the actor's era it was born in
	Consent    bool   // it rests on the principal's remembered consent
	Offline    bool   // it outlives the session it came of

	Scopes   []string // sorted; none where it stands: what its tokens may have is found when they are issued
	Audience []string // resources its tokens are for
	Claims   string   // the claims request as sent (OpenID Connect Core, section 5.5), JSON or empty

	Details string // authorization details granted (RFC 9396), a JSON array or empty

	// How the principal proved itself; zero for clients.
	ACR      string
	AMR      []string
	AuthTime time.Time

	Status  audit.Bit // its index in a status list
	Created time.Time
	Expires time.Time // never after the end of anything it hangs on; zero: when that ends
	Revoked time.Time // zero while alive
	Reason  string    // why it was revoked
	Version int64

	standing string   // what a standing grant is found by
	moved    oldBit   // its index in the list before
	earlier  []oldBit // and in those before that
}

// oldBit is an index that a grant had, and until when tokens with it may live.
type oldBit struct {
	audit.Bit
	Until time.Time
}

// old are the indexes it had of which tokens may live.
func (g *Grant) old(now time.Time) []oldBit {
	return slices.DeleteFunc(append(slices.Clone(g.earlier), g.moved), func(o oldBit) bool { return o.List == "" || !now.Before(o.Until) })
}

// Alive reports whether the grant itself is neither revoked nor expired. What
// it hangs on is not looked at; the Issue gate does that.
func (g *Grant) Alive(now time.Time) bool {
	return g.Revoked.IsZero() && (g.Expires.IsZero() || now.Before(g.Expires))
}

// Stands reports whether the grant serves every request of its kind: tokens of
// it come and go, and die one by one.
func (g *Grant) Stands() bool { return g.Kind == Standing || g.Kind == Exchange }

// Allows reports whether the grant has every one of the scopes.
func (g *Grant) Allows(scopes []string) bool {
	for _, s := range scopes {
		if _, ok := slices.BinarySearch(g.Scopes, s); !ok {
			return false
		}
	}
	return true
}

// bits are the status bits that die with the grant: more than one while tokens
// with its index in a closed list may still be alive.
func (g *Grant) bits(now time.Time) []audit.Bit {
	all := []audit.Bit{g.Status}
	for _, o := range g.old(now) {
		all = append(all, o.Bit)
	}
	return all
}

// Scopes sorts scopes and drops duplicates, the form in which grants and
// consents keep them.
func Scopes(list []string) []string {
	list = slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "" })
	slices.Sort(list)
	return slices.Compact(list)
}

func join(list []string) string { return strings.Join(list, " ") }

func split(s string) []string { return strings.Fields(s) }

// Cores are the packages below that grants hang on.
type Cores struct {
	Realms      *realm.Registry
	Principals  *principal.Directory
	Credentials *credential.Store
	Sessions    *session.Store
	Clients     *client.Registry
	Ring        *keyring.Ring
}

// Store keeps grants, consents and refresh tokens.
type Store struct {
	// Status is what is dead, in memory.
	Status *Status

	onMisuse []OnMisuse
	onDelete []func(tx *db.Tx, id string) error
	dormant  func(tx *db.Tx, id string) error

	db  *db.DB
	log *audit.Log
	Cores
	blocks   blocks
	chunk    int // how many grants one transaction kills
	grants   grantCache
	consents consentCache
}

// NewStore returns the store. It follows log: make it before log starts.
func NewStore(d *db.DB, log *audit.Log, cores Cores) *Store {
	s := &Store{Status: newStatus(d, log, cores.Realms), db: d, log: log, Cores: cores,
		blocks: blocks{of: map[blockKey]*block{}}, chunk: killChunk, grants: newGrantCache(), consents: newConsentCache()}
	log.Follow("grants", s.follow, s.reset)
	return s
}

func (s *Store) epoch() int64 { return s.log.Applied().Epoch }

// follow drops what an event makes wrong in memory.
func (s *Store) follow(r audit.Record) {
	switch {
	case r.TargetType == "grant":
		s.grants.Drop(r.Realm, r.Target)
	case r.TargetType == "consent":
		s.consents.Drop(r.Realm, r.Target)
	case r.Action == "status_list.close":
		s.blocks.drop(r.Realm, r.Target)
	}
}

func (s *Store) reset() {
	s.grants.DropAll()
	s.consents.DropAll()
}

func unknown(id string) error {
	return fault.New(fault.NotFound, "grant_unknown", "there is no grant %q", id)
}

func dies(id, why string) error {
	return fault.New(fault.Forbidden, "grant_dead", "grant %q is dead: %s", id, why)
}

// Follows reports whether the grant was given since its client was last cut
// off. What was given before stays dead when the client is enabled again.
func (g *Grant) Follows(c *client.Client) bool { return g.clientLife == c.Life }
