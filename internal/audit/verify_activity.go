package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// Segments of activity stand beside the log. For each there is one event, which holds
// its hash; what is compared here are both, in both directions. A segment that is old
// enough may be missing, if the log says that those of its age were deleted.

// The events about segments, and how many segments are looked up in the log, or read
// and hashed, at once: in a view, which has two seconds.
const (
	segmentWritten  = "activity.segment"
	segmentsDeleted = "activity.forget"
	storedAtOnce    = 500
	hashedAtOnce    = 64
	hashedBytes     = 4 << 20
)

// checkedActivity is how far the activity beside a log has been verified.
type checkedActivity struct {
	Segments  int64  `json:"segments"`
	Forgotten int64  `json:"forgotten"`
	Youngest  string `json:"youngest"` // the id of the youngest segment that is missing, and when it was written
	YoungAt   int64  `json:"young_at"`
	Deleted   int64  `json:"deleted"` // what was written before may be missing, as the log says; 0: it says nothing
	Behind    string `json:"behind"`  // up to this id, segments were found to have an event
}

// keptSegment is a segment without its text.
type keptSegment struct {
	id, node string
	at       time.Time
	records  int64
	hash     string
}

// follow compares the next event with the activity that it is about.
func (c *checkedActivity) follow(e *Record, st stretch) error {
	switch e.Action {
	case segmentsDeleted:
		return c.deleted(e, st.now)
	case segmentWritten:
	default:
		return nil
	}
	k, found := st.kept[e.Target]
	records, _ := e.Data["records"].(float64)
	switch hash, _ := e.Data["sha256"].(string); {
	case !found && e.At.Before(st.now.Add(-activityKept)):
		if c.Forgotten++; e.At.UnixMilli() >= c.YoungAt {
			c.Youngest, c.YoungAt = e.Target, e.At.UnixMilli()
		}
		return nil
	case !found:
		return fmt.Errorf("the segment of activity %s of event %d is missing, which is younger than those that are deleted", e.Target, e.Leaf)
	case k.hash != hash:
		return fmt.Errorf("the segment of activity %s was changed: it hashes to something else than event %d says", k.id, e.Leaf)
	case !k.at.Equal(e.At) || k.node != e.Data["node"] || float64(k.records) != records:
		return fmt.Errorf("the segment of activity %s: its columns do not say what event %d says", k.id, e.Leaf)
	}
	c.Segments++
	return nil
}

// deleted reads an event that says that segments were deleted. It excuses none that
// are younger than those that ever are.
func (c *checkedActivity) deleted(e *Record, now time.Time) error {
	text, _ := e.Data["before"].(string)
	before, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return fmt.Errorf("event %d does not say up to when activity was deleted: %w", e.Leaf, err)
	}
	if before.After(e.At.Add(-activityKept)) {
		return fmt.Errorf("event %d says that activity was deleted up to %s, which is younger than what is deleted", e.Leaf, text)
	}
	c.Deleted = max(c.Deleted, min(before.UnixMilli(), now.Add(-activityKept).UnixMilli()))
	return nil
}

// forgotten is an error if a segment is missing that is old enough to be deleted, but
// was not when that was done last. Logs from before deletions were written down say
// nothing of any.
func (c *checkedActivity) forgotten() error {
	if c.Youngest == "" || c.Deleted == 0 || c.YoungAt < c.Deleted {
		return nil
	}
	return fmt.Errorf("the segment of activity %s is missing, and the log does not say that it was deleted", c.Youngest)
}

// verifyStored looks the next segments up in the log, and reports whether there are
// more. At the end it looks for events outside of the log, which would vouch for
// segments and were not read.
func (l *Log) verifyStored(ctx context.Context, s *verification) (more bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	err = l.db.SystemView(ctx, func(tx *db.Tx) error {
		t, err := loadTree(tx, s.tree.realm)
		if err != nil {
			return err
		}
		stored, err := vouched(tx, t.realm, s.Behind, t.size, storedAtOnce)
		if err != nil {
			return err
		}
		for _, k := range stored {
			if s.Behind = k.id; !k.vouched {
				return fmt.Errorf("the segment of activity %s was added: no event of the log is about it", k.id)
			}
		}
		if more = len(stored) == storedAtOnce; more {
			return nil
		}
		if some, err := outside(tx, t.realm, t.size); err != nil || len(some) == 0 {
			return err
		} else {
			return fmt.Errorf("the event %s was added: its place is %d, in a log of %d events", some[0].id, some[0].leaf, t.size)
		}
	})
	return more, err
}

// readable is those of the first rows whose segments one view has the time to read, and
// at least the first.
func readable(tx *db.Tx, realm string, rows []row) ([]row, error) {
	var ids []string
	for i, r := range rows {
		if r.action == segmentWritten {
			if ids = append(ids, r.target); len(ids) == hashedAtOnce {
				rows = rows[:i+1]
				break
			}
		}
	}
	if len(ids) == 0 {
		return rows, nil
	}
	lengths, err := lengthsOf(tx, realm, ids)
	if err != nil {
		return nil, err
	}
	left := int64(hashedBytes)
	for i, r := range rows {
		if r.action != segmentWritten {
			continue
		}
		if left -= lengths[r.target]; left < 0 {
			return rows[:max(i, 1)], nil
		}
	}
	return rows, nil
}

// keptOf reads the segments that events are about.
func keptOf(tx *db.Tx, realm string, rows []row) (map[string]keptSegment, error) {
	kept := map[string]keptSegment{}
	var ids []string
	for _, r := range rows {
		if r.action == segmentWritten {
			ids = append(ids, r.target)
		}
	}
	if len(ids) == 0 {
		return kept, nil
	}
	all, err := hashed(tx, realm, ids)
	for _, k := range all {
		kept[k.id] = k
	}
	return kept, err
}
