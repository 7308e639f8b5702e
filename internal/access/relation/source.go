package relation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/job"
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

// PullNow has a source pulled soon, and gives the job that does it.
func (s *Store) PullNow(ctx context.Context, by audit.Actor, realm, source string) (jobID string, err error) {
	err = s.DB.Update(ctx, realm, func(tx *db.Tx) error {
		n, err := sourceByID(tx, source)
		if err != nil {
			return err
		}
		if jobID, err = s.Jobs.AddTx(tx, job.Promise{Kind: pullKind, Target: n.ID, Subject: n.Name}); err != nil {
			return err
		}
		audit.Append(tx, by, sourceEvent("pull", n))
		return nil
	})
	return jobID, err
}

// Due are the realms in which a pull is due.
func (s *Store) Due(ctx context.Context) (realms []string, err error) {
	err = s.DB.SystemView(ctx, func(tx *db.Tx) error {
		realms, err = dueRealms(tx)
		return err
	})
	return realms, err
}

// PullDue promises the pulls of a realm that are due.
func (s *Store) PullDue(ctx context.Context, realm string) error {
	return s.DB.Update(ctx, realm, func(tx *db.Tx) error {
		due, err := dueSources(tx)
		if err != nil {
			return err
		}
		for _, n := range due {
			if _, err := s.Jobs.AddTx(tx, job.Promise{Kind: pullKind, Key: fmt.Sprintf("%s/%d", n.ID, n.Due.UnixMilli()), Target: n.ID, Subject: n.Name}); err != nil {
				return err
			}
			if err := setDue(tx, n.ID, tx.Now.Add(time.Duration(n.Every)*time.Second)); err != nil {
				return err
			}
		}
		return nil
	})
}

// doPull is the job. A pull that fails is told of the source, and tried again when
// it is due; so the job itself is done.
func (s *Store) doPull(ctx context.Context, j *job.Job) error {
	n, err := s.SourceByID(ctx, j.Realm, j.Target)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.DB.UpdateRC(ctx, j.Realm, func(tx *db.Tx) error {
		n.Pulled = tx.Now.Truncate(time.Millisecond)
		return beginPull(tx, n)
	}); err != nil {
		return err
	}
	added, removed, total, failed := s.pull(ctx, j.Realm, n)
	if errors.Is(failed, errOvertaken) {
		return nil
	}
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return ctx.Err() // this node is closing
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return s.DB.UpdateRC(ctx, j.Realm, func(tx *db.Tx) error {
		switch now, err := sourceByID(tx, n.ID); {
		case fault.Is(err, fault.NotFound):
			return nil
		case err != nil:
			return err
		case !now.same(n):
			return nil
		}
		verb := ""
		switch {
		case failed == nil && n.Failures > 0:
			verb = "recover"
		case failed != nil && n.Failures == 0:
			verb = "fail"
		}
		if verb != "" {
			e := sourceEvent(verb, n)
			if failed != nil {
				e.Data["error"] = clip(failed)
			}
			audit.Append(tx, audit.System, e)
		}
		if failed != nil {
			return pullFailed(tx, n.ID, clip(failed))
		}
		return pullDone(tx, n.ID, total, added, removed)
	})
}

// errOvertaken ends a pull when another has begun, or the source was changed: what
// was asked later counts.
var errOvertaken = errors.New("the source was pulled again or changed meanwhile")

// same reports whether the row is that of a pull that nothing has overtaken.
func (s *Source) same(began *Source) bool {
	return s.Pulled.Equal(began.Pulled) && s.Version == began.Version
}

func clip(err error) string {
	text := err.Error()
	return text[:min(len(text), 400)]
}

