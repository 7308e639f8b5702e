package audit

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/bits"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// Verified is what Verify found to hold.
type Verified struct {
	Size        int64     // events hashed
	Of          int64     // events that there are, or were a moment ago
	Root        tlog.Hash // of the events hashed
	Checkpoints int       // signatures checked
	Segments    int64     // of activity, hashed
	Forgotten   int64     // segments of activity that were deleted when they were old enough
}

// stepTime is after how long a step of a verification ends.
const stepTime = 10 * time.Second

// Verify reads a realm's whole log again and compares it with its tree, its
// tiles and every signed checkpoint, and all activity with the hashes in the log.
// It finds an event or a segment of activity that was changed, removed, added,
// reordered or cut off the end. Checkpoints kept elsewhere (the notes of earlier
// calls to Checkpoint) find even a log whose stored checkpoints were rewritten
// along with it. The error names the first thing that is wrong.
//
// One verification of a realm runs at a time on a node; a second one is
// fault.TooMany.
func (l *Log) Verify(ctx context.Context, realm string, kept ...string) (v Verified, err error) {
	due, err := l.openNotes(realm, kept)
	if err != nil {
		return v, err
	}
	for next := ""; ; {
		if v, next, err = l.verify(ctx, realm, next, due); err != nil || next == "" {
			v.Checkpoints += len(kept)
			return v, err
		}
	}
}

// VerifyStep is the part of Verify that is done in some ten seconds. It begins where
// after says, "" at the beginning, and says where the next step is to go on, "" when
// everything holds. What after says is believed: it is for whoever wants to know.
func (l *Log) VerifyStep(ctx context.Context, realm, after string) (v Verified, next string, err error) {
	return l.verify(ctx, realm, after, nil)
}

// openNotes reads checkpoints that were kept elsewhere: the root due at each size.
func (l *Log) openNotes(realm string, kept []string) (due map[int64]tlog.Hash, err error) {
	due = map[int64]tlog.Hash{}
	for _, text := range kept {
		size, root, err := l.openNote(realm, text)
		if err != nil {
			return nil, err
		}
		if have, ok := due[size]; ok && have != root {
			return nil, fmt.Errorf("two checkpoints of size %d name different roots: the log was forked", size)
		}
		due[size] = root
	}
	return due, nil
}

// verification is how far a log has been verified, and what a step tells the next.
type verification struct {
	Size        int64       `json:"size"`
	Frontier    []tlog.Hash `json:"frontier"`
	Rounds      int         `json:"rounds"`
	Checkpoints int         `json:"checkpoints"`
	checkedActivity

	tree *tree // Size and Frontier, while a step runs
}

// resumed reads where a step is to begin.
func resumed(realm, after string) (*verification, error) {
	s := &verification{}
	if after != "" {
		invalid := fault.New(fault.Invalid, "page_token_invalid", "the page token is not one of ours")
		text, err := base64.RawURLEncoding.DecodeString(after)
		if err != nil || json.Unmarshal(text, s) != nil {
			return nil, invalid
		}
		if s.Rounds < 0 || s.Rounds > rounds || s.Size < 0 || bits.OnesCount64(uint64(s.Size)) != len(s.Frontier) {
			return nil, invalid
		}
	}
	s.tree = &tree{realm: realm, size: s.Size, frontier: s.Frontier}
	return s, nil
}

func (s *verification) String() string {
	s.Size, s.Frontier = s.tree.size, s.tree.frontier
	text, _ := json.Marshal(s) // numbers and texts always have an encoding
	return base64.RawURLEncoding.EncodeToString(text)
}

func (s *verification) verified(of int64) Verified {
	return Verified{Size: s.tree.size, Of: max(of, s.tree.size), Root: s.tree.root(), Checkpoints: s.Checkpoints, Segments: s.Segments, Forgotten: s.Forgotten}
}

// rounds is how often the log is read up to its end. The second time reads what was
// appended during the first, so that what was deleted meanwhile is known to be.
const rounds = 2

