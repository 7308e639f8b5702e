package edge

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/internal/jose"
)

// The rhythm of following.
const (
	silence   = 5 * time.Second // after which a connection is taken for dead
	firstWait = 50 * time.Millisecond
	longWait  = 5 * time.Second
)

// where edges come to, behind the issuer.
const path = "/access/v1/edge"

func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.HasSuffix(issuer, "/") {
		return fmt.Errorf("edge: Issuer %q is not an issuer URL without a trailing slash", issuer)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && !(u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())) {
		return fmt.Errorf("edge: Issuer %q must be https", issuer)
	}
	return nil
}

// follow keeps a stream open until ctx ends.
func (e *Edge) follow(ctx context.Context) {
	wait := firstWait
	for {
		joined, err := e.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		e.troubled(err)
		if joined {
			wait = firstWait
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait + rand.N(wait)): // spread, so that a thousand do not come at once
		}
		wait = min(wait*2, longWait)
	}
}

func (e *Edge) troubled(err error) {
	e.mu.Lock()
	e.follows, e.trouble = false, err
	e.mu.Unlock()
	if e.c.OnError != nil && err != nil {
		e.c.OnError(err)
	}
}

// connect follows one connection until it ends. joined says that it was of use.
func (e *Edge) connect(ctx context.Context) (joined bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dead := errors.New("edge: the stream is silent")
	alive := time.AfterFunc(silence, func() { cancel(dead) })
	defer alive.Stop()
	// Whatever the connection brings, the stage begins with what is known.
	stage := replica.NewStage(e.issuer, e.c.Types, dress, e.state.Load())
	body, asked, err := e.open(ctx, stage.State())
	if err != nil {
		return false, either(context.Cause(ctx), err)
	}
	defer body.Close()
	in := bufio.NewReaderSize(body, 64<<10)
	clock := offset{now: e.c.Now, most: e.c.MaxStaleness}
	var pending []byte // the frames since the last head
	news := false      // facts are among them
	for {
		kind, payload, err := replica.ReadFrame(in)
		if err != nil {
			return joined, either(context.Cause(ctx), err)
		}
		alive.Reset(silence)
		switch kind {
		case replica.KindBegin:
			pending = replica.AppendFrame(pending, kind, payload)
			at, wrong := stage.Begin(payload)
			if err = e.doubt(wrong); err == nil {
				err = clock.begin(at, asked)
			}
		case replica.KindPart:
			if e.kept != nil {
				pending = replica.AppendFrame(pending, kind, payload)
			}
			news, err = true, e.doubt(stage.Part(payload))
		case replica.KindHead:
			if joined && replica.Superseded(in, news) {
				break // who is late verifies the last signature, not all of them
			}
			if err = e.head(ctx, stage, payload, pending, &clock); err == nil {
				joined, pending, news = true, pending[:0], false
			}
		default:
			err = errors.New("edge: the server sends what is not known here; is it newer?")
		}
		if err != nil {
			return joined, err
		}
	}
}

func either(cause, err error) error {
	if cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("edge: the server ended the stream")
	}
	return err
}

// doubt has everything asked for anew where what came does not fit what is here.
// Until it is here, facts that are known not to be the server's count as old.
func (e *Edge) doubt(err error) error {
	if err != nil && !errors.Is(err, replica.ErrBack) {
		e.anew = true
	}
	if errors.Is(err, replica.ErrFacts) {
		e.asOf.Store(0)
	}
	return err
}

