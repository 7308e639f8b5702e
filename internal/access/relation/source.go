package relation

import (
	"context"
	"regexp"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
)

// The kinds of sources.
const (
	HTTP     = "http"     // an address that answers with one JSON object a line
	Postgres = "postgres" // a query of another database
)

// Bounds of sources.
const (
	maxSources   = 100
	maxPulled    = 500_000
	minEvery     = 60
	shrinkFrom   = 100 // facts, below which a source may lose all of them
	shrinkUsual  = 50  // percent
	pullKind     = "access-pull"
	jobTime      = 30 * time.Second
	maxQuery     = 16 << 10
	maxConnect   = 4 << 10
	sourcePrefix = "src"
)

// Source is where facts are pulled from. What it gave is its own: what it no longer
// gives is removed. What was written otherwise stays as it was written.
type Source struct {
	ID, Name string
	Kind     string
	URL      string // of http
	Query    string // of postgres
	Secret   string // only to set: the bearer token, or the postgres:// address; "" keeps what is known
	Every    int64  // seconds
	// Shrink is how many percent of its facts one pull may remove. More is taken for
	// a mistake of the source and changes nothing.
	Shrink  int64
	Enabled bool
	Version int64

	Due, Pulled, Good     time.Time // next; last tried; last succeeded
	Failures              int64     // in a row
	LastError             string
	Facts, Added, Removed int64 // after and by the last good pull
	Created, Updated      time.Time

	sealed []byte
}

// Pull reads everything that a source gives, a line or a row at a time.
type Pull func(ctx context.Context, s *Source, secret string, each func([]byte) error) error

var sourceName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

func (s *Store) checkSource(n *Source, fresh bool) error {
	bad := fault.New(fault.Invalid, "source_invalid", "the source is not allowed; see the fields")
	if !sourceName.MatchString(n.Name) {
		bad.WithField("name", "has 1 to 63 lower-case letters, digits and any of _ -, and begins with a letter")
	}
	if n.Every == 0 {
		n.Every = 300
	}
	if n.Shrink == 0 {
		n.Shrink = shrinkUsual
	}
	if n.Every < minEvery || n.Every > 30*24*3600 {
		bad.WithField("every", "is between 60 seconds and 30 days")
	}
	if n.Shrink < 1 || n.Shrink > 100 {
		bad.WithField("shrink", "is between 1 and 100 percent")
	}
	if len(n.Secret) > maxConnect {
		bad.WithField("secret", "is too long")
	}
	switch n.Kind {
	case HTTP:
		if err := s.CheckURL(n.URL); err != nil {
			bad.WithField("url", err.Error())
		}
		if n.Query != "" {
			bad.WithField("query", "is for postgres")
		}
	case Postgres:
		if n.URL != "" {
			bad.WithField("url", "is for http; the address of a database is a secret")
		}
		if n.Query == "" || len(n.Query) > maxQuery {
			bad.WithField("query", "is a SELECT of at most 16 KiB")
		}
		if n.Secret != "" || fresh {
			if err := db.CheckForeign(n.Secret, s.Named); err != nil {
				bad.WithField("secret", err.Error())
			}
		}
	default:
		bad.WithField("kind", "is http or postgres")
	}
	if len(bad.Fields) > 0 {
		return bad
	}
	return nil
}

func (s *Store) seal(tx *db.Tx, n *Source) []byte {
	return s.Box.Seal([]byte(n.Secret), tx.Realm, "access_source", n.ID)
}

// CreateSource begins to pull facts. The first pull is due at once.
func (s *Store) CreateSource(ctx context.Context, by audit.Actor, realm string, n Source) (*Source, error) {
	if err := s.checkSource(&n, true); err != nil {
		return nil, err
	}
	err := s.DB.Update(ctx, realm, func(tx *db.Tx) error {
		count, err := countSources(tx)
		if err != nil {
			return err
		}
		if count >= maxSources {
			return fault.New(fault.Conflict, "sources_full", "a realm has at most %d sources", maxSources)
		}
		n.ID, n.Version, n.Due, n.Created, n.Updated = id.New(sourcePrefix, tx.Now), 1, tx.Now, tx.Now, tx.Now
		n.sealed = s.seal(tx, &n)
		if err := insertSource(tx, &n); err != nil {
			return err
		}
		audit.Append(tx, by, sourceEvent("create", &n))
		return nil
	})
	if db.Taken(err) {
		return nil, fault.New(fault.Conflict, "source_exists", "there is a source %q", n.Name).WithField("name", "is another's")
	}
	if err != nil {
		return nil, err
	}
	return &n, nil
}

// UpdateSource replaces what is set of a source. version, if not 0, must be its own.
func (s *Store) UpdateSource(ctx context.Context, by audit.Actor, realm, source string, version int64, n Source) (*Source, error) {
	if err := s.checkSource(&n, false); err != nil {
		return nil, err
	}
	var out *Source
	err := s.DB.Update(ctx, realm, func(tx *db.Tx) error {
		old, err := sourceByID(tx, source)
		if err != nil {
			return err
		}
		if version != 0 && version != old.Version {
			return fault.New(fault.Precondition, "version_mismatch", "source %q has changed since it was read", old.Name)
		}
		if n.Kind != old.Kind {
			return fault.New(fault.Invalid, "source_invalid", "the kind of a source stays").WithField("kind", "stays what it was")
		}
		// A secret goes nowhere but where it was given for.
		other := n.URL != old.URL
		old.Name, old.URL, old.Query, old.Every, old.Shrink, old.Enabled = n.Name, n.URL, n.Query, n.Every, n.Shrink, n.Enabled
		old.Version, old.Updated, old.Due = old.Version+1, tx.Now, tx.Now
		if n.Secret != "" || other {
			old.Secret = n.Secret
			old.sealed = s.seal(tx, old)
			old.Secret = ""
		}
		if err := updateSource(tx, old); err != nil {
			return err
		}
		audit.Append(tx, by, sourceEvent("update", old))
		out = old
		return nil
	})
	return out, err
}

func sourceEvent(verb string, n *Source) audit.Event {
	return audit.Event{Action: "access_source." + verb, TargetType: "access_source", Target: n.ID,
		Data: map[string]any{"name": n.Name, "kind": n.Kind, "enabled": n.Enabled}}
}

// DeleteSource stops pulling. What the source gave stays, as if it had been
// written. What is gone already is gone.
func (s *Store) DeleteSource(ctx context.Context, by audit.Actor, realm, source string) error {
	return s.DB.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		if _, err := hold(tx); err != nil {
			return err
		}
		n, err := sourceByID(tx, source)
		if fault.Is(err, fault.NotFound) && id.Valid(sourcePrefix, source) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := disown(tx, n.ID); err != nil {
			return err
		}
		audit.Append(tx, by, sourceEvent("delete", n))
		return nil
	})
}

// Sources are all of a realm, by name.
func (s *Store) Sources(ctx context.Context, realm string) (all []*Source, err error) {
	err = s.DB.View(ctx, realm, func(tx *db.Tx) error {
		all, err = sources(tx)
		return err
	})
	return all, err
}

// SourceByID reads a source, or is fault.NotFound.
func (s *Store) SourceByID(ctx context.Context, realm, source string) (n *Source, err error) {
	err = s.DB.View(ctx, realm, func(tx *db.Tx) error {
		n, err = sourceByID(tx, source)
		return err
	})
	return n, err
}
