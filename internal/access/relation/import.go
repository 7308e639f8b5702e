package relation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/job"
)

// The states of imports.
const (
	ImportOpen     = "open"     // parts are being sent
	ImportRunning  = "running"  // they are being written
	ImportDone     = "done"     // all are
	ImportFailed   = "failed"   // one cannot be; what was written before stays, and it can be started again
	ImportCanceled = "canceled" // nothing more is written
)

// Bounds of imports.
const (
	MaxPart       = 512 << 10 // bytes of a part
	maxParts      = 20_000
	maxImports    = 10 // of a realm that have not ended
	importKind    = "access-import"
	importPrefix  = "imp"
	importFor     = 15 * time.Second // one job writes; then another goes on
	keepImports   = 7 * 24 * time.Hour
	maxImportName = 200
)

// Import is a file of facts that was sent in parts and that the server writes by
// itself, each part a batch of its own, in their order. It goes on where it was
// whatever node dies, and writes no part twice.
type Import struct {
	ID, Name, State  string
	Parts, DoneParts int64
	Facts, DoneFacts int64
	LastError        string
	By               audit.Actor
	Created, Updated time.Time
	Ended            time.Time // zero while it has not
}

// CreateImport begins an import. Send its parts, then start it.
func (s *Store) CreateImport(ctx context.Context, by audit.Actor, realm, name string) (*Import, error) {
	if len(name) > maxImportName || !utf8.ValidString(name) {
		return nil, fault.New(fault.Invalid, "name_invalid", "a name has at most %d bytes", maxImportName).WithField("name", "is too long")
	}
	var i *Import
	err := s.DB.Update(ctx, realm, func(tx *db.Tx) error {
		n, err := countImports(tx)
		if err != nil {
			return err
		}
		if n >= maxImports {
			return fault.New(fault.Conflict, "imports_full", "a realm has at most %d imports that have not ended; cancel one", maxImports)
		}
		i = &Import{ID: id.New(importPrefix, tx.Now), Name: name, State: ImportOpen, By: audit.Actor{Kind: by.Kind, ID: by.ID, Client: by.Client}, Created: tx.Now, Updated: tx.Now}
		if err := insertImport(tx, i); err != nil {
			return err
		}
		audit.Append(tx, by, i.event("create", nil))
		return nil
	})
	return i, err
}

func (i *Import) event(verb string, data map[string]any) audit.Event {
	if data == nil {
		data = map[string]any{"name": i.Name}
	}
	return audit.Event{Action: "access_import." + verb, TargetType: "access_import", Target: i.ID, Data: data}
}

// PutPart takes a part of an open import: lines as those of a source, at most
// [MaxOps] facts. All of them are checked before any is written. A part that is sent
// again takes the place of the first.
func (s *Store) PutPart(ctx context.Context, realm, importID string, part int64, lines []byte) (facts int64, err error) {
	if part < 1 || part > maxParts {
		return 0, fault.New(fault.Invalid, "part_invalid", "parts are numbered from 1 to %d", maxParts)
	}
	if len(lines) > MaxPart {
		return 0, fault.New(fault.TooLarge, "part_too_large", "a part has at most %d bytes", MaxPart)
	}
	c, _, err := s.partOf(lines)
	if err != nil {
		return 0, fault.New(fault.Invalid, "fact_invalid", "part %d, %s", part, err).WithField("lines", err.Error())
	}
	facts = int64(Count(c))
	if facts == 0 {
		return 0, fault.New(fault.Invalid, "batch_empty", "there is nothing in part %d", part)
	}
	return facts, s.DB.Update(ctx, realm, func(tx *db.Tx) error {
		i, err := importByID(tx, importID)
		if err != nil {
			return err
		}
		if i.State != ImportOpen {
			return fault.New(fault.Conflict, "import_started", "import %s is %s; parts are sent before it starts", i.ID, i.State)
		}
		return putPart(tx, i.ID, part, facts, lines)
	})
}

