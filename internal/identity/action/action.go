// Package action owns links that let somebody do one thing, once: set a
// password, confirm an address, take a change back. A link is an opaque secret
// of 256 bits, good in one realm and for one purpose, and it dies with the
// circumstances it was made in, whether or not its time is over. What the thing
// is, and how the link reaches its holder, is the business of packages above.
package action

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

// Prefix begins every link, so that scanners know a leaked one.
const Prefix = "cdl_"

// Kind is what the links for one purpose have in common.
type Kind struct {
	Purpose once.Purpose
	Life    time.Duration
	// What must be as it was when the link was made: the password (its id and
	// version), the set of addresses, the era. A person must be alive in any case.
	Password, Addresses, Era bool
	// Latest says that a new link ends the older ones of its person.
	Latest bool
}

// Link is what a link stands for.
type Link struct {
	Person  string // id, "" where it is for somebody who is not there yet
	Data    json.RawMessage
	Made    time.Time
	Expires time.Time
}

// Links makes, looks at and uses links.
type Links struct{ once *once.Store }

// New returns the links, which are kept in values.
func New(values *once.Store) *Links { return &Links{values} }

// kept is the payload of a link.
type kept struct {
	Data  json.RawMessage `json:"data,omitempty"`
	Bound bound           `json:"bound"`
}

// bound is what a link depends on, where its kind says so.
type bound struct {
	Credential string `json:"credential,omitempty"`
	Version    int64  `json:"version,omitempty"`
	Era        int64  `json:"era,omitempty"`
	Addresses  []byte `json:"addresses,omitempty"` // keyed by the link, so that nobody else can try addresses
}

func (b bound) equal(c bound) bool {
	// Equal is false where there is nothing to compare, as there is for kinds that
	// do not depend on addresses.
	addresses := len(b.Addresses)+len(c.Addresses) == 0 || secret.Equal(b.Addresses, c.Addresses)
	return b.Credential == c.Credential && b.Version == c.Version && b.Era == c.Era && addresses
}

// MakeTx makes a link for a living person, or for nobody yet (""). data is the
// caller's and is written as JSON. The error is fault.Forbidden when the person
// may not act. The transaction must be serializable.
func (l *Links) MakeTx(tx *db.Tx, k Kind, person string, data any) (link secret.Text, expires time.Time, err error) {
	link, expires = secret.New(Prefix), tx.Now.Add(k.Life)
	present, err := k.bind(tx, string(link), person)
	if err != nil {
		return "", time.Time{}, err
	}
	text, err := json.Marshal(data)
	if err != nil {
		return "", time.Time{}, err
	}
	payload, err := json.Marshal(kept{text, present})
	if err != nil {
		return "", time.Time{}, err
	}
	if k.Latest && person != "" {
		if err := l.EndTx(tx, k, person); err != nil {
			return "", time.Time{}, err
		}
	}
	return link, expires, l.once.Put(tx, link, once.Value{Purpose: k.Purpose, Subject: person, Payload: payload, Expires: expires})
}

// OpenTx tells what a link stands for without using it, or is fault.NotFound.
func (l *Links) OpenTx(tx *db.Tx, k Kind, link string) (Link, error) {
	if !secret.Valid(Prefix, link) {
		return Link{}, Unknown()
	}
	v, outcome, err := l.once.Peek(tx, link, once.Use{Purpose: k.Purpose})
	return k.current(tx, link, v, outcome, err)
}

// UseTx uses a link up: of any number of attempts one succeeds, and the others,
// like any that its circumstances have outlived, are fault.NotFound. A rollback
// leaves the link as it was. The transaction must be serializable.
func (l *Links) UseTx(tx *db.Tx, k Kind, link string) (Link, error) {
	if !secret.Valid(Prefix, link) {
		return Link{}, Unknown()
	}
	v, outcome, err := l.once.Consume(tx, link, once.Use{Purpose: k.Purpose})
	return k.current(tx, link, v, outcome, err)
}

// EndTx ends every link of a kind that a person has.
func (l *Links) EndTx(tx *db.Tx, k Kind, person string) error {
	return l.once.DiscardOf(tx, k.Purpose, person)
}

// EndLaterTx ends the links of a kind that a person has, but for those that were
// made before another of them, and with it.
func (l *Links) EndLaterTx(tx *db.Tx, k Kind, than Link) error {
	return l.once.DiscardLater(tx, k.Purpose, than.Person, than.Made)
}

// current refuses a link made in other circumstances than the present ones.
func (k Kind) current(tx *db.Tx, link string, v once.Value, outcome once.Outcome, err error) (Link, error) {
	if err != nil {
		return Link{}, err
	}
	if outcome != once.OK {
		return Link{}, Unknown()
	}
	var then kept
	if err := json.Unmarshal(v.Payload, &then); err != nil {
		return Link{}, err
	}
	now, err := k.bind(tx, link, v.Subject)
	if fault.Is(err, fault.Forbidden) || fault.Is(err, fault.NotFound) || err == nil && !now.equal(then.Bound) {
		return Link{}, Unknown()
	}
	return Link{v.Subject, then.Data, v.Created, v.Expires}, err
}

// bind reads what a link for a person depends on now.
func (k Kind) bind(tx *db.Tx, link, person string) (b bound, err error) {
	if person == "" {
		return bound{}, nil
	}
	life, err := principal.LiveTx(tx, person)
	if err != nil {
		return bound{}, err
	}
	if life.Kind != principal.Person {
		return bound{}, fault.New(fault.Invalid, "not_a_person", "only people have passwords and addresses")
	}
	if k.Era {
		b.Era = life.Era
	}
	if k.Password {
		present, err := credential.PasswordTx(tx, person)
		if err != nil {
			return bound{}, err
		}
		b.Credential, b.Version = present.ID, present.Version
	}
	if k.Addresses {
		p, err := principal.ByIDTx(tx, person)
		if err != nil {
			return bound{}, err
		}
		addresses := make([]string, len(p.Emails))
		for i, e := range p.Emails {
			addresses[i] = e.Address
		}
		slices.Sort(addresses)
		b.Addresses = secret.Derive([]byte(link), "addresses", addresses...)
	}
	return b, nil
}

// Unknown is how a link is refused, whatever made it bad.
func Unknown() error {
	return fault.New(fault.NotFound, "link_unknown", "this link was used, has expired or is outdated by what happened since")
}
