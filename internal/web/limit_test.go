package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

func TestLimiterHoldsAddressesToTheirClass(t *testing.T) {
	c := newClock()
	l := NewLimiter(map[string]Limit{"page": {Rate: 2, Burst: 3}}, c.now)
	a := netip.MustParseAddr("2001:db8:1:2::1")
	for i := range 3 {
		if _, ok := l.AllowAddr("page", a); !ok {
			t.Fatalf("act %d within the burst was refused", i+1)
		}
	}
	neighbour := netip.MustParseAddr("2001:db8:1:ff:ffff::2")
	wait, ok := l.AllowAddr("page", neighbour)
	if ok || wait != 500*time.Millisecond {
		t.Errorf("the same /56: allowed %v, wait %v", ok, wait)
	}
	if _, ok := l.AllowAddr("page", netip.MustParseAddr("2001:db8:1:100::1")); !ok {
		t.Error("another /56 was refused")
	}
	if _, ok := l.AllowAddr("page", netip.MustParseAddr("::ffff:192.0.2.1")); !ok {
		t.Error("an IPv4 address was refused")
	}
	if _, ok := l.AllowAddr("other", a); !ok {
		t.Error("an unknown class was limited")
	}
	if _, ok := l.Allow("page", Names{"someone"}); !ok {
		t.Error("a name was counted as an address")
	}
	c.t = c.t.Add(500 * time.Millisecond)
	if _, ok := l.AllowAddr("page", a); !ok {
		t.Error("after the wait it was refused")
	}
}

func TestLimiterIsBounded(t *testing.T) {
	c := newClock()
	l := NewLimiter(map[string]Limit{"page": {Rate: 1, Burst: 1}}, c.now)
	for i := range limiterShards * bucketsByShard * 3 {
		l.Allow("page", Names{fmt.Sprint(i)})
	}
	n := 0
	for i := range l.shards {
		n += len(l.shards[i].young) + len(l.shards[i].old)
	}
	if most := limiterShards * bucketsByShard * 2; n > most {
		t.Errorf("%d callers are remembered, want at most %d", n, most)
	}
}