// partOf reads and checks the lines of a part. Of a fact that stands there twice the
// last counts.
func (s *Store) partOf(lines []byte) (c graph.Change, texts []string, err error) {
	g := &given{map[graph.Tuple]int64{}, map[attributeKey]string{}}
	n := 0
	for line := range bytes.Lines(lines) {
		if n++; len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := s.take(g, line); err != nil {
			return c, nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if len(g.tuples)+len(g.attributes) > MaxOps {
		return c, nil, fmt.Errorf("it has more than %d facts", MaxOps)
	}
	for t, end := range g.tuples {
		t.Expires = end
		c.Add = append(c.Add, t)
	}
	for k, said := range g.attributes {
		v, err := Value([]byte(said))
		if err != nil {
			return c, nil, err
		}
		c.Set, texts = append(c.Set, graph.Attribute{Entity: k.Entity, Name: k.name, Value: v}), append(texts, said)
	}
	return c, texts, nil
}

// StartImport has an import written, once all of its parts are here. One that failed
// goes on with the part that could not be written.
func (s *Store) StartImport(ctx context.Context, by audit.Actor, realm, importID string, parts int64) (i *Import, err error) {
	err = s.DB.Update(ctx, realm, func(tx *db.Tx) error {
		if i, err = importByID(tx, importID); err != nil {
			return err
		}
		switch i.State {
		case ImportRunning, ImportDone:
			audit.Barrier(tx)
			return nil
		case ImportCanceled:
			return fault.New(fault.Conflict, "import_canceled", "import %s was canceled", i.ID)
		}
		here, facts, last, err := countParts(tx, i.ID)
		if err != nil {
			return err
		}
		if want := parts - i.DoneParts; parts < 1 || here != want || last != parts {
			return fault.New(fault.Conflict, "parts_missing", "of %d parts of import %s there are %d, the last is number %d", want, i.ID, here, last).WithField("parts", "are not all here")
		}
		if i.State == ImportOpen {
			i.Parts, i.Facts = parts, facts
		}
		i.State, i.LastError, i.Updated, i.Ended = ImportRunning, "", tx.Now, time.Time{}
		if err := updateImport(tx, i); err != nil {
			return err
		}
		audit.Append(tx, by, i.event("start", map[string]any{"name": i.Name, "parts": i.Parts, "facts": i.Facts}))
		return s.promiseImport(tx, i)
	})
	return i, err
}

func (s *Store) promiseImport(tx *db.Tx, i *Import) error {
	_, err := s.Jobs.AddTx(tx, job.Promise{Kind: importKind, Target: i.ID, Subject: i.Name})
	return err
}

// CancelImport ends an import. What was written stays.
func (s *Store) CancelImport(ctx context.Context, by audit.Actor, realm, importID string) error {
	return s.DB.Update(ctx, realm, func(tx *db.Tx) error {
		i, err := importByID(tx, importID)
		if err != nil {
			return err
		}
		if i.State == ImportDone || i.State == ImportCanceled {
			audit.Barrier(tx)
			return nil
		}
		i.State, i.Updated, i.Ended = ImportCanceled, tx.Now, tx.Now
		if err := updateImport(tx, i); err != nil {
			return err
		}
		audit.Append(tx, by, i.event("cancel", map[string]any{"name": i.Name, "done": i.DoneFacts, "facts": i.Facts}))
		return dropParts(tx, i.ID)
	})
}

// ImportByID finds an import.
func (s *Store) ImportByID(ctx context.Context, realm, importID string) (i *Import, err error) {
	err = s.DB.View(ctx, realm, func(tx *db.Tx) error {
		i, err = importByID(tx, importID)
		return err
	})
	return i, err
}

// Imports lists up to limit imports, the newest first.
func (s *Store) Imports(ctx context.Context, realm, after string, limit int) ([]*Import, string, error) {
	if after == "" {
		after = importPrefix + "_~"
	}
	return db.Page(ctx, s.DB, realm, limit, 500, func(tx *db.Tx, limit int) ([]*Import, error) { return imports(tx, after, limit) },
		func(i *Import) string { return i.ID })
}

// doImport is the job: it writes part after part for a while and then promises
// another to go on, so that no attempt is long.
func (s *Store) doImport(ctx context.Context, j *job.Job) error {
	for until := s.DB.Now().Add(importFor); ; {
		more, err := s.importPart(ctx, j.Realm, j.Target)
		if err != nil || !more {
			return err
		}
		if s.DB.Now().Before(until) {
			continue
		}
		return s.DB.Update(ctx, j.Realm, func(tx *db.Tx) error {
			i, err := importByID(tx, j.Target)
			if err != nil || i.State != ImportRunning {
				return err
			}
			return s.promiseImport(tx, i)
		})
	}
}

// importPart writes the next part, and reports whether there are more.
func (s *Store) importPart(ctx context.Context, realm, importID string) (more bool, err error) {
	var i *Import
	var body []byte
	err = s.DB.View(ctx, realm, func(tx *db.Tx) error {
		if i, err = importByID(tx, importID); err != nil || i.State != ImportRunning {
			return err
		}
		body, err = partBody(tx, i.ID, i.DoneParts+1)
		return err
	})
	if fault.Is(err, fault.NotFound) || err == nil && i.State != ImportRunning {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c, texts, err := s.partOf(body)
	if err == nil {
		_, err = s.write(ctx, realm, i.By, "", func(tx *db.Tx, w *writing) error {
			// Whoever else wrote this part held the realm's facts before.
			now, err := importByID(tx, importID)
			if err != nil || now.State != ImportRunning || now.DoneParts != i.DoneParts {
				more = err == nil && now.State == ImportRunning
				return err
			}
			w.change, w.texts = c, texts
			w.also = func(tx *db.Tx) error {
				now.DoneParts, now.DoneFacts, now.Updated = now.DoneParts+1, now.DoneFacts+int64(Count(c)), tx.Now
				if more = now.DoneParts < now.Parts; !more {
					now.State, now.Ended = ImportDone, tx.Now
					audit.Append(tx, now.By, now.event("done", map[string]any{"name": now.Name, "facts": now.DoneFacts}))
				}
				return errors.Join(updateImport(tx, now), dropPart(tx, now.ID, now.DoneParts))
			}
			return nil
		})
	}
	if err == nil || ctx.Err() != nil {
		return more, err
	}
	var refused *fault.Error
	if !errors.As(err, &refused) || refused.Kind == fault.Unavailable || refused.Kind == fault.Internal {
		return false, err // tried again
	}
	return false, s.DB.Update(ctx, realm, func(tx *db.Tx) error {
		now, err := importByID(tx, importID)
		if err != nil || now.State != ImportRunning {
			return err
		}
		now.State, now.Updated, now.Ended = ImportFailed, tx.Now, tx.Now
		now.LastError = fault.Line(fmt.Sprintf("part %d: %s", now.DoneParts+1, refused.Detail))
		audit.Append(tx, now.By, now.event("fail", map[string]any{"name": now.Name, "error": now.LastError, "done": now.DoneFacts}))
		return updateImport(tx, now)
	})
}
