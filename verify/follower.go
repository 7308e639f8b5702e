package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/statuslist"
)

// How the stream is taken up again. The first attempts come quickly, since the
// verifier refuses everything MaxStaleness after the last sign of life; each
// waits a random part of its bound, so that a thousand verifiers that were cut
// at once do not come back at once.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
	// leastSilence is the shortest time without a byte after which a connection
	// counts as dead. Something comes every second.
	leastSilence = 3 * time.Second
	// maxProblem is how much is read of an answer that is no stream.
	maxProblem = 8 << 10
)

// follower applies the revocation stream. Only its own goroutine uses it.
type follower struct {
	v *Verifier

	boot  string // of the sender whose stream is followed; empty: start over
	pos   statuslist.Position
	chain statuslist.Chain

	// offset is the largest difference seen between the issuer's clock and the
	// moment of receipt: that of the message that travelled fastest. By it the
	// age of any later message is known, so an old one sent again proves nothing.
	offset time.Duration
	timed  bool
}

// run follows until ctx ends.
func (f *follower) run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		lively, err := f.follow(ctx)
		if lively {
			pause = firstPause
		}
		f.v.trouble(ctx, err)
		f.v.state.tell()
		select {
		case <-ctx.Done():
		case <-time.After(rand.N(pause)):
		}
		pause = min(pause*2, lastPause)
	}
}

// follow holds one connection until it ends, and reports whether it proved
// anything.
func (f *follower) follow(ctx context.Context) (lively bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := errors.New("verify: the revocation stream went silent")
	// Early enough that a new connection can prove itself before the state is stale.
	silence := max(leastSilence, f.v.c.MaxStaleness*3/5)
	dead := make(chan struct{})
	timer := time.AfterFunc(max(silence, f.v.c.MaxStaleness), sync.OnceFunc(func() { close(dead); cancel() }))
	defer timer.Stop()
	alive := func() { timer.Reset(silence) }

	lively, err = f.read(ctx, alive)
	select {
	case <-dead:
		err = quiet
	default:
	}
	return lively, err
}

func (f *follower) read(ctx context.Context, alive func()) (lively bool, err error) {
	res, err := f.open(ctx)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	if !f.v.state.fresh(f.v.c.Now()) {
		f.timed = false // clocks may have been set meanwhile
	}
	events := newEventReader(res.Body, f.v.c.MaxStateBytes*2, alive)
	for {
		ev, err := events.next()
		if errors.Is(err, io.EOF) {
			return lively, errors.New("verify: the issuer ended the revocation stream")
		}
		if err != nil {
			if errors.Is(err, errEventSize) {
				f.boot = "" // resuming would meet it again
			}
			return lively, err
		}
		proof, err := f.take(ctx, ev)
		if err != nil {
			f.boot = "" // whatever this was, only a new snapshot helps
			return lively, err
		}
		lively = lively || proof
		f.v.state.tell()
	}
}

// open asks for the stream, from where it broke off if it did.
func (f *follower) open(ctx context.Context) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.v.c.Issuer+statuslist.StreamPath, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Accept-Encoding", "identity") // what compresses also holds back
	r.Header.Set("Cache-Control", "no-cache")
	if f.boot != "" {
		r.Header.Set("Last-Event-ID", statuslist.EventID(f.boot, f.pos))
	}
	if err := f.v.c.Credentials(withClock(ctx, f.v.c.Now), r); err != nil {
		return nil, fmt.Errorf("verify: credentials for the revocation stream: %w", err)
	}
	res, err := f.v.c.HTTPClient.Do(r)
	if err != nil {
		return nil, err
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); res.StatusCode != http.StatusOK || kind != "text/event-stream" {
		defer res.Body.Close()
		return nil, fmt.Errorf("verify: the revocation stream answered %d %s (%.60s)%s", res.StatusCode, http.StatusText(res.StatusCode), kind, detail(res.Body, kind))
	}
	return res, nil
}

// detail is what a problem says of itself (RFC 9457), as one short line, since it
// goes into logs and may be of anybody who answers in the issuer's place.
func detail(body io.Reader, kind string) string {
	var problem struct{ Detail string }
	if kind != "application/problem+json" || json.NewDecoder(io.LimitReader(body, maxProblem)).Decode(&problem) != nil || problem.Detail == "" {
		return ""
	}
	return fmt.Sprintf(": %.200s", strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, problem.Detail))
}