// head makes what came since the last one count, if the realm signed it: first on
// disk, so that no answer rests on what a crash would take away.
func (e *Edge) head(ctx context.Context, stage *replica.Stage, jws, pending []byte, clock *offset) error {
	claims, err := e.keys.verify(ctx, string(jws))
	if err != nil {
		return err
	}
	before := stage.State()
	now, err := stage.Head(claims)
	if err != nil {
		return e.doubt(err)
	}
	e.anew = false
	asOf, err := clock.asOf(now.At)
	if err != nil {
		return err
	}
	if e.kept != nil && (now.Revision != before.Revision || now.Line != before.Line || now.Seq != before.Seq) {
		if err := e.kept.append(now, replica.AppendFrame(pending, replica.KindHead, summed(claims))); err != nil {
			return fmt.Errorf("edge: what was received cannot be kept: %w", err)
		}
	}
	e.state.Store(now)
	// Nothing that is known becomes older by what was missed meanwhile.
	if was := e.asOf.Load(); was < asOf.UnixNano() || was > e.c.Now().UnixNano() {
		e.asOf.Store(asOf.UnixNano())
	}
	e.mu.Lock()
	joined := !e.follows && clock.near // it has all that was missed
	e.follows, e.trouble = e.follows || joined, nil
	if joined || now.Revision != before.Revision || before.Seq != now.Seq || before.Line != now.Line {
		close(e.changed)
		e.changed = make(chan struct{})
	}
	e.mu.Unlock()
	return nil
}

// open asks for the stream, and says a moment before it was asked for.
func (e *Edge) open(ctx context.Context, s *replica.State) (body io.ReadCloser, asked time.Time, err error) {
	q := url.Values{}
	if len(e.c.Types) > 0 {
		q.Set("types", strings.Join(e.c.Types, " "))
	}
	if s.Revision > 0 && !e.anew {
		chain, _ := s.Chain.MarshalText()
		q.Set("revision", replica.Text(s.Revision))
		q.Set("line", s.Line)
		q.Set("seq", strconv.FormatInt(s.Seq, 10))
		q.Set("chain", string(chain))
		if s.Snapshot != nil {
			q.Set("policies", s.Snapshot.Set().Hash())
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.issuer+path+"/stream?"+q.Encode(), nil)
	if err != nil {
		return nil, asked, err
	}
	// What it takes to connect is not part of it.
	var connected atomic.Int64
	connected.Store(e.c.Now().UnixNano())
	trace := httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(e.c.Now().UnixNano()) }}
	res, err := e.send(req.WithContext(httptrace.WithClientTrace(ctx, &trace)))
	if err != nil {
		return nil, asked, err
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		return nil, asked, refused(res)
	}
	return res.Body, time.Unix(0, connected.Load()), nil
}

func (e *Edge) send(req *http.Request) (*http.Response, error) {
	if err := e.c.Credentials(req.Context(), req); err != nil {
		return nil, fmt.Errorf("edge: credentials: %w", err)
	}
	return e.client.Do(req)
}

// refused words an answer that is not a stream.
func refused(res *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	var problem struct{ Detail string }
	if json.Unmarshal(text, &problem) == nil && problem.Detail != "" {
		return fmt.Errorf("edge: the server refuses (%d): %s", res.StatusCode, problem.Detail)
	}
	return fmt.Errorf("edge: the server answers %s", res.Status)
}

// offset learns how the server's clock differs from ours, at most: our request came
// there after it was made here, and a message comes here after it was made there. So
// nothing is taken for younger than it is, however long it was on its way.
type offset struct {
	now   func() time.Time
	most  time.Duration
	ahead time.Duration // the server's clock, of ours
	near  bool          // a message has come that was not old
}

// begin is told when a request was made here and came there.
func (o *offset) begin(there int64, here time.Time) error {
	o.ahead = time.UnixMilli(there).Sub(here)
	if o.ahead < -jose.MaxSkew || o.ahead > jose.MaxSkew {
		return fmt.Errorf("edge: the server's clock differs by %s", o.ahead.Round(time.Second))
	}
	return nil
}

// asOf is when a message was made, by our clock.
func (o *offset) asOf(at int64) (time.Time, error) {
	now := o.now()
	ahead := time.UnixMilli(at).Sub(now)
	if ahead > jose.MaxSkew {
		return time.Time{}, fmt.Errorf("edge: the server's clock is ahead by %s", ahead.Round(time.Second))
	}
	o.ahead = max(o.ahead, ahead)
	asOf := now.Add(ahead - o.ahead)
	// Where a stream goes on, what was missed comes first, and is as old as it is.
	old := now.Sub(asOf) > o.most
	if old && o.near {
		return time.Time{}, errors.New("edge: a message on the stream is old, or a clock was set")
	}
	o.near = o.near || !old
	return asOf, nil
}

