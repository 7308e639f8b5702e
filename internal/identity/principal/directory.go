package principal

import (
	"context"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
)

// Directory looks after the principals of all realms.
type Directory struct {
	db     *db.DB
	cached *cache.Cache[*Principal]
}

// NewDirectory returns the directory. Call it before the log is started.
func NewDirectory(d *db.DB, log *audit.Log) *Directory {
	dir := &Directory{db: d, cached: cache.New("principals", 32<<20, 16<<20, size)}
	log.Follow("principals", dir.follow, dir.cached.DropAll)
	return dir
}

func (d *Directory) follow(e audit.Record) {
	switch {
	case e.Action == "principal.create": // nobody can have remembered it before
	case strings.HasPrefix(e.Action, "principal."):
		d.cached.Drop(e.Realm, e.Target)
	case e.Action == "realm.delete":
		d.cached.DropRealm(e.Target)
	}
}

// size is about what a principal takes in memory.
func size(p *Principal) int {
	return 1024 + len(p.Name) + len(p.DisplayName) + 200*len(p.Emails) + len(p.Profile.Address.Formatted) + len(p.Profile.Address.StreetAddress)
}

// Create makes a principal. A name or an e-mail address that another has is
// fault.Conflict, whoever comes first.
func (d *Directory) Create(ctx context.Context, by audit.Actor, realm string, n New) (made *Principal, err error) {
	// Unique constraints carry the guarantee, and that an owner is looked at
	// whenever what it owns acts. Only how long chains are rests on what was read.
	update := d.db.UpdateRC
	if n.Owner != "" {
		update = d.db.Update
	}
	err = update(ctx, realm, func(tx *db.Tx) error {
		made, err = CreateTx(tx, by, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// CreateTx is Create within a transaction.
func CreateTx(tx *db.Tx, by audit.Actor, n New) (*Principal, error) {
	prefix, ok := prefixes[n.Kind]
	if !ok {
		return nil, invalid("kind", "is person, service, workload, agent, group or organization")
	}
	p := &Principal{ID: id.New(prefix, tx.Now), Kind: n.Kind, State: Active, Life: 1, Version: 1, CreatedAt: tx.Now, UpdatedAt: tx.Now}
	names := Change{Name: &n.Name, DisplayName: &n.DisplayName, Locale: &n.Locale, Profile: &n.Profile, ExpiresAt: &n.ExpiresAt}
	if _, err := p.apply(names); err != nil {
		return nil, err
	}
	if n.Kind == Person && n.Name == "" && len(n.Emails) == 0 {
		return nil, invalid("username", "or an e-mail address is needed")
	}
	if n.Kind != Person && n.Name == "" && n.DisplayName == "" {
		return nil, invalid("name", "or a display name is needed")
	}
	if n.Kind != Person && len(n.Emails) > 0 || len(n.Emails) > maxEmails {
		return nil, invalid("emails", "are for people, and at most 20")
	}
	if n.Owner != "" {
		depth, err := livingOwners(tx, n.Owner)
		if err != nil {
			return nil, err
		}
		if depth > maxOwners {
			return nil, invalid("owner", "chains have at most 8 links")
		}
		p.Owner = n.Owner
	}
	if err := insert(tx, p); err != nil {
		return nil, err
	}
	if p.Name != "" {
		if err := claim(tx, p.ID, identifier{Space: p.Kind.space(), Type: "name", Value: p.Name}); err != nil {
			return nil, err
		}
	}
	for i, e := range primaryFirst(n.Emails) {
		e.Primary = i == 0
		if err := checkEmail(e.Address); err != nil {
			return nil, err
		}
		if err := claim(tx, p.ID, identifier{Space: Person.space(), Type: "email", Value: e.Address, Verified: e.Verified, Primary: e.Primary}); err != nil {
			return nil, err
		}
		p.Emails = append(p.Emails, e)
	}
	audit.Append(tx, by, audit.Event{Action: "principal.create", TargetType: string(p.Kind), Target: p.ID, Data: map[string]any{"owner": p.Owner}})
	return p, nil
}

func primaryFirst(emails []Email) []Email {
	for i, e := range emails {
		if e.Primary {
			sorted := append([]Email{e}, emails[:i]...)
			return append(sorted, emails[i+1:]...)
		}
	}
	return emails
}

// CheckPerson refuses a display name or a locale that a person may not have.
func CheckPerson(displayName, locale string) error {
	_, err := (&Principal{Kind: Person}).apply(Change{DisplayName: &displayName, Locale: &locale})
	return err
}

// ByID reads a principal, deleted ones too, or returns fault.NotFound.
func (d *Directory) ByID(ctx context.Context, realm, id string) (p *Principal, err error) {
	err = d.db.View(ctx, realm, func(tx *db.Tx) error {
		p, err = ByIDTx(tx, id)
		return err
	})
	return p, err
}

// ByIDTx is ByID within a transaction.
func ByIDTx(tx *db.Tx, id string) (*Principal, error) {
	p, err := byID(tx, id)
	if err != nil {
		return nil, err
	}
	p.Emails, err = emailsOf(tx, id)
	return p, err
}

// ByIdentifier finds the person with a username or e-mail address, however it
// is written, or returns fault.NotFound.
func (d *Directory) ByIdentifier(ctx context.Context, realm, identifier string) (p *Principal, err error) {
	err = d.db.View(ctx, realm, func(tx *db.Tx) error {
		p, err = ByIdentifierTx(tx, identifier)
		return err
	})
	return p, err
}

// ByIdentifierTx is ByIdentifier within a transaction.
func ByIdentifierTx(tx *db.Tx, identifier string) (*Principal, error) {
	if len(identifier) > 320 {
		return nil, unknownIdentifier()
	}
	owner, err := holder(tx, Person.space(), Canonical(strings.TrimSpace(identifier)))
	if err != nil {
		return nil, err
	}
	return ByIDTx(tx, owner)
}

func unknownIdentifier() error {
	return fault.New(fault.NotFound, "principal_unknown", "there is nobody of that name or e-mail address")
}

// Cached is ByID from memory. It is as new as the last change that was
// acknowledged on any node.
func (d *Directory) Cached(ctx context.Context, realm, id string) (*Principal, error) {
	return d.cached.Get(realm, id, func() (*Principal, error) {
		if !ValidID(id) {
			return nil, unknown(id)
		}
		return d.ByID(ctx, realm, id)
	})
}

// Filter says which principals to list. Zero fields do not restrict.
type Filter struct {
	Kind  Kind
	State State  // zero: all but deleted ones
	Owner string // id
	// Search finds what begins with it: name, display name or e-mail address.
	Search string
}

// List returns up to limit principals in the order they were made, beginning
// behind the id after, and the id to go on behind, or "" at the end. A search
// is in the order of what was found, has pages of its own, and may find fewer
// than limit on a page that is not the last.
func (d *Directory) List(ctx context.Context, realm string, f Filter, after string, limit int) (page []*Principal, next string, err error) {
	if f.Search != "" {
		return d.search(ctx, realm, f, after, limit)
	}
	if after != "" && !ValidID(after) {
		return nil, "", invalid("page", "is not one that was given out")
	}
	return db.Page(ctx, d.db, realm, limit, 500, func(tx *db.Tx, limit int) ([]*Principal, error) { return list(tx, f, after, limit) },
		func(p *Principal) string { return p.ID })
}

// Update changes a principal. If version is not 0 and not the principal's,
// nothing changes and the error is fault.Precondition.
func (d *Directory) Update(ctx context.Context, by audit.Actor, realm, id string, version int64, c Change) (changed *Principal, err error) {
	err = d.db.Update(ctx, realm, func(tx *db.Tx) error {
		changed, err = UpdateTx(tx, by, id, version, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// UpdateTx is Update within a transaction, which must be serializable.
func UpdateTx(tx *db.Tx, by audit.Actor, id string, version int64, c Change) (*Principal, error) {
	p, err := undeleted(tx, id, version)
	if err != nil {
		return nil, err
	}
	was := p.Name
	var ends *audit.Cutoff
	names, err := p.apply(c)
	if err != nil {
		return nil, err
	}
	if p.Kind == Person && p.Name == "" && len(p.Emails) == 0 {
		return nil, invalid("username", "or an e-mail address is needed")
	}
	if c.Owner != nil && *c.Owner != p.Owner {
		if err := checkOwner(tx, id, *c.Owner); err != nil {
			return nil, err
		}
		if err := p.own(tx, *c.Owner); err != nil {
			return nil, err
		}
		names, ends = append(names, "owner"), cut(id)
	}
	if p.Name != was {
		if err := rename(tx, p, was); err != nil {
			return nil, err
		}
	}
	p.Version, p.UpdatedAt = p.Version+1, tx.Now
	if err := update(tx, p); err != nil {
		return nil, err
	}
	audit.Append(tx, by, audit.Event{Action: "principal.update", TargetType: string(p.Kind), Target: id,
		Data: map[string]any{"changed": names}, Invalidates: true, Cut: ends})
	return p, nil
}

// apply makes the change c to p, but for the owner, and names what it changed.
func (p *Principal) apply(c Change) (changed []string, err error) {
	if c.Name != nil && *c.Name != p.Name {
		if *c.Name != "" {
			err = checkName(p.Kind, *c.Name)
		}
		p.Name = *c.Name
		changed = append(changed, "name")
	}
	if err == nil && c.DisplayName != nil {
		if !printable(*c.DisplayName, 120) {
			err = invalid("display_name", "has at most 120 printable characters")
		}
		p.DisplayName = *c.DisplayName
		changed = append(changed, "display_name")
	}
	if err == nil && c.Locale != nil {
		err = checkLocale(*c.Locale)
		p.Locale = *c.Locale
		changed = append(changed, "locale")
	}
	if err == nil && c.Profile != nil {
		err = c.Profile.check()
		p.Profile = *c.Profile
		changed = append(changed, "profile")
	}
	if c.ExpiresAt != nil {
		p.ExpiresAt = c.ExpiresAt.UTC().Truncate(time.Millisecond)
		if c.ExpiresAt.IsZero() {
			p.ExpiresAt = time.Time{}
		}
		changed = append(changed, "expires_at")
	}
	return changed, err
}

func rename(tx *db.Tx, p *Principal, was string) error {
	if was != "" {
		if err := release(tx, p.ID, p.Kind.space(), was); err != nil {
			return err
		}
	}
	if p.Name == "" {
		return nil
	}
	return claim(tx, p.ID, identifier{Space: p.Kind.space(), Type: "name", Value: p.Name})
}

// undeleted reads a principal to be changed.
func undeleted(tx *db.Tx, id string, version int64) (*Principal, error) {
	p, err := ByIDTx(tx, id)
	if err != nil {
		return nil, err
	}
	if p.State == Deleted {
		return nil, unknown(id)
	}
	if version != 0 && version != p.Version {
		return nil, stale(id)
	}
	return p, nil
}