// verify does one step.
func (l *Log) verify(ctx context.Context, realm, after string, due map[int64]tlog.Hash) (v Verified, next string, err error) {
	if _, running := l.verifying.LoadOrStore(realm, true); running {
		return v, "", fault.New(fault.TooMany, "verify_running", "the log of realm %q is being verified; wait for that", realm).WithRetry(10 * time.Second)
	}
	defer l.verifying.Delete(realm)
	s, err := resumed(realm, after)
	if err != nil {
		return v, "", err
	}
	until := l.opts.Elapsed() + stepTime
	var of int64
	for s.Rounds < rounds {
		if err := l.drain(ctx); err != nil {
			return v, "", err
		}
		end, err := l.endOf(ctx, realm)
		if err != nil {
			return v, "", err
		}
		for of = end.tree.size; s.tree.size < of; {
			if err := l.verifyStretch(ctx, s, of, due); err != nil {
				return s.verified(of), "", err
			}
			if l.opts.Elapsed() >= until {
				return s.verified(of), s.String(), nil
			}
		}
		if err := s.ends(end, due); err != nil {
			return s.verified(of), "", err
		}
		if s.Rounds++; l.opts.Elapsed() >= until {
			return s.verified(of), s.String(), nil
		}
	}
	for more := true; more; {
		if more, err = l.verifyStored(ctx, s); err != nil {
			return s.verified(of), "", err
		}
		if more && l.opts.Elapsed() >= until {
			return s.verified(of), s.String(), nil
		}
	}
	return s.verified(of), "", s.forgotten()
}

// end is the end of a realm's log, and the first checkpoint behind it, if there is one.
type end struct {
	tree   *tree
	behind []Checkpoint
}

func (l *Log) endOf(ctx context.Context, realm string) (e end, err error) {
	err = l.db.SystemView(ctx, func(tx *db.Tx) error {
		if e.tree, err = loadTree(tx, realm); err != nil {
			return err
		}
		e.behind, err = checkpoints(tx, realm, e.tree.size, 1)
		return err
	})
	return e, err
}

// ends compares what was read with what the log's end was when that began.
func (s *verification) ends(e end, due map[int64]tlog.Hash) error {
	size := e.tree.size
	if s.tree.size > size {
		return fmt.Errorf("there were %d events when this verification began; %d are left: the end was cut off", s.tree.size, size)
	}
	if s.tree.root() != e.tree.root() {
		return fmt.Errorf("the events hash to another root than the log's head")
	}
	for _, c := range e.behind {
		return fmt.Errorf("a checkpoint proves that there were %d events; %d are left: the end was cut off", c.Size, size)
	}
	for n := range due {
		if n > size {
			return fmt.Errorf("a checkpoint proves that there were %d events; %d are left: the end was cut off", n, size)
		}
	}
	if root, ok := due[0]; ok && root != (&tree{}).root() {
		return fmt.Errorf("the checkpoint of the empty log is wrong")
	}
	return nil
}

// stretch is what is compared of a log at once: events of one tile, up to where the
// segments that they are about are too many or too long to be read in one view.
type stretch struct {
	now    time.Time
	rows   []row
	whole  bool         // there are no further rows up to where they were asked for
	tile   []byte       // nil while it is not full
	signed []Checkpoint // of the sizes that it leads to, and perhaps of larger ones
	kept   map[string]keptSegment
}

func (l *Log) read(ctx context.Context, realm string, first, n int64) (st stretch, err error) {
	err = l.db.SystemView(ctx, func(tx *db.Tx) error {
		st.now = tx.Now
		if st.rows, err = leafRows(tx, realm, first, int(n)); err != nil {
			return err
		}
		all := len(st.rows)
		if st.rows, err = readable(tx, realm, st.rows); err != nil {
			return err
		}
		st.whole = len(st.rows) == all
		if st.tile, err = tile(tx, realm, 0, first/tileWidth); err != nil && !db.Missing(err) {
			return err
		}
		if st.signed, err = checkpoints(tx, realm, first, int(n)); err != nil {
			return err
		}
		st.kept, err = keptOf(tx, realm, st.rows)
		return err
	})
	return st, err
}

