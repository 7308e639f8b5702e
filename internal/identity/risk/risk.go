// Package risk notices what looks wrong about how people sign in, says why in
// words that a person can read, and does what the realm decided for that case:
// nothing, tell, ask for a second factor, slow down, lock, or revoke.
//
// A detector is one small file: a pure function of what happens and of a memory
// that is bounded. There are three memories, each a row that all nodes share:
// of a person, of a network that unknown browsers try from, and of a wrong
// password that is tried at many accounts. None holds a password, nor what
// strangers typed as a name; networks are kept as keyed hashes.
//
// Nobody can lock an owner out (MF-05): locks and waits hold for passwords from
// browsers that have not signed in to the account before, never for known
// browsers and never for passkeys.
package risk

import (
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/geo"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/realm"
)

// Options are what a Guard stands on. All but Places and Tell are required.
type Options struct {
	DB     *db.DB
	Log    *audit.Log
	Realms *realm.Registry
	Grants *grant.Store
	Places *geo.File // nil: no place is known
	// Key makes the hashes under which networks and passwords are remembered. It
	// is the same on all nodes and not in the database.
	Key []byte
	// Tell tells a person, in the transaction that notices; nil tells nobody.
	Tell func(tx *db.Tx, n Notice) error
}

// Notice is what a person is to be told.
type Notice struct {
	Principal string
	Finding   Finding
	Locked    bool   // sign-ins by password from unknown browsers are refused
	Revoked   bool   // they were signed out everywhere
	Incident  string // or ""
	IP        string
	UserAgent string
}

// Guard watches the sign-ins of all realms.
type Guard struct {
	Options
	limits thresholds
}

// New returns the guard.
func New(o Options) *Guard { return &Guard{Options: o, limits: frozen} }
