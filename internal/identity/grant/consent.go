package grant

import (
	"context"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// Consent is what a principal allowed a client to ask for without asking again.
type Consent struct {
	Realm     string
	Principal string
	Client    string
	Scopes    []string // sorted
	Created   time.Time
	Updated   time.Time
	Version   int64
}

// Covers reports whether every one of the scopes was consented to.
func (c *Consent) Covers(scopes []string) bool {
	for _, s := range scopes {
		if _, ok := slices.BinarySearch(c.Scopes, s); !ok {
			return false
		}
	}
	return true
}

// consentCache remembers consents, absent ones as nil.
type consentCache = *cache.Cache[*Consent]

func newConsentCache() consentCache {
	return cache.New("consents", 16<<20, 4<<20, func(c *Consent) int {
		if c == nil {
			return 32
		}
		return 256 + 32*len(c.Scopes)
	})
}

// consentKey names a consent in events and in memory. Neither id has a space.
func consentKey(principal, client string) string { return principal + " " + client }

// Consent returns what a principal consented to for a client, from memory, or
// nil if nothing.
func (s *Store) Consent(ctx context.Context, realm, principal, client string) (*Consent, error) {
	return s.consents.Get(realm, consentKey(principal, client), func() (c *Consent, err error) {
		err = s.db.View(ctx, realm, func(tx *db.Tx) error {
			c, err = consentOf(tx, principal, client)
			return err
		})
		if db.Missing(err) {
			return nil, nil
		}
		return c, err
	})
}

// Remember adds scopes to what a principal consented to for a client.
func (s *Store) Remember(ctx context.Context, by audit.Actor, realm, principal, client string, scopes []string) error {
	return s.db.Update(ctx, realm, func(tx *db.Tx) error { return s.RememberTx(tx, by, principal, client, scopes) })
}

// RememberTx is Remember within a transaction, which must be serializable.
func (s *Store) RememberTx(tx *db.Tx, by audit.Actor, principalID, clientID string, scopes []string) error {
	if _, err := principal.LiveTx(tx, principalID); err != nil {
		return err
	}
	if _, err := client.AliveTx(tx, clientID); err != nil {
		return err
	}
	c := &Consent{Principal: principalID, Client: clientID, Scopes: Scopes(scopes)}
	fresh, err := insertConsent(tx, c)
	if err != nil {
		return err
	}
	if !fresh {
		old, err := heldConsent(tx, principalID, clientID)
		if err != nil {
			return err
		}
		if old.Covers(c.Scopes) {
			return nil
		}
		c.Scopes = Scopes(append(c.Scopes, old.Scopes...))
		if err := widenConsent(tx, c); err != nil {
			return err
		}
	}
	audit.Append(tx, by, audit.Event{Action: "consent.give", TargetType: "consent", Target: consentKey(principalID, clientID), Invalidates: true,
		Data: map[string]any{"principal": principalID, "client": clientID, "scope": join(c.Scopes)}})
	return nil
}

// Consents lists what a principal consented to, or what was consented to for a
// client: exactly one of the two is given. It returns at most limit of them and
// where the next page begins, empty at the end.
func (s *Store) Consents(ctx context.Context, realm string, f Filter, limit int) (page []*Consent, next string, err error) {
	if (f.Principal == "") == (f.Client == "") {
		return nil, "", fault.New(fault.Invalid, "filter_invalid", "consents are listed by principal or by client")
	}
	of, about, other := consentsOfPrincipal, f.Principal, func(c *Consent) string { return c.Client }
	if f.Principal == "" {
		of, about, other = consentsOfClient, f.Client, func(c *Consent) string { return c.Principal }
	}
	return db.Page(ctx, s.db, realm, pageSize(limit), maxPage, func(tx *db.Tx, limit int) ([]*Consent, error) { return of(tx, about, f.After, limit) }, other)
}

// UsedTx reports whether anybody ever gave a client something, as far as is
// remembered: a grant, dead or alive, or a consent that stands.
func UsedTx(tx *db.Tx, client string) (bool, error) { return used(tx, client) }
