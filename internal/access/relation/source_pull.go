package relation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/job"
)

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
				e.Data["error"] = fault.Line(failed.Error())
			}
			audit.Append(tx, audit.System, e)
		}
		if failed != nil {
			return pullFailed(tx, n.ID, fault.Line(failed.Error()))
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