// fact is what a line says: a relation or an attribute. Rows of a database have
// the flat names.
type fact struct {
	Subject     *graph.Entity   `json:"subject"`
	SubjectType string          `json:"subject_type"`
	SubjectID   string          `json:"subject_id"`
	Relation    string          `json:"relation"`
	Object      *graph.Entity   `json:"object"`
	ObjectType  string          `json:"object_type"`
	ObjectID    string          `json:"object_id"`
	ExpiresAt   *time.Time      `json:"expires_at"`
	Entity      *graph.Entity   `json:"entity"`
	EntityType  string          `json:"entity_type"`
	EntityID    string          `json:"entity_id"`
	Name        string          `json:"name"`
	Value       json.RawMessage `json:"value"`
}

type attributeKey struct {
	graph.Entity
	name string
}

// given is everything that a source gives.
type given struct {
	tuples     map[graph.Tuple]int64 // without end: its end
	attributes map[attributeKey]string
}

func (s *Store) take(g *given, line []byte) error {
	var f fact
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return errors.New("it is not a JSON object of a relation or an attribute")
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("there is more than one JSON object")
	}
	either := func(e *graph.Entity, typ, id string) graph.Entity {
		if e != nil {
			return *e
		}
		return graph.Entity{Type: typ, ID: id}
	}
	if len(g.tuples)+len(g.attributes) >= maxPulled {
		return fmt.Errorf("there are more than %d facts", maxPulled)
	}
	if f.Relation != "" {
		t := graph.Tuple{Subject: either(f.Subject, f.SubjectType, f.SubjectID), Relation: f.Relation, Object: either(f.Object, f.ObjectType, f.ObjectID)}
		if err := s.checkTuple(t); err != nil {
			return err
		}
		var end int64
		if f.ExpiresAt != nil {
			end = max(f.ExpiresAt.UnixMilli(), 1)
		}
		g.tuples[t] = end
		return nil
	}
	k := attributeKey{either(f.Entity, f.EntityType, f.EntityID), f.Name}
	if err := s.checkAttribute(k.Entity, f.Name); err != nil {
		return err
	}
	v, err := Value(f.Value)
	if err != nil {
		return err
	}
	g.attributes[k], err = text(v)
	return err
}

// pull reads all that a source gives, then writes what differs. Before the first
// write everything was read and is in order.
func (s *Store) pull(ctx context.Context, realm string, n *Source) (added, removed, total int64, err error) {
	secret, err := s.Box.Open(n.sealed, realm, "access_source", n.ID)
	if err != nil {
		return 0, 0, 0, errors.New("its secret cannot be opened; set it again")
	}
	g := &given{map[graph.Tuple]int64{}, map[attributeKey]string{}}
	lines, held := 0, int64(0)
	defer func() { s.held.give(realm, held) }()
	err = s.Pull(ctx, n, string(secret), func(line []byte) error {
		if lines++; len(bytes.TrimSpace(line)) == 0 {
			return nil
		}
		size := 2*int64(len(line)) + 256
		if !s.held.take(realm, size) {
			return errors.New("more is pulled at the same time than this server has room for")
		}
		held += size
		if err := s.take(g, line); err != nil {
			return fmt.Errorf("line %d: %w", lines, err)
		}
		return nil
	})
	if err != nil {
		return 0, 0, 0, err
	}
	total = int64(len(g.tuples) + len(g.attributes))
	gone, had, err := s.compare(ctx, realm, n, g)
	if err != nil {
		return 0, 0, 0, err
	}
	if had >= shrinkFrom && int64(Count(gone))*100 > n.Shrink*had {
		return 0, 0, 0, fmt.Errorf("it gives %d of its %d facts no longer, which is more than %d percent; nothing was changed", Count(gone), had, n.Shrink)
	}
	removed, added = int64(Count(gone)), int64(len(g.tuples)+len(g.attributes))
	for c := range batches(gone, g) {
		if _, err := s.write(ctx, realm, audit.System, n.ID, s.ofSource(n, c)); err != nil {
			return 0, 0, 0, err
		}
	}
	return added, removed, total, nil
}