// take applies one event and reports whether it was signed.
func (f *follower) take(ctx context.Context, ev event) (proof bool, err error) {
	switch ev.name {
	case statuslist.EventSnapshot:
		return true, f.snapshot(ctx, ev)
	case statuslist.EventDelta:
		return false, f.delta(ev)
	case statuslist.EventHead:
		return true, f.head(ctx, ev)
	}
	return false, nil
}

func (f *follower) snapshot(ctx context.Context, ev event) error {
	var p statuslist.Snapshot
	if err := f.signed(ctx, statuslist.TypeSnapshot, ev.data, &p); err != nil {
		return err
	}
	asOf, err := f.asOf(p.Issuer, p.IssuedAt)
	if err != nil {
		return err
	}
	revoked, err := f.v.state.load(&p)
	if err != nil {
		return err
	}
	f.boot, f.pos, f.chain = p.Boot, p.Pos, p.Chain
	f.v.state.reached(p.Pos, asOf)
	f.changed(Change{Position: p.Pos.String(), Snapshot: true, Revoked: revoked, Cutoffs: len(p.Cutoffs)})
	return nil
}

// delta kills at once: a forged one could only refuse, and the next head will
// not fit its chain.
func (f *follower) delta(ev event) error {
	boot, pos, err := statuslist.ParseEventID(ev.id)
	if err != nil || f.boot == "" || boot != f.boot || !f.pos.Before(pos) {
		return errors.New("verify: a delta does not follow what came before")
	}
	var d statuslist.Delta
	if err := json.Unmarshal(ev.data, &d); err != nil || d.Pos != pos {
		return errors.New("verify: a delta is malformed")
	}
	revoked, err := f.v.state.apply(&d)
	if err != nil {
		return err
	}
	f.pos, f.chain = pos, f.chain.Next(ev.data)
	f.changed(Change{Position: pos.String(), Revoked: revoked, Cutoffs: len(d.Cutoffs)})
	return nil
}

func (f *follower) head(ctx context.Context, ev event) error {
	var p statuslist.Head
	if err := f.signed(ctx, statuslist.TypeHead, ev.data, &p); err != nil {
		return err
	}
	if f.boot == "" || p.Boot != f.boot || p.Chain != f.chain || p.Pos.Before(f.pos) {
		return errors.New("verify: a signed head does not fit what was received: something is missing or was changed on the way")
	}
	asOf, err := f.asOf(p.Issuer, p.IssuedAt)
	if err != nil {
		return err
	}
	f.v.state.reached(p.Pos, asOf)
	return nil
}

// signed verifies a message of the stream and decodes its claims.
func (f *follower) signed(ctx context.Context, typ string, data []byte, into any) error {
	u, err := jose.Parse(string(data), int(f.v.c.MaxStateBytes*2))
	if err != nil {
		return err
	}
	if f.v.state.deadKey(u.Kid) {
		return errors.New("verify: the stream is signed with a revoked key")
	}
	keys, err := f.v.keys.withKey(ctx, u.Kid, u.Alg)
	if err != nil {
		return err
	}
	signed, err := u.Verify(jose.Want{Typ: []string{typ}, Keys: keys})
	if err != nil {
		return fmt.Errorf("verify: %s: %w", typ, err)
	}
	if err := json.Unmarshal(signed.Payload, into); err != nil {
		return fmt.Errorf("verify: %s is malformed", typ)
	}
	return nil
}

// asOf returns when a message was made, in this machine's time.
func (f *follower) asOf(issuer string, at statuslist.Instant) (time.Time, error) {
	if issuer != f.v.c.Issuer {
		return time.Time{}, fmt.Errorf("verify: the stream is that of issuer %q", issuer)
	}
	now := f.v.c.Now()
	offset := time.UnixMilli(int64(at)).Sub(now)
	if offset < -jose.MaxSkew || offset > jose.MaxSkew {
		return time.Time{}, fmt.Errorf("verify: the issuer's clock differs by %s", offset.Round(time.Second))
	}
	if !f.timed || offset > f.offset {
		f.offset, f.timed = offset, true
	}
	asOf := now.Add(offset - f.offset)
	if now.Sub(asOf) > f.v.c.MaxStaleness {
		// Held back on the way, or a clock was set: a new connection measures anew.
		return time.Time{}, errors.New("verify: a message on the revocation stream is old, or a clock was set")
	}
	return asOf, nil
}

func (f *follower) changed(c Change) {
	if f.v.c.OnChange != nil {
		c.At = f.v.c.Now()
		f.v.c.OnChange(c)
	}
}
