package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/access/replica"
)

// Decisions wait in files until the server has taken them. A decision never waits
// for that: what there is no room for is left out, the oldest first, and counted.
const (
	mostQueued  = 4096             // decisions in memory,
	queueSize   = 16 << 20         // and bytes of them
	segmentSize = 256 << 10        // of one file, well below what the server takes at once
	leastLog    = 64 << 10         // of Config.MaxLog
	handIn      = time.Second      // how long decisions gather
	longPause   = 30 * time.Second // between tries while the server has no room
	mostPause   = 10 * time.Minute // if it asks for more
)

type spool struct {
	dir   string
	most  int64
	queue chan []byte   // lines
	held  atomic.Int64  // bytes in queue
	away  atomic.Int64  // decisions that found no room in it, and are not in lost yet
	poke  chan struct{} // a file is full

	mu    sync.Mutex
	files []segment // the oldest first; the last one may be written to
	last  *os.File  // nil: the last file is closed
	next  int64
	bytes int64
	lost  int64
	told  int64 // of those that were lost, how many the server knows of
}

type segment struct {
	name  string
	size  int64
	lines int64
}

// openSpool goes on with what an earlier process left.
func openSpool(dir string, most int64) (*spool, error) {
	p := &spool{dir: filepath.Join(dir, "decisions"), most: most, queue: make(chan []byte, mostQueued), poke: make(chan struct{}, 1)}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	names, err := filepath.Glob(filepath.Join(p.dir, "*.ndjson")) // sorted
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("edge: %w", err)
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(name), ".ndjson"), 10, 64)
		if err != nil {
			continue
		}
		p.next = max(p.next, n+1)
		p.files = append(p.files, segment{name, int64(len(text)), int64(bytes.Count(text, []byte("\n")))})
		p.bytes += int64(len(text))
	}
	return p, nil
}

// note takes a decision. It never waits, and holds nothing of it: whoever decides uses
// its memory again.
func (p *spool) note(d *replica.Decision) {
	if p == nil {
		return
	}
	if len(p.queue) < cap(p.queue) && p.held.Load() < queueSize {
		if line, err := json.Marshal(d); err == nil {
			p.held.Add(int64(len(line)))
			select {
			case p.queue <- line:
				return
			default:
				p.held.Add(-int64(len(line)))
			}
		}
	}
	p.away.Add(1) // mu may be held for as long as the disk takes
}

// state is how many bytes wait, and how many decisions there was no room for.
func (p *spool) state() (waiting, lost int64) {
	if p == nil {
		return 0, 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost += p.away.Swap(0)
	return p.bytes, p.lost
}

// write puts decisions into files until ctx ends, and then what is left.
func (p *spool) write(ctx context.Context) {
	for {
		select {
		case line := <-p.queue:
			p.put(line)
		case <-ctx.Done():
			for {
				select {
				case line := <-p.queue:
					p.put(line)
				default:
					return
				}
			}
		}
	}
}

func (p *spool) put(line []byte) {
	p.held.Add(-int64(len(line)))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.add(append(line, '\n')) != nil {
		p.lost++
	}
}

func (p *spool) add(line []byte) error {
	if p.last == nil {
		name := filepath.Join(p.dir, fmt.Sprintf("%015d.ndjson", p.next))
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		p.next++
		p.last = f
		p.files = append(p.files, segment{name: name})
	}
	n, err := p.last.Write(line)
	s := &p.files[len(p.files)-1]
	s.size += int64(n)
	p.bytes += int64(n)
	if err != nil {
		p.endFile()
		return err
	}
	s.lines++
	if s.size >= min(segmentSize, p.most/4) {
		p.endFile()
		select {
		case p.poke <- struct{}{}:
		default:
		}
	}
	for p.bytes > p.most {
		p.lost += p.files[0].lines
		p.forget(p.files[0].name)
	}
	return nil
}

func (p *spool) endFile() {
	if p.last != nil {
		_ = p.last.Close() // the text is written
		p.last = nil
	}
}

// forget removes a file.
func (p *spool) forget(name string) {
	for i, s := range p.files {
		if s.name == name {
			if i == len(p.files)-1 {
				p.endFile()
			}
			_ = os.Remove(name) // what stays is handed in twice
			p.bytes -= s.size
			p.files = append(p.files[:i:i], p.files[i+1:]...)
			return
		}
	}
}

// oldest is the file to hand in next, closed to further decisions.
func (p *spool) oldest() (s segment, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.files) == 0 {
		return s, false
	}
	if len(p.files) == 1 {
		p.endFile()
	}
	return p.files[0], true
}

func (p *spool) done(s segment, lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.files {
		if f.name == s.name { // not left out meanwhile
			if lost {
				p.lost += f.lines
			}
			p.forget(s.name)
			return
		}
	}
}

func (p *spool) close() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endFile()
	return nil
}

// upload hands in files, one after the other, and slows down when the server has
// no room.
func (e *Edge) upload(ctx context.Context) {
	wait := handIn
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.log.poke:
			if wait > handIn { // the server has no room: no sooner for it
				select {
				case <-ctx.Done():
					return
				case <-time.After(wait + rand.N(wait/4)):
				}
			}
		case <-time.After(wait + rand.N(wait/4)):
		}
		for ctx.Err() == nil {
			s, ok := e.log.oldest()
			if !ok {
				break
			}
			after, err := e.handIn(ctx, s)
			if err != nil && e.c.OnError != nil && ctx.Err() == nil {
				e.c.OnError(err)
			}
			if after >= 0 {
				wait = max(min(wait*2, longPause), min(after, mostPause))
				break
			}
			e.log.done(s, err != nil && !errors.Is(err, errPartly))
			wait = handIn
		}
	}
}

// done is that a file must not be sent again.
const done = -1

// handIn sends one file, and how many decisions were lost that the server has not
// been told of. It says after which time the file must be sent again, or done.
func (e *Edge) handIn(ctx context.Context, s segment) (again time.Duration, err error) {
	text, err := os.ReadFile(s.name)
	if errors.Is(err, os.ErrNotExist) {
		again = done
	}
	if err != nil {
		return again, fmt.Errorf("edge: decisions cannot be read: %w", err)
	}
	// A process that was killed may have left half a line.
	if text = text[:bytes.LastIndexByte(text, '\n')+1]; len(text) == 0 {
		return done, nil
	}
	ctx, cancel := context.WithTimeout(ctx, longPause)
	defer cancel()
	lost := e.log.untold()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s%s/decisions?lost=%d", e.issuer, path, lost), bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	res, err := e.send(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode/100 == 2:
		text, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
		e.log.tell(lost)
		return done, e.log.partly(text)
	case res.StatusCode == http.StatusBadRequest, res.StatusCode == http.StatusRequestEntityTooLarge:
		return done, refused(res)
	}
	seconds, _ := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 16) // without it: as soon as before
	return time.Duration(seconds) * time.Second, refused(res)
}

// errPartly says that the server refused some of the decisions of a file.
var errPartly = errors.New("edge: the server refuses decisions")

// partly counts what the server refused of decisions that it took otherwise. It has
// counted them as well.
func (p *spool) partly(answer []byte) error {
	var in replica.HandedIn
	if len(answer) == 0 || json.Unmarshal(answer, &in) != nil || in.Refused <= 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost += int64(in.Refused)
	p.told += int64(in.Refused)
	return fmt.Errorf("%w: %d of %d: %s", errPartly, in.Refused, in.Taken+in.Refused, in.Why)
}

func (p *spool) untold() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost += p.away.Swap(0)
	return p.lost - p.told
}

func (p *spool) tell(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told += n
}
