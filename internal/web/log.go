package web

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	flushAfter = 50 * time.Millisecond
	flushBytes = 64 << 10
	holdBytes  = 4 << 20 // more than this unwritten and lines are dropped, counted
)

// Log is a log of JSON lines that never makes a request wait for the disk:
// lines are written together, at the latest 50 ms after the first of them. When
// the writer cannot keep up, lines are dropped and their number is written.
type Log struct {
	w    io.Writer
	wake chan struct{}
	stop chan struct{}
	done chan struct{}
	now  func() time.Time
	slog *slog.Logger

	mu      sync.Mutex
	lines   []byte
	spare   []byte
	dropped int64
	closed  bool
	second  int64  // the second whose text is:
	text    []byte // 2006-01-02T15:04:05.
}

// NewLog starts a log into w; Close ends it. Events of Slog below level are
// left out, request lines are not.
func NewLog(w io.Writer, now func() time.Time, level slog.Leveler) *Log {
	l := &Log{w: w, now: now, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	l.slog = slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: level}))
	go l.run()
	return l
}

// Slog is a logger into the same lines, for events that are no requests.
func (l *Log) Slog() *slog.Logger { return l.slog }

// Write takes one whole line. It never fails.
func (l *Log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.room(len(line)) {
		l.lines = append(l.lines, line...)
		l.signal()
	}
	return len(line), nil
}

// Close writes what is left. The log must not be used afterwards.
func (l *Log) Close() error {
	l.mu.Lock()
	was := l.closed
	l.closed = true
	l.mu.Unlock()
	if !was {
		close(l.stop)
	}
	<-l.done
	return nil
}

func (l *Log) room(n int) bool {
	if len(l.lines)+n <= holdBytes {
		return true
	}
	l.dropped++
	return false
}

func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *Log) run() {
	defer close(l.done)
	pause := time.NewTimer(time.Hour)
	defer pause.Stop()
	for {
		select {
		case <-l.stop:
			l.flush()
			return
		case <-l.wake:
		}
		l.mu.Lock()
		full := len(l.lines) >= flushBytes
		l.mu.Unlock()
		if !full {
			pause.Reset(flushAfter)
			select {
			case <-l.stop:
			case <-pause.C:
			}
		}
		l.flush()
	}
}

func (l *Log) flush() {
	l.mu.Lock()
	out, dropped := l.lines, l.dropped
	l.lines, l.dropped = l.spare[:0], 0
	l.spare = nil
	l.mu.Unlock()
	if dropped > 0 {
		out = append(out, `{"time":"`...)
		out = l.now().UTC().AppendFormat(out, stamp)
		out = append(out, `","level":"WARN","msg":"log lines dropped","count":`...)
		out = append(strconv.AppendInt(out, dropped, 10), "}\n"...)
	}
	if len(out) > 0 {
		// A log that cannot be written has nobody to be told.
		_, _ = l.w.Write(out)
	}
	l.mu.Lock()
	l.spare = out[:0]
	l.mu.Unlock()
}

const stamp = "2006-01-02T15:04:05.000Z"

// stamp appends t, formatting only what changed since the last time.
func (l *Log) stamp(b []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	if sec := ms / 1000; sec != l.second || l.text == nil {
		l.second = sec
		l.text = t.UTC().AppendFormat(l.text[:0], stamp[:20])
	}
	ms %= 1000
	b = append(b, l.text...)
	return append(b, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}

// request appends the one line of a request. It writes the JSON itself: this is
// paid by every request, and slog would cost five times as much.
func (l *Log) request(x *exchange, r *http.Request, took time.Duration) {
	status := x.out.sent()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.room(2 << 10) {
		return
	}
	b := append(l.lines, `{"time":"`...)
	b = l.stamp(b, x.start)
	if status >= 500 {
		b = append(b, `","level":"ERROR","msg":"request","id":"`...)
	} else {
		b = append(b, `","level":"INFO","msg":"request","id":"`...)
	}
	b = append(b, x.id[:]...)
	b = append(b, `","method":`...)
	b = appendString(b, r.Method, 16)
	b = append(b, `,"path":`...)
	b = appendString(b, r.URL.Path, 200)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, `,"us":`...)
	b = strconv.AppendInt(b, took.Microseconds(), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, x.out.bytes, 10)
	b = append(b, `,"ip":"`...)
	if x.addr.IsValid() {
		b = x.addr.AppendTo(b)
	}
	b = append(b, '"')
	if x.site != "" {
		b = append(b, `,"realm":`...)
		b = appendString(b, x.site, 64)
	}
	if ua := r.Header["User-Agent"]; len(ua) > 0 && ua[0] != "" {
		b = append(b, `,"agent":`...)
		b = appendString(b, ua[0], 120)
	}
	for _, n := range x.notes {
		b = append(b, ',')
		b = appendString(b, n.key, 32)
		b = append(b, ':')
		b = appendString(b, n.value, 200)
	}
	l.lines = append(b, "}\n"...)
	l.signal()
}

// appendString appends s as a JSON string of at most limit bytes of s. Control
// and non-ASCII format characters cannot leave the line nor colour a terminal.
func appendString(b []byte, s string, limit int) []byte {
	const hexits = "0123456789abcdef"
	if len(s) > limit {
		s = s[:limit]
		for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
			s = s[:len(s)-1]
		}
	}
	b = append(b, '"')
	for i := 0; i < len(s); {
		from := i
		for i < len(s) && harmless[s[i]] {
			i++
		}
		if b = append(b, s[from:i]...); i == len(s) {
			break
		}
		c := s[i]
		if c < utf8.RuneSelf {
			if c == '"' || c == '\\' {
				b = append(b, '\\', c)
			} else {
				b = append(b, '\\', 'u', '0', '0', hexits[c>>4], hexits[c&15])
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			b = append(b, `\ufffd`...)
		} else {
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return append(b, '"')
}

// harmless are the bytes that stand for themselves in a JSON string and on a terminal.
var harmless = func() (set [256]bool) {
	for c := byte(0x20); c < 0x7f; c++ {
		set[c] = c != '"' && c != '\\'
	}
	return set
}()

// logger is where events of this request go.
func logger(ctx context.Context) *slog.Logger {
	if x := exchangeOf(ctx); x != nil && x.front != nil && x.front.Log != nil {
		return x.front.Log.slog
	}
	return slog.Default()
}
