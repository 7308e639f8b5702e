package session

import (
	"context"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
)

// chunk is how many sessions one transaction ends.
const chunk = 200

// End ends a session. Grants below it are ended afterwards by package grant.
func (s *Store) End(ctx context.Context, by audit.Actor, name, id, reason string) error {
	return s.db.Update(ctx, name, func(tx *db.Tx) error {
		_, err := s.EndTx(tx, by, id, reason)
		return err
	})
}

// OnEnd registers fn to run in each transaction that ends sessions, with their
// ids. Sessions that run out by themselves are not told. Call it before anything
// is started.
func (s *Store) OnEnd(fn func(tx *db.Tx, ids []string) error) { s.onEnd = append(s.onEnd, fn) }

func (s *Store) tell(tx *db.Tx, ids []string) error {
	for _, fn := range s.onEnd {
		if err := fn(tx, ids); err != nil {
			return err
		}
	}
	return nil
}

// EndTx is End within a transaction. It reports whether the session had not been
// ended before; if it had, the commit waits as for the first time.
func (s *Store) EndTx(tx *db.Tx, by audit.Actor, id, reason string) (ended bool, err error) {
	e, err := byID(tx, id)
	if err != nil {
		return false, err
	}
	if !e.EndedAt.IsZero() {
		audit.Barrier(tx)
		return false, nil
	}
	if err := end(tx, id, reason); err != nil {
		return false, err
	}
	audit.Append(tx, by, audit.Event{Action: "session.end", TargetType: "session", Target: id,
		Data: map[string]any{"principal": e.Principal, "reason": reason}, Invalidates: true})
	return true, s.tell(tx, []string{id})
}

// EndAll ends every session of a principal that has not expired but except (""; none), and returns
// the ids of those it ended. Sessions that begin meanwhile are not among them,
// so make the principal or its credential dead before, if that is meant.
func (s *Store) EndAll(ctx context.Context, by audit.Actor, name, principal, except, reason string) ([]string, error) {
	return s.endMany(ctx, by, name, "principal", principal, reason, func(tx *db.Tx) ([]string, error) {
		return openOf(tx, principal, except, chunk)
	})
}

// EndBorn ends every session that was born of a credential, and returns their
// ids. Revoke the credential before.
func (s *Store) EndBorn(ctx context.Context, by audit.Actor, name, credential, reason string) ([]string, error) {
	c, err := s.creds.ByID(ctx, name, credential)
	if err != nil {
		return nil, err
	}
	return s.endMany(ctx, by, name, "credential", c.ID, reason, func(tx *db.Tx) ([]string, error) {
		return openBornOf(tx, c, chunk)
	})
}

// BornOf lists the sessions that were born of a credential and have not expired,
// ended ones too.
func (s *Store) BornOf(ctx context.Context, name, credential string) (ids []string, err error) {
	c, err := s.creds.ByID(ctx, name, credential)
	if err != nil {
		return nil, err
	}
	err = s.db.View(ctx, name, func(tx *db.Tx) error {
		ids, err = bornOf(tx, c)
		return err
	})
	return ids, err
}

// endMany ends sessions in chunks, each with one event that names them.
func (s *Store) endMany(ctx context.Context, by audit.Actor, name, targetType, target, reason string, open func(*db.Tx) ([]string, error)) (ended []string, err error) {
	for {
		var ids []string
		err := s.db.Update(ctx, name, func(tx *db.Tx) error {
			if ids, err = open(tx); err != nil {
				return err
			}
			if len(ids) == 0 {
				audit.Barrier(tx)
				return nil
			}
			for _, id := range ids {
				if err := end(tx, id, reason); err != nil {
					return err
				}
			}
			audit.Append(tx, by, audit.Event{Action: "session.end_all", TargetType: targetType, Target: target,
				Data: map[string]any{"sessions": strings.Join(ids, " "), "reason": reason}, Invalidates: true})
			return s.tell(tx, ids)
		})
		ended = append(ended, ids...)
		if err != nil || len(ids) < chunk {
			return ended, err
		}
	}
}

// ByID reads a session, ended ones too, or returns fault.NotFound.
func (s *Store) ByID(ctx context.Context, name, id string) (e *Session, err error) {
	err = s.db.Glance(ctx, name, func(tx *db.Tx) error {
		e, err = byID(tx, id)
		return err
	})
	return e, err
}

// Filter says which sessions to list. Zero fields do not restrict.
type Filter struct {
	Principal string
	Live      bool // neither ended nor expired
}

// List returns up to limit sessions, the newest first, beginning behind the id
// after, and the id to go on behind, or "" at the end.
func (s *Store) List(ctx context.Context, name string, f Filter, after string, limit int) (page []*Session, next string, err error) {
	if after != "" && !id.Valid("ses", after) {
		return nil, "", fault.New(fault.Invalid, "page_invalid", "the page is not one that was given out").WithField("page", "is not one that was given out")
	}
	return db.Page(ctx, s.db, name, limit, 500, func(tx *db.Tx, limit int) ([]*Session, error) { return list(tx, f, after, limit) },
		func(e *Session) string { return e.ID })
}