func TestRouteIsLimitedByAddress(t *testing.T) {
	l := NewLimiter(map[string]Limit{"page": {Rate: 0.1, Burst: 1}}, newClock().now)
	m := mustMux(t, MuxOptions{Limiter: l})
	m.Door("test", Problem).Handle("GET /x", ok, Rate("page"))
	if w := get(m, "GET", "/x"); w.Code != 200 {
		t.Fatalf("first: %d", w.Code)
	}
	if w := get(m, "GET", "/x"); w.Code != 429 || w.Header().Get("Retry-After") != "10" {
		t.Errorf("second: %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
}

func TestCrossOriginPostsToPagesAreRefused(t *testing.T) {
	for _, secure := range []bool{true, false} {
		m := mustMux(t, MuxOptions{Secure: secure})
		d := m.Door("test", Problem)
		d.Handle("POST /page", ok, Page)
		d.Handle("POST /api", ok)
		plain := 200
		if secure {
			plain = 403
		}
		for _, c := range []struct {
			path    string
			headers []string
			status  int
		}{
			{"/page", []string{"Sec-Fetch-Site", "same-origin", "Origin", "null"}, 200}, // what browsers send under no-referrer
			{"/page", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
			{"/page", []string{"Sec-Fetch-Site", "same-site", "Origin", "https://sub.example.com"}, 403},
			{"/page", []string{"Sec-Fetch-Site", "cross-site", "Origin", "null"}, 403},
			{"/page", []string{"Origin", "https://evil.example"}, 403},
			{"/page", []string{"Origin", "null"}, 403},
			{"/page", []string{"Origin", "https://example.com"}, 200}, // the test's own host
			{"/page", []string{"Origin", "https://example.com:8443"}, 403},
			{"/page", []string{"Origin", "http://example.com"}, plain}, // whoever is in between can make such pages
			{"/page", []string{"Origin", "HTTP://example.com"}, plain},
			{"/page", nil, 200}, // no browser; the form token decides
			{"/api", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://app.example"}, 200},
			{"/api", []string{"Origin", "http://example.com"}, 200},
		} {
			if w := get(m, "POST", c.path, c.headers...); w.Code != c.status {
				t.Errorf("secure %v, %s %q: got %d, want %d", secure, c.path, c.headers, w.Code, c.status)
			}
		}
	}
}

func TestCORS(t *testing.T) {
	m := mustMux(t, MuxOptions{})
	d := m.Door("test", Problem)
	d.Handle("GET /keys", ok, Cross(CORS{Any: true, Methods: "GET"}))
	known := Cross(CORS{Methods: "POST", Headers: "Authorization", Expose: "WWW-Authenticate",
		Allow: func(_ *http.Request, origin string) bool { return origin == "https://app.example" }})
	d.Handle("POST /token", ok, known)
	d.Handle("GET /who", ok, known)
	d.Handle("GET /authorize", ok)
	for _, c := range []struct {
		method, path, origin, allow string
		vary                        string // what caches must know
	}{
		{"GET", "/keys", "https://any.example", "*", ""},
		{"GET", "/who", "https://app.example", "https://app.example", "Origin"},
		{"GET", "/who", "https://evil.example", "", "Origin"},
		{"GET", "/who", "", "", "Origin"},
		{"POST", "/token", "https://app.example", "https://app.example", ""},
		{"POST", "/token", "https://evil.example", "", ""},
		{"POST", "/token", "https://app.example.evil.example", "", ""},
		{"POST", "/token", "null", "", ""},
		{"GET", "/authorize", "https://app.example", "", ""},
	} {
		w := get(m, c.method, c.path, "Origin", c.origin)
		if got := w.Header().Get("Access-Control-Allow-Origin"); w.Code != 200 || got != c.allow {
			t.Errorf("%s from %s: %d, allow %q", c.path, c.origin, w.Code, got)
		}
		if w.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: credentials are allowed", c.path)
		}
		if got := w.Header().Get("Vary"); got != c.vary {
			t.Errorf("%s from %s varies by %q", c.path, c.origin, got)
		}
	}
	w := get(m, "OPTIONS", "/token", "Origin", "https://app.example", "Access-Control-Request-Method", "POST")
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Methods") != "POST" || w.Header().Get("Access-Control-Allow-Headers") != "Authorization" {
		t.Errorf("preflight: %d %v", w.Code, w.Header())
	}
	w = get(m, "OPTIONS", "/token", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST")
	if w.Header().Get("Access-Control-Allow-Origin")+w.Header().Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("preflight of a stranger: %v", w.Header())
	}
	if w := get(m, "OPTIONS", "/authorize", "Origin", "https://app.example"); w.Code != 405 {
		t.Errorf("preflight of authorize: %d", w.Code)
	}
}

func TestOrigin(t *testing.T) {
	for in, want := range map[string]string{
		"https://A.example/x?y": "https://a.example", "https://a.example:443/": "https://a.example", "http://127.0.0.1:80": "http://127.0.0.1",
		"http://[::1]:8080/cb": "http://[::1]:8080", "com.example:/cb": "", "https://user@a.example/": "", "https:///x": "", "nonsense": "",
	} {
		if got := Origin(in); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

func BenchmarkStack(b *testing.B) {
	m := NewMux(MuxOptions{Live: func() error { return nil }})
	body := []byte(`{"ok":true}`)
	m.Door("bench", Problem).Handle("GET /x", func(w http.ResponseWriter, r *http.Request) error {
		Body(w, 200, body)
		return nil
	})
	log := NewLog(discard{}, time.Now, nil)
	defer log.Close()
	h := Front(Options{Now: time.Now, Log: log, HTTPS: true}, m)
	r := httptest.NewRequest("GET", "/x", nil)
	r.Header.Set("User-Agent", "bench/1.0 (an ordinary length of a user agent)")
	w := &nullWriter{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.h)
		h.ServeHTTP(w, r)
	}
}

type nullWriter struct{ h http.Header }

func (w *nullWriter) Header() http.Header         { return w.h }
func (w *nullWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *nullWriter) WriteHeader(int)             {}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func BenchmarkLimiter(b *testing.B) {
	l := NewLimiter(map[string]Limit{"ask": {Rate: 1e9, Burst: 1e9}}, time.Now)
	b.ReportAllocs()
	for b.Loop() {
		l.Allow("ask", Names{"default", "a-client", "svc_0198f2c4a1b3kq7m2x9d5tz8wr"})
	}
}