// keys are the realm's, for heads.
type keys struct {
	e     *Edge
	mu    sync.Mutex
	set   jose.Set
	tried time.Time
	got   time.Time
}

const keysFor = 10 * time.Minute // how long keys are believed without a look

func (k *keys) verify(ctx context.Context, jws string) ([]byte, error) {
	u, err := jose.Parse(jws, 0)
	if err != nil {
		return nil, fmt.Errorf("edge: a head is not signed: %w", err)
	}
	set, err := k.with(ctx, u.Kid, u.Alg)
	if err != nil {
		return nil, err
	}
	signed, err := u.Verify(jose.Want{Typ: []string{replica.TypeHead}, Keys: set})
	if err != nil {
		return nil, fmt.Errorf("edge: a head is not signed by the realm: %w", err)
	}
	return signed.Payload, nil
}

func (k *keys) with(ctx context.Context, kid, alg string) (jose.Set, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.e.c.Now()
	old := now.Sub(k.got) > keysFor || now.Before(k.got)
	if k.set.Find(kid, alg) != nil && !old {
		return k.set, nil
	}
	if since := now.Sub(k.tried); k.set != nil && since >= 0 && since < time.Second {
		return k.set, nil
	}
	k.tried = now
	set, err := k.fetch(ctx)
	if err != nil && k.set == nil {
		return nil, err
	}
	if err == nil {
		k.set, k.got = set, now
	}
	return k.set, nil
}

func (k *keys) fetch(ctx context.Context) (jose.Set, error) {
	text, err := k.get(ctx, k.e.issuer+"/.well-known/openid-configuration")
	if err != nil {
		return nil, err
	}
	var doc struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(text, &doc); err != nil || doc.Issuer != k.e.issuer {
		return nil, fmt.Errorf("edge: %s says that its issuer is %.200q", k.e.issuer, doc.Issuer)
	}
	u, err := url.Parse(doc.Keys)
	if own, _ := url.Parse(k.e.issuer); err != nil || u.Scheme != "https" && !(u.Scheme == "http" && u.Host == own.Host) {
		return nil, errors.New("edge: the issuer's jwks_uri is not an https URL")
	}
	if text, err = k.get(ctx, doc.Keys); err != nil {
		return nil, err
	}
	return jose.ParseSet(text)
}

func (k *keys) get(ctx context.Context, where string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	res, err := k.e.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("edge: %s answers %s", where, res.Status)
	}
	return io.ReadAll(io.LimitReader(res.Body, 1<<20))
}

// remembering keeps the issuer's public documents, discovery and keys, and answers
// with them when the issuer cannot be reached: tokens can be checked then, too.
type remembering struct {
	next   http.RoundTripper
	dir    string
	issuer string
}

// RoundTrip is that of http.RoundTripper.
func (m *remembering) RoundTrip(req *http.Request) (*http.Response, error) {
	next := m.next
	if next == nil {
		next = http.DefaultTransport
	}
	if req.Method != http.MethodGet || req.Header.Get("Authorization") != "" || strings.HasPrefix(req.URL.String(), m.issuer+"/status-lists/") || req.URL.RawQuery != "" {
		return next.RoundTrip(req)
	}
	sum := sha256.Sum256([]byte(req.URL.String()))
	file := filepath.Join(m.dir, "document-"+hex.EncodeToString(sum[:8]))
	res, err := next.RoundTrip(req)
	if err != nil || res.StatusCode >= 500 {
		text, kept := os.ReadFile(file)
		if kept != nil {
			return res, err
		}
		if res != nil {
			res.Body.Close()
		}
		return &http.Response{Status: "200 OK", StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req, ContentLength: int64(len(text)),
			Header: http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"max-age=60"}}, Body: io.NopCloser(strings.NewReader(string(text)))}, nil
	}
	if res.StatusCode != http.StatusOK {
		return res, nil
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	res.Body.Close()
	if err != nil {
		return nil, err
	}
	if err := replace(file, func(f io.Writer) error { _, err := f.Write(text); return err }); err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(strings.NewReader(string(text)))
	return res, nil
}
