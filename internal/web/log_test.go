package web

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// slowDisk blocks until it is let go.
type slowDisk struct {
	mu   sync.Mutex
	open chan struct{}
	buf  bytes.Buffer
}

func (d *slowDisk) Write(b []byte) (int, error) {
	<-d.open
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.buf.Write(b)
}

func (d *slowDisk) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.buf.String()
}

func TestRequestLineIsOneJSONLine(t *testing.T) {
	var out bytes.Buffer
	c := newClock()
	log := NewLog(&out, c.now, slog.LevelInfo)
	h := Front(Options{Now: c.now, Log: log}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Note(r.Context(), "client", "cli_1\n{\"forged\":1}")
		for range 20 {
			Note(r.Context(), "more", "x")
		}
		c.t = c.t.Add(1500 * time.Microsecond)
		w.WriteHeader(418)
		_, _ = w.Write([]byte("12345"))
	}))
	r := httptest.NewRequest("GET", "/a%0Ab?password=hunter2", nil)
	r.Header.Set("User-Agent", "x\x1b[31m\"\\\xff\u202e"+strings.Repeat("é", 100))
	r.Header.Set("Authorization", "Bearer cdr_secret")
	h.ServeHTTP(httptest.NewRecorder(), r)
	log.Slog().Info("other", "k", "v")
	log.Close()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %d lines: %q", len(lines), lines)
	}
	var e map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &e); err != nil {
		t.Fatalf("%v: %s", err, lines[0])
	}
	for k, want := range map[string]any{"method": "GET", "path": "/a\nb", "status": 418.0, "us": 1500.0, "bytes": 5.0, "ip": "192.0.2.1", "client": "cli_1\n{\"forged\":1}"} {
		if e[k] != want {
			t.Errorf("%s: got %v, want %v", k, e[k], want)
		}
	}
	for _, leak := range []string{"hunter2", "cdr_secret", "\x1b", "\u202e"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("the log holds %q", leak)
		}
	}
}

func TestSlowDiskDropsLinesAndSaysSo(t *testing.T) {
	disk := &slowDisk{open: make(chan struct{})}
	log := NewLog(disk, newClock().now, slog.LevelInfo)
	line := []byte(strings.Repeat("x", 1<<20-1) + "\n")
	for range 20 { // none of these may block
		if _, err := log.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	close(disk.open)
	log.Close()
	if got := disk.String(); !strings.Contains(got, `"msg":"log lines dropped","count":`) || len(got) > 9<<20 {
		t.Errorf("wrote %d bytes, ending %q", len(got), got[max(0, len(got)-200):])
	}
}

func TestLogReachesTheWriterByItself(t *testing.T) {
	written := make(lineChan, 1)
	log := NewLog(written, newClock().now, slog.LevelInfo)
	defer log.Close()
	log.Slog().Info("hello")
	select {
	case line := <-written:
		if !strings.Contains(line, "hello") {
			t.Errorf("got %q", line)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the line was not written")
	}
}

// lineChan is a writer into a channel.
type lineChan chan string

func (c lineChan) Write(b []byte) (int, error) {
	c <- string(b)
	return len(b), nil
}
