// Package terms owns the documents that people of a realm must accept before
// they go on, in versions: which there are, since when each is in force, and who
// accepted which version when. Of each document the version in force is the
// latest that has come into effect.
package terms

import (
	"cmp"
	"context"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
)

// Version is one version of a document. It never changes.
type Version struct {
	ID        string // trm_…
	Document  string // what it is a version of, such as terms or privacy
	Version   string // as people call it, such as 2 or 2026-11
	Title     string
	Link      string // https address where it can be read, or
	Text      string // what it says
	Effective time.Time
	Withdrawn time.Time // zero: not withdrawn
	Created   time.Time
}

// New describes a version to be made.
type New struct {
	Document, Version, Title, Link, Text string
	Effective                            time.Time // zero: at once
}

// Acceptance is that somebody accepted a version.
type Acceptance struct {
	Person, Terms string
	At            time.Time
}

// Bounds of what a version holds, and of how many versions a realm has.
const (
	maxText     = 100_000
	maxVersions = 500
)

// Registry looks after the documents of all realms.
type Registry struct {
	db       *db.DB
	versions *cache.Cache[[]*Version]        // of a realm: those not withdrawn
	accepted *cache.Cache[map[string]string] // of a person: ids, for their presence
}

// NewRegistry returns the registry. Call it before the log is started.
func NewRegistry(d *db.DB, log *audit.Log) *Registry {
	r := &Registry{db: d,
		versions: cache.New("terms", 16<<20, 8<<20, func(all []*Version) int {
			n := 256
			for _, v := range all {
				n += 512 + len(v.Text) + len(v.Title) + len(v.Link)
			}
			return n
		}),
		accepted: cache.New("accepted terms", 16<<20, 8<<20, func(m map[string]string) int { return 256 + 80*len(m) })}
	log.Follow("terms", r.follow, func() { r.versions.DropAll(); r.accepted.DropAll() })
	return r
}

func (r *Registry) follow(e audit.Record) {
	switch {
	case e.Action == "terms.accept":
		r.accepted.Drop(e.Realm, e.Actor.ID)
	case strings.HasPrefix(e.Action, "terms."):
		r.versions.Drop(e.Realm, "")
	case e.Action == "realm.delete":
		r.versions.DropRealm(e.Target)
		r.accepted.DropRealm(e.Target)
	}
}

var (
	documentPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	versionPattern  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)
)

func (n New) check() error {
	u, err := url.Parse(n.Link)
	switch {
	case !documentPattern.MatchString(n.Document):
		return invalid("document", "is a short name like terms, in lower case")
	case !versionPattern.MatchString(n.Version):
		return invalid("version", "is a short name like 2 or 2026-11")
	case strings.TrimSpace(n.Title) == "" || utf8.RuneCountInString(n.Title) > 120 || !text(n.Title, false):
		return invalid("title", "has 1 to 120 printable characters")
	case (n.Link == "") == (n.Text == ""):
		return invalid("text", "or a link is needed, and not both")
	case n.Link != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(n.Link) > 1000 || !text(n.Link, false)):
		return invalid("link", "is an https address")
	case len(n.Text) > maxText || !text(n.Text, true):
		return invalid("text", "is plain text of at most 100,000 bytes")
	}
	return nil
}

// text reports whether s has no control characters, but for line breaks where
// there may be some.
func text(s string, lines bool) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < ' ' && (!lines || c != '\n' && c != '\r' && c != '\t')) || c == 0x7f
	})
}

// Create makes a version, which is in force from its effective date on.
func (r *Registry) Create(ctx context.Context, by audit.Actor, realm string, n New) (v *Version, err error) {
	if err := n.check(); err != nil {
		return nil, err
	}
	err = r.db.Update(ctx, realm, func(tx *db.Tx) error {
		if many, err := count(tx); err != nil || many >= maxVersions {
			return cmp.Or(err, error(fault.New(fault.Conflict, "terms_exhausted", "a realm has at most %d versions", maxVersions)))
		}
		v = &Version{ID: id.New("trm", tx.Now), Document: n.Document, Version: n.Version, Title: n.Title, Link: n.Link, Text: n.Text,
			Effective: n.Effective.UTC().Truncate(time.Millisecond), Created: tx.Now}
		if n.Effective.IsZero() {
			v.Effective = tx.Now
		}
		fresh, err := insert(tx, v)
		if err != nil {
			return err
		}
		if !fresh {
			return fault.New(fault.Conflict, "version_taken", "document %q has a version %q", n.Document, n.Version).WithField("version", "is taken")
		}
		audit.Append(tx, by, audit.Event{Action: "terms.create", TargetType: "terms", Target: v.ID, Invalidates: true,
			Data: map[string]any{"document": v.Document, "version": v.Version, "effective": v.Effective.Format(time.RFC3339)}})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return v, nil
}

// Withdraw takes a version out of force, so that the one before is in force
// again, if there is one. Who accepted it stays known.
func (r *Registry) Withdraw(ctx context.Context, by audit.Actor, realm, id string) error {
	return r.db.Update(ctx, realm, func(tx *db.Tx) error {
		v, err := byID(tx, id)
		if err != nil {
			return err
		}
		if !v.Withdrawn.IsZero() {
			audit.Barrier(tx)
			return nil
		}
		if err := withdraw(tx, id); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "terms.withdraw", TargetType: "terms", Target: id, Invalidates: true})
		return nil
	})
}

