package audit

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
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
	Root        tlog.Hash // of the whole log
	Checkpoints int       // signatures checked
}

// Verify reads a realm's whole log again and compares it with its tree, its
// tiles and every signed checkpoint. It finds an event that was changed,
// removed, reordered or cut off the end. Checkpoints kept elsewhere (the notes
// of earlier calls to Checkpoint) find even a log whose stored checkpoints were
// rewritten along with it. The error names the first thing that is wrong.
//
// One verification of a realm runs at a time on a node; a second one is
// fault.TooMany.
func (l *Log) Verify(ctx context.Context, realm string, kept ...string) (v Verified, err error) {
	if _, running := l.verifying.LoadOrStore(realm, true); running {
		return v, fault.New(fault.TooMany, "verify_running", "the log of realm %q is being verified; wait for that", realm).WithRetry(10 * time.Second)
	}
	defer l.verifying.Delete(realm)
	if err := l.drain(ctx); err != nil {
		return v, err
	}
	var want *tree
	due := map[int64]tlog.Hash{}
	err = l.db.SystemView(ctx, func(tx *db.Tx) error {
		if want, err = loadTree(tx, realm); err != nil {
			return err
		}
		stored, err := checkpoints(tx, realm, -1, 1<<30)
		if err != nil {
			return err
		}
		for _, c := range stored {
			kept = append(kept, c.Note)
		}
		return nil
	})
	if err != nil {
		return v, err
	}
	for _, text := range kept {
		size, root, err := l.openNote(realm, text)
		if err != nil {
			return v, err
		}
		if have, ok := due[size]; ok && have != root {
			return v, fmt.Errorf("two checkpoints of size %d name different roots: the log was forked", size)
		}
		due[size] = root
		v.Checkpoints++
	}
	got := &tree{realm: realm}
	if root, ok := due[0]; ok && root != got.root() {
		return v, fmt.Errorf("the checkpoint of the empty log is wrong")
	}
	for got.size < want.size {
		if err := ctx.Err(); err != nil {
			return v, err
		}
		if err := l.verifySome(ctx, realm, got, want.size, due); err != nil {
			return v, err
		}
	}
	v.Size, v.Root = got.size, got.root()
	if v.Root != want.root() {
		return v, fmt.Errorf("the events hash to another root than the log's head")
	}
	for size := range due {
		if size > got.size {
			return v, fmt.Errorf("a checkpoint proves that there were %d events; %d are left: the end was cut off", size, got.size)
		}
	}
	return v, nil
}

// verifySome hashes one tile's worth of events into got.
func (l *Log) verifySome(ctx context.Context, realm string, got *tree, size int64, due map[int64]tlog.Hash) error {
	var rows []row
	var kept []byte
	first := got.size
	err := l.db.SystemView(ctx, func(tx *db.Tx) (err error) {
		if rows, err = leafRows(tx, realm, first, tileWidth); err != nil {
			return err
		}
		kept, err = tile(tx, realm, 0, first/tileWidth)
		if db.Missing(err) {
			kept, err = nil, nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("event %d is missing, of %d", got.size, size)
	}
	var hashes []byte
	for _, s := range rows {
		if got.size == size {
			return nil // appended since we began
		}
		if s.leaf != got.size {
			return fmt.Errorf("event %d is missing, of %d", got.size, size)
		}
		r, err := decode(s.body)
		if err != nil {
			return fmt.Errorf("event %d: %w", s.leaf, err)
		}
		if r.ID != s.id || r.Realm != realm || r.Action != s.action || r.Actor.ID != s.actor || r.Target != s.target || !r.At.Equal(s.at.Time) {
			return fmt.Errorf("event %d (%s): its columns do not say what its record says", s.leaf, s.id)
		}
		h := leafHash(s.body)
		hashes = append(hashes, h[:]...)
		got.append(h)
		if root, ok := due[got.size]; ok && root != got.root() {
			return fmt.Errorf("the first %d events hash to another root than the checkpoint signed at that size", got.size)
		}
	}
	if kept != nil && len(hashes) == len(kept) && !bytes.Equal(kept, hashes) {
		for i := 0; i < len(kept); i += tlog.HashSize {
			if !bytes.Equal(kept[i:i+tlog.HashSize], hashes[i:i+tlog.HashSize]) {
				return fmt.Errorf("event %d was changed: it hashes to something else than when it was written", first+int64(i/tlog.HashSize))
			}
		}
	}
	return nil
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
