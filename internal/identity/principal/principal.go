// Package principal owns who there is: people, services, workloads and agents,
// and what contains them, groups and organizations. One table, one set of
// rules; kinds differ by policy only. How somebody proves to be one of them is
// the business of packages above.
//
// Suspending and deleting are deaths. They are committed first; what hangs on
// the principal (sessions, grants, tokens) is ended afterwards, top down, by
// package grant. What is born below a principal calls [LiveTx] in the
// transaction of its birth and keeps the era it finds. Between serializable
// transactions the birth conflicts with the death; at lesser isolation an orphan
// may be written, and is dead, because its era is over. (A row lock would let
// those who are to be suspended hold it off by giving birth without pause:
// PostgreSQL lets readers overtake a waiting writer.)
package principal

import (
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
)

// Kind says what a principal is.
type Kind string

// The kinds of principals. Groups and organizations contain others.
const (
	Person       Kind = "person"
	Service      Kind = "service"
	Workload     Kind = "workload"
	Agent        Kind = "agent"
	Group        Kind = "group"
	Organization Kind = "organization"
)

// prefixes are the kinds of ids, see package id.
var prefixes = map[Kind]string{Person: "usr", Service: "svc", Workload: "wkl", Agent: "agt", Group: "grp", Organization: "org"}

// Contains reports whether principals of this kind have members.
func (k Kind) Contains() bool { return k == Group || k == Organization }

// State says whether a principal may do anything.
type State string

// The states of a principal. Only an active one may do anything.
const (
	Active    State = "active"
	Suspended State = "suspended"
	Deleted   State = "deleted" // final: a tombstone without personal data
)

// Principal is one of them. Values from memory are shared: do not change them.
type Principal struct {
	ID          string
	Kind        Kind
	Name        string // username of a person; unique within its kind; may be ""
	DisplayName string
	State       State
	Owner       string // id of the principal that answers for this one, or ""
	Locale      string // BCP 47 tag, or ""
	Profile     Profile
	Emails      []Email // the primary address first
	ExpiresAt   time.Time
	Life        int64 // counts suspensions; see Life.Era
	Signouts    int64 // counts the eras ended by EndEraTx; see Life.Era
	Version     int64
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Email is an address of a principal.
type Email struct {
	Address  string // as it was given
	Verified bool   // its owner, or an operator, has confirmed it
	Primary  bool
}

// Email returns the primary address, or the zero Email.
func (p *Principal) Email() Email {
	if len(p.Emails) > 0 && p.Emails[0].Primary {
		return p.Emails[0]
	}
	return Email{}
}

// Life is a living principal, with what those below it must know of it and its
// owners.
type Life struct {
	*Principal
	// Until is the earliest instant at which the principal or one of its owners
	// expires (zero: never). Nothing below may live longer.
	Until time.Time
	// Owners are the ids of its owners, the nearest first.
	Owners []string
	// Era rises whenever the principal or one of its owners is suspended, when it
	// gets another owner, and when EndEraTx ends it. What was born in another era is dead, also when
	// its end was not written down, and stays so when the principal is activated.
	Era int64
	// Flagged says that something may be held against the principal, or that it is to
	// be deleted: see [Directory.Unflag]. AskLive tells, and no life from memory does.
	Flagged bool
}

// New describes a principal to be made. A person needs a username or an e-mail
// address, the other kinds a name or a display name.
type New struct {
	Kind        Kind
	Name        string
	DisplayName string
	Owner       string
	Locale      string
	Profile     Profile
	Emails      []Email // the one marked primary, or else the first, becomes primary
	ExpiresAt   time.Time
}

// Change says what to change about a principal. Nil leaves a field as it is;
// a pointer to the zero value empties it.
type Change struct {
	Name        *string
	DisplayName *string
	Owner       *string
	Locale      *string
	Profile     *Profile
	ExpiresAt   *time.Time
}

// ValidID reports whether s has the shape of a principal's id.
func ValidID(s string) bool {
	for _, prefix := range prefixes {
		if id.Valid(prefix, s) {
			return true
		}
	}
	return false
}

// bounds of owner chains and nested groups.
const (
	maxOwners  = 8
	maxNesting = 32
	maxEmails  = 20
)

func unknown(id string) error {
	return fault.New(fault.NotFound, "principal_unknown", "there is no principal %q", id)
}

func dead(id string) error {
	return fault.New(fault.Forbidden, "principal_dead", "principal %q is suspended, deleted or expired, or one that it belongs to is", id)
}

func stale(id string) error {
	return fault.New(fault.Precondition, "version_mismatch", "principal %q has changed since it was read", id)
}

func invalid(field, why string) error {
	return fault.New(fault.Invalid, field+"_invalid", "%s %s", field, why).WithField(field, why)
}