// ByID reads a version, or is fault.NotFound.
func (r *Registry) ByID(ctx context.Context, realm, id string) (v *Version, err error) {
	err = r.db.View(ctx, realm, func(tx *db.Tx) error {
		v, err = byID(tx, id)
		return err
	})
	return v, err
}

// List returns up to limit versions, withdrawn ones too, the oldest first,
// beginning behind the id after, and the id to go on behind, or "" at the end.
func (r *Registry) List(ctx context.Context, realm, after string, limit int) ([]*Version, string, error) {
	if after != "" && !id.Valid("trm", after) {
		return nil, "", invalid("page", "is not one that was given out")
	}
	return db.Page(ctx, r.db, realm, limit, 500, func(tx *db.Tx, limit int) ([]*Version, error) { return list(tx, after, limit) },
		func(v *Version) string { return v.ID })
}

// Acceptances lists who accepted a version, by id of the person, paged like List.
func (r *Registry) Acceptances(ctx context.Context, realm, terms, after string, limit int) ([]Acceptance, string, error) {
	return db.Page(ctx, r.db, realm, limit, 500, func(tx *db.Tx, limit int) ([]Acceptance, error) { return acceptancesOf(tx, terms, after, limit) },
		func(a Acceptance) string { return a.Person })
}

// AcceptedBy lists what a person accepted.
func (r *Registry) AcceptedBy(ctx context.Context, realm, person string) (all []Acceptance, err error) {
	err = r.db.View(ctx, realm, func(tx *db.Tx) error {
		all, err = acceptedBy(tx, person)
		return err
	})
	return all, err
}

// Lacking are the versions in force that a person has not accepted, by document.
// It is answered from memory.
func (r *Registry) Lacking(ctx context.Context, realm, person string) ([]*Version, error) {
	all, err := r.versions.Get(realm, "", func() (all []*Version, err error) {
		err = r.db.View(ctx, realm, func(tx *db.Tx) error {
			all, err = standing(tx)
			return err
		})
		return all, err
	})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	demanded := inForce(all, r.db.Now())
	if len(demanded) == 0 {
		return nil, nil
	}
	has, err := r.accepted.Get(realm, person, func() (map[string]string, error) {
		list, err := r.AcceptedBy(ctx, realm, person)
		m := map[string]string{}
		for _, a := range list {
			m[a.Terms] = ""
		}
		return m, err
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(demanded, func(v *Version) bool { _, ok := has[v.ID]; return ok }), nil
}

// inForce are the latest versions that have come into effect, by document.
func inForce(all []*Version, now time.Time) []*Version {
	latest := map[string]*Version{}
	for _, v := range all {
		if now.Before(v.Effective) {
			continue
		}
		if old := latest[v.Document]; old == nil || !v.Effective.Before(old.Effective) {
			latest[v.Document] = v
		}
	}
	return slices.SortedFunc(maps.Values(latest), func(a, b *Version) int { return strings.Compare(a.Document, b.Document) })
}

// Accept notes that a person, who is by, accepted versions: those that they were
// shown. Of others than are in force nothing is noted.
func (r *Registry) Accept(ctx context.Context, by audit.Actor, realm string, shown []string) error {
	return r.db.Update(ctx, realm, func(tx *db.Tx) error {
		all, err := standing(tx)
		if err != nil {
			return err
		}
		for _, v := range inForce(all, tx.Now) {
			if !slices.Contains(shown, v.ID) {
				continue
			}
			fresh, err := accept(tx, by.ID, v.ID)
			if err != nil {
				return err
			}
			if fresh {
				audit.Append(tx, by, audit.Event{Action: "terms.accept", TargetType: "terms", Target: v.ID, Invalidates: true,
					Data: map[string]any{"document": v.Document, "version": v.Version}})
			}
		}
		return nil
	})
}

func unknown() error { return fault.New(fault.NotFound, "terms_unknown", "there is no such version") }

func invalid(field, why string) error {
	return fault.New(fault.Invalid, field+"_invalid", "%s %s", field, why).WithField(field, why)
}
