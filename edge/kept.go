package edge

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/cardea-id/cardea/internal/access/replica"
)

// The store is one file: what it is of, a snapshot, and then the frames that came
// since, each head with a sum of itself. What was written only in part, or was
// changed, ends what counts: the edge goes on from the last head before it, or
// from nothing. It is a copy: the server has all of it.

// kindOf begins the file: which realm and slice it holds.
const kindOf = 'O'

const (
	sumSize   = 8
	leastTail = 4 << 20 // how much is added before the file is written anew
)

// of says what a file holds.
type of struct {
	Version int      `json:"version"`
	Issuer  string   `json:"issuer"`
	Types   []string `json:"types,omitempty"`
}

type store struct {
	dir    string
	of     of
	lock   *os.File
	file   *os.File
	size   int64 // of the snapshot at the beginning
	tail   int64 // what was added
	broken bool  // the end of the file may be half a frame
}

// openStore takes the directory for this process and reads what it has of a realm.
func openStore(dir, issuer string, types []string) (*store, *replica.State, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, nil, fmt.Errorf("edge: %s is used by another edge: %w", dir, err)
	}
	k := &store{dir: dir, of: of{1, issuer, types}, lock: lock}
	state, whole := k.read()
	if !whole { // what is read is good; what follows it must not come again
		err = k.rewrite(state)
	} else {
		k.file, err = os.OpenFile(k.path(), os.O_WRONLY|os.O_APPEND, 0o600)
	}
	if err != nil {
		k.close()
		return nil, nil, fmt.Errorf("edge: %w", err)
	}
	return k, state, nil
}

func (k *store) path() string { return filepath.Join(k.dir, "facts") }

// read returns the last state that the file vouches for, and whether the file
// ends with it.
func (k *store) read() (*replica.State, bool) {
	state := replica.Empty()
	f, err := os.Open(k.path())
	if err != nil {
		return state, false
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	kind, payload, err := replica.ReadFrame(in)
	var was of
	if err != nil || kind != kindOf || json.Unmarshal(payload, &was) != nil ||
		was.Version != k.of.Version || was.Issuer != k.of.Issuer || !slices.Equal(was.Types, k.of.Types) {
		return state, false
	}
	var stage *replica.Stage
	clean := true // nothing came since the last head
	for {
		kind, payload, err := replica.ReadFrame(in)
		if errors.Is(err, io.EOF) {
			return state, clean && state.Revision > 0
		}
		if err != nil {
			return state, false
		}
		clean = false
		switch {
		case kind == replica.KindBegin:
			stage = replica.NewStage(k.of.Issuer, k.of.Types, dress, state)
			_, err = stage.Begin(payload)
		case stage == nil:
			err = errors.New("no beginning")
		case kind == replica.KindPart:
			err = stage.Part(payload)
		case kind == replica.KindHead:
			claims, ok := unsummed(payload)
			if !ok {
				return state, false
			}
			if state, err = stage.Head(claims); err != nil {
				state = stage.State()
			}
			clean = true
		default:
			err = errors.New("another kind of frame")
		}
		if err != nil {
			return state, false
		}
	}
}

func summed(claims []byte) []byte {
	sum := sha256.Sum256(claims)
	return append(sum[:sumSize:sumSize], claims...)
}

func unsummed(payload []byte) (claims []byte, ok bool) {
	if len(payload) < sumSize {
		return nil, false
	}
	sum := sha256.Sum256(payload[sumSize:])
	return payload[sumSize:], bytes.Equal(sum[:sumSize], payload[:sumSize])
}

// append adds frames, the last of them a head, which lead to a state. It does not
// wait for the disk: what a kill of the process leaves is enough, and after a
// crash of the machine the server tells again.
func (k *store) append(s *replica.State, frames []byte) error {
	if k.broken || k.tail > max(leastTail, 2*k.size) {
		return k.rewrite(s)
	}
	n, err := k.file.Write(frames)
	k.tail += int64(n)
	k.broken = err != nil
	return err
}

// rewrite puts a snapshot in the place of the file.
func (k *store) rewrite(s *replica.State) error {
	var size int64
	err := replace(k.path(), func(f io.Writer) error {
		w := bufio.NewWriterSize(f, 1<<20)
		write := func(kind byte, payload []byte) error {
			frame := replica.AppendFrame(nil, kind, payload)
			size += int64(len(frame))
			_, err := w.Write(frame)
			return err
		}
		head, err := json.Marshal(k.of)
		if err == nil {
			err = write(kindOf, head)
		}
		if err != nil || s.Revision == 0 {
			return errors.Join(err, w.Flush())
		}
		return errors.Join(snapshot(s, k.of, write), w.Flush())
	})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(k.path(), os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if k.file != nil {
		k.file.Close()
	}
	k.file, k.size, k.tail, k.broken = f, size, 0, false
	return nil
}

// snapshot writes a state as a stream that leads to it from nothing.
func snapshot(s *replica.State, o of, write func(kind byte, payload []byte) error) error {
	begin, err := json.Marshal(replica.Begin{Mode: replica.ModeSnapshot, Line: s.Line})
	if err != nil {
		return err
	}
	chain := replica.Chain{}.Next(replica.KindBegin, begin)
	if err := write(replica.KindBegin, begin); err != nil {
		return err
	}
	h := replica.Head{Issuer: o.Issuer, At: s.At, Line: s.Line, Seq: s.Seq, Revision: s.Revision, Next: &s.Chain, Types: o.Types}
	if s.Snapshot != nil {
		h.Policies, h.Facts = s.Snapshot.Set().Hash(), s.Graph.Sum()
		err = replica.Write(s.Snapshot.Set(), s.Graph, nil, func(part []byte) error {
			chain = chain.Next(replica.KindPart, part)
			return write(replica.KindPart, part)
		})
		if err != nil {
			return err
		}
	}
	h.Chain = chain
	claims, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return write(replica.KindHead, summed(claims))
}

// close lets the directory go.
func (k *store) close() error {
	if k == nil {
		return nil
	}
	var err error
	if k.file != nil {
		err = k.file.Close()
	}
	return errors.Join(err, k.lock.Close())
}

// replace puts a file in the place of another, wholly or not at all.
func replace(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	err = errors.Join(write(f), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	_ = d.Sync() // not every file system can
	return d.Close()
}