// compare leaves in g what is new or other than before, and gives what is gone and
// how many facts the source had.
func (s *Store) compare(ctx context.Context, realm string, n *Source, g *given) (gone graph.Change, had int64, err error) {
	f := Filter{Source: n.ID}
	for after, more := "", true; more; {
		page, next, _, err := s.List(ctx, realm, f, after, mostListed)
		if err != nil {
			return gone, 0, err
		}
		for _, r := range page {
			had++
			t := r.Tuple
			t.Expires = 0
			switch end, there := g.tuples[t]; {
			case !there:
				gone.Remove = append(gone.Remove, t)
			case end == r.Expires:
				delete(g.tuples, t)
			}
		}
		after, more = next, next != ""
	}
	for after, more := "", true; more; {
		page, next, _, err := s.Attributes(ctx, realm, f, after, mostListed)
		if err != nil {
			return gone, 0, err
		}
		for _, r := range page {
			had++
			k := attributeKey{r.Entity, r.Name}
			switch value, there := g.attributes[k]; {
			case !there:
				gone.Unset = append(gone.Unset, graph.Attribute{Entity: r.Entity, Name: r.Name})
			case value == r.Value:
				delete(g.attributes, k)
			}
		}
		after, more = next, next != ""
	}
	return gone, had, nil
}

// batches splits what is to be done; removals come first.
func batches(gone graph.Change, g *given) func(func(graph.Change) bool) {
	return func(yield func(graph.Change) bool) {
		for part := range slices.Chunk(gone.Remove, MaxOps) {
			if !yield(graph.Change{Remove: part}) {
				return
			}
		}
		for part := range slices.Chunk(gone.Unset, MaxOps) {
			if !yield(graph.Change{Unset: part}) {
				return
			}
		}
		for part := range slices.Chunk(slices.Collect(maps.Keys(g.tuples)), MaxOps) {
			var c graph.Change
			for _, t := range part {
				end := g.tuples[t]
				t.Expires = end
				c.Add = append(c.Add, t)
			}
			if !yield(c) {
				return
			}
		}
		var c graph.Change
		size := 0
		for k, said := range g.attributes {
			v, err := Value([]byte(said))
			if err != nil {
				continue
			}
			c.Set = append(c.Set, graph.Attribute{Entity: k.Entity, Name: k.name, Value: v})
			if size += len(said); len(c.Set) == MaxOps || size > maxContent/2 {
				if !yield(c) {
					return
				}
				c, size = graph.Change{}, 0
			}
		}
		if len(c.Set) > 0 {
			yield(c)
		}
	}
}

// ofSource plans a batch of a source: what another wrote stays.
func (s *Store) ofSource(n *Source, c graph.Change) func(tx *db.Tx, w *writing) error {
	source := n.ID
	return func(tx *db.Tx, w *writing) error {
		w.change, w.texts = graph.Change{}, nil
		if now, err := sourceByID(tx, source); err != nil {
			return err // deleted meanwhile
		} else if !now.same(n) {
			return errOvertaken
		}
		for _, t := range c.Remove {
			if owner, there, err := ownerOf(tx, t); err != nil {
				return err
			} else if there && owner == source {
				w.change.Remove = append(w.change.Remove, t)
			}
		}
		for _, t := range c.Add {
			if owner, there, err := ownerOf(tx, t); err != nil {
				return err
			} else if !there || owner == source {
				w.change.Add = append(w.change.Add, t)
			}
		}
		for _, a := range c.Unset {
			if owner, there, err := attributeOwner(tx, a); err != nil {
				return err
			} else if there && owner == source {
				w.change.Unset = append(w.change.Unset, a)
			}
		}
		for _, a := range c.Set {
			owner, there, err := attributeOwner(tx, a)
			if err != nil {
				return err
			}
			if there && owner != source {
				continue
			}
			said, err := text(a.Value)
			if err != nil {
				return err
			}
			w.change.Set, w.texts = append(w.change.Set, a), append(w.texts, said)
		}
		return nil
	}
}
