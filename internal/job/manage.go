package job

import (
	"context"
	"errors"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
)

// Filter says which jobs to list. Zero fields do not restrict.
type Filter struct {
	State   State
	Kind    string
	Target  string
	Subject string
}

// List returns up to limit jobs of a realm without their payloads, the newest
// first, beginning behind the id after, and the id to go on behind, or "" at
// the end.
func (q *Queue) List(ctx context.Context, realm string, f Filter, after string, limit int) (page []*Job, next string, err error) {
	if after != "" && !id.Valid("job", after) {
		return nil, "", fault.New(fault.Invalid, "page_invalid", "the page is not one that was given out").WithField("page", "is not one that was given out")
	}
	return db.Page(ctx, q.db, realm, limit, 500, func(tx *db.Tx, limit int) ([]*Job, error) { return list(tx, f, after, limit) },
		func(j *Job) string { return j.ID })
}

// ByID reads a job without its payload, or returns fault.NotFound.
func (q *Queue) ByID(ctx context.Context, realm, id string) (j *Job, err error) {
	err = q.db.View(ctx, realm, func(tx *db.Tx) error {
		j, err = byID(tx, id)
		return err
	})
	return j, err
}

// Running reports whether a node is doing a job.
func (q *Queue) Running(j *Job) bool { return j.held(q.db.Now()) }

// Retry has a job that was given up done again, with all of its attempts, or one
// that waits done at once. One that has ended otherwise, or that a node has, is
// fault.Conflict.
func (q *Queue) Retry(ctx context.Context, by audit.Actor, realm, id string) (*Job, error) {
	return q.change(ctx, by, realm, id, "job.retry", func(tx *db.Tx, j *Job) (*Job, error) {
		if j.State == Done || j.State == Discarded {
			return nil, fault.New(fault.Conflict, "job_ended", "job %q has ended: it is %s", id, j.State)
		}
		tx.Wake(wakeQueue)
		return revive(tx, id, max(j.Left, q.kinds[j.Kind].Attempts))
	})
}

// Discard has a job not done any more. One that a node has is fault.Conflict;
// one that has been discarded or done stays as it is.
func (q *Queue) Discard(ctx context.Context, by audit.Actor, realm, id string) (*Job, error) {
	return q.change(ctx, by, realm, id, "job.discard", func(tx *db.Tx, j *Job) (*Job, error) { return discard(tx, id) })
}

// change does something to a job that no node has, with one event.
func (q *Queue) change(ctx context.Context, by audit.Actor, realm, id, action string, do func(tx *db.Tx, j *Job) (*Job, error)) (changed *Job, err error) {
	err = q.db.Update(ctx, realm, func(tx *db.Tx) error {
		j, err := byID(tx, id)
		if err != nil {
			return err
		}
		if j.held(tx.Now) {
			return fault.New(fault.Conflict, "job_running", "job %q is being done; try again when that has ended", id)
		}
		if action == "job.discard" && (j.State == Done || j.State == Discarded) {
			changed = j
			return nil
		}
		if changed, err = do(tx, j); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: action, TargetType: "job", Target: id,
			Data: map[string]any{"kind": j.Kind, "target": j.Target, "subject": j.Subject}})
		return nil
	})
	return changed, err
}

// Depth is how many jobs of all realms wait, and how many were given up.
func (q *Queue) Depth(ctx context.Context) (waiting, dead int, err error) {
	err = q.db.SystemView(ctx, func(tx *db.Tx) error {
		waiting, dead, err = depth(tx)
		return err
	})
	return waiting, dead, err
}

// Collect deletes jobs that ended long ago. One call does a bounded amount of
// work; the caller comes again while it deletes much.
func (q *Queue) Collect(ctx context.Context, realm string) (deleted int64, err error) {
	err = q.db.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		deleted, err = sweep(tx, tx.Now.Add(-keepDone), tx.Now.Add(-keepDead), collectChunk)
		return err
	})
	return deleted, err
}

const collectChunk = 1000

func isNever(err error) bool {
	var n *never
	return errors.As(err, &n)
}

// maxSaid bounds the error that is kept, in bytes.
const maxSaid = 500

// said is an error in the form in which it is kept.
func said(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		text = "it took too long"
	}
	if len(text) > maxSaid {
		text = text[:maxSaid]
	}
	return strings.ToValidUTF8(text, "")
}

// unknown is a job that there is not.
func unknown(id string) error {
	return fault.New(fault.NotFound, "job_unknown", "there is no job %q", id)
}