// verifyStretch hashes events, at most up to the end of a tile, or of the log at size.
func (l *Log) verifyStretch(ctx context.Context, s *verification, size int64, due map[int64]tlog.Hash) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t := s.tree
	end := min(t.size/tileWidth*tileWidth+tileWidth, size)
	st, err := l.read(ctx, t.realm, t.size, end-t.size)
	if err != nil {
		return err
	}
	if !st.whole {
		end = t.size + int64(len(st.rows))
	}
	roots, err := l.rootsOf(t.realm, st.signed, due)
	if err != nil {
		return err
	}
	for _, r := range st.rows {
		if r.leaf != t.size {
			break
		}
		e, err := r.decode(t.realm)
		if err != nil {
			return err
		}
		h, at := leafHash(r.body), t.size%tileWidth*tlog.HashSize
		if st.tile != nil && (int64(len(st.tile)) < at+tlog.HashSize || tlog.Hash(st.tile[at:at+tlog.HashSize]) != h) {
			return fmt.Errorf("event %d was changed: it hashes to something else than when it was written", r.leaf)
		}
		if err := s.follow(&e, st); err != nil {
			return err
		}
		t.append(h)
		t.fresh = nil
		if root, ok := roots[t.size]; ok && root != t.root() {
			return fmt.Errorf("the first %d events hash to another root than the checkpoint signed at that size", t.size)
		}
	}
	if t.size < end {
		return fmt.Errorf("event %d is missing, of %d", t.size, size)
	}
	for _, c := range st.signed {
		if c.Size <= end {
			s.Checkpoints++
		}
	}
	return nil
}

// rootsOf is which root is due at which size.
func (l *Log) rootsOf(realm string, signed []Checkpoint, due map[int64]tlog.Hash) (map[int64]tlog.Hash, error) {
	roots := maps.Clone(due)
	for _, c := range signed {
		size, root, err := l.openNote(realm, c.Note)
		if err != nil {
			return nil, err
		}
		if size != c.Size {
			return nil, fmt.Errorf("the checkpoint of size %d was changed: what was signed says %d", c.Size, size)
		}
		if have, ok := due[size]; ok && have != root {
			return nil, fmt.Errorf("two checkpoints of size %d name different roots: the log was forked", size)
		}
		if roots == nil {
			roots = map[int64]tlog.Hash{}
		}
		roots[size] = root
	}
	return roots, nil
}

// decode reads an event whose columns say what it says.
func (s *row) decode(realm string) (Record, error) {
	r, err := decode(s.body)
	if err != nil {
		return r, fmt.Errorf("event %d: %w", s.leaf, err)
	}
	if r.ID != s.id || r.Realm != realm || r.Action != s.action || r.Actor.ID != s.actor || r.Target != s.target || !r.At.Equal(s.at.Time) {
		return r, fmt.Errorf("event %d (%s): its columns do not say what its record says", s.leaf, s.id)
	}
	r.Leaf = s.leaf
	return r, nil
}

// openNote checks a checkpoint's signature and reads it.
func (l *Log) openNote(realm, text string) (size int64, root tlog.Hash, err error) {
	key, err := l.Verifier(realm)
	if err != nil {
		return 0, root, err
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return 0, root, err
	}
	n, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return 0, root, fmt.Errorf("a checkpoint is not signed by this realm: %w", err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return 0, root, fmt.Errorf("a checkpoint has an unknown form")
	}
	if _, err := fmt.Sscanf(lines[1], "%d", &size); err != nil {
		return 0, root, fmt.Errorf("a checkpoint has no size")
	}
	b, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(b) != tlog.HashSize {
		return 0, root, fmt.Errorf("a checkpoint has no root")
	}
	return size, tlog.Hash(b), nil
}
