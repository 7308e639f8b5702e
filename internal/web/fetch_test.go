package web

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// canary is a server on loopback that nobody may reach, and counts who does.
func canary(t *testing.T, h http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	hits := new(atomic.Int64)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s, hits
}

func roots(s *httptest.Server) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{RootCAs: pool, ServerName: "example.com"}
}

func port(s *httptest.Server) string {
	_, p, _ := net.SplitHostPort(s.Listener.Addr().String())
	return p
}

func answers(addrs ...string) LookupFunc {
	return func(context.Context, string) ([]netip.Addr, error) {
		var out []netip.Addr
		for _, a := range addrs {
			out = append(out, netip.MustParseAddr(a))
		}
		return out, nil
	}
}

func TestFetcherReachesNothingPrivate(t *testing.T) {
	s, hits := canary(t, func(w http.ResponseWriter, _ *http.Request) {})
	p := port(s)
	for _, u := range []string{
		"https://127.0.0.1:" + p, "https://127.1.2.3:" + p, "https://[::1]:" + p, "https://[::ffff:127.0.0.1]:" + p, "https://0.0.0.0:" + p,
		"https://[::]:" + p, "https://[::127.0.0.1]:" + p, "https://[64:ff9b::7f00:1]:" + p, "https://[2002:7f00:1::]:" + p, "https://localhost:" + p,
		"https://169.254.169.254/latest/meta-data", "https://10.0.0.1", "https://172.16.0.1", "https://192.168.0.1", "https://100.64.0.1",
		"https://198.18.0.1", "https://224.0.0.1", "https://255.255.255.255", "https://[fe80::1]", "https://[fd00::1]", "https://[fec0::1]",
		"http://example.com", "ftp://example.com", "file:///etc/passwd", "https://user:pw@example.com", "https://example.com/#x", "https://", "https:example.com",
		"gopher://example.com", "https://2130706433:" + p, "https://0x7f.1:" + p, "https://127.1:" + p, "//example.com", "",
	} {
		f := NewFetcher(FetchOptions{TLS: roots(s), Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			if a, err := netip.ParseAddr(host); err == nil {
				return []netip.Addr{a}, nil
			}
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil // what a C library makes of odd numbers
		}})
		if _, err := f.Get(t.Context(), u); err == nil {
			t.Errorf("%s was fetched", u)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("the canary was reached %d times", n)
	}
}

// Remove the check of all addresses in dial to see the first case fail, the
// check in Control to see none: it is the second line.
func TestFetcherIsNotRebound(t *testing.T) {
	s, hits := canary(t, func(w http.ResponseWriter, _ *http.Request) {})
	for name, addrs := range map[string][]string{
		"a public and a private address": {"192.0.43.8", "127.0.0.1"},
		"a private and a public one":     {"127.0.0.1", "192.0.43.8"},
		"a mapped one":                   {"::ffff:127.0.0.1"},
		"none":                           {},
	} {
		f := NewFetcher(FetchOptions{TLS: roots(s), Lookup: answers(addrs...)})
		if _, err := f.Get(t.Context(), "https://example.com:"+port(s)+"/"); err == nil {
			t.Errorf("%s: fetched", name)
		}
	}
	// The name changes its address between two questions. We ask once, and
	// connect to what we were told.
	asked := 0
	f := NewFetcher(FetchOptions{TLS: roots(s), Lookup: func(context.Context, string) ([]netip.Addr, error) {
		if asked++; asked == 1 {
			return []netip.Addr{netip.MustParseAddr("240.0.0.1")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}})
	if _, err := f.Get(t.Context(), "https://example.com:"+port(s)+"/"); !errors.Is(err, errNotPublic) || asked != 1 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("the canary was reached %d times", n)
	}
}

func TestFetcherFollowsNothingAndBoundsWhatItReads(t *testing.T) {
	inside, hits := canary(t, func(w http.ResponseWriter, _ *http.Request) {})
	body, status, kind := "{}", 200, "application/json; charset=utf-8"
	outside, _ := canary(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "public, max-age=600")
		if status == 302 {
			w.Header().Set("Location", inside.URL)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
	host := "example.com:" + port(outside)
	f := NewFetcher(FetchOptions{TLS: roots(outside), Lookup: answers("127.0.0.1"), AllowHosts: []string{host}})
	got, err := f.Get(t.Context(), "https://"+host+"/jwks", "application/json", "application/jwk-set+json")
	if err != nil || string(got.Body) != "{}" || got.Type != "application/json" || got.MaxAge != 10*time.Minute {
		t.Fatalf("the plain case: %+v, %v", got, err)
	}
	for name, set := range map[string]func(){
		"redirection":    func() { status = 302 },
		"error":          func() { status = 500 },
		"no content":     func() { status = 204 },
		"too large":      func() { body = strings.Repeat("x", 64<<10+1) },
		"a type of HTML": func() { kind = "text/html" },
	} {
		body, status, kind = "{}", 200, "application/json"
		set()
		if status == 204 {
			body = ""
		}
		if _, err := f.Get(t.Context(), "https://"+host+"/", "application/json"); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("the redirection was followed %d times", n)
	}
}

func TestFetcherChecksCertificates(t *testing.T) {
	s, hits := canary(t, func(w http.ResponseWriter, _ *http.Request) {})
	host := "example.com:" + port(s)
	f := NewFetcher(FetchOptions{Lookup: answers("127.0.0.1"), AllowHosts: []string{host}})
	if _, err := f.Get(t.Context(), "https://"+host+"/"); err == nil || hits.Load() != 0 {
		t.Errorf("an unknown certificate was accepted: %v", err)
	}
}

func TestPublicAddresses(t *testing.T) {
	for _, a := range []string{"8.8.8.8", "192.0.43.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "172.32.0.1", "100.128.0.1"} {
		if !public(netip.MustParseAddr(a)) {
			t.Errorf("%s is public", a)
		}
	}
	for _, a := range []string{"100.127.255.255", "192.0.0.1", "198.19.255.255", "240.0.0.1", "2001:db8::1", "2001::1", "fe80::1%eth0", "fdff::1", "100::1", "::", "::8.8.8.8"} {
		if public(netip.MustParseAddr(a)) {
			t.Errorf("%s is not public", a)
		}
	}
}

// Post reaches no more than Get does: nothing private, no redirection, and it
// waits for nobody who is slow nor reads what nobody wants.
func TestPostIsHeldToTheSameRules(t *testing.T) {
	inside, hits := canary(t, func(w http.ResponseWriter, _ *http.Request) {})
	for _, u := range []string{"https://127.0.0.1:" + port(inside), "https://localhost:" + port(inside), "https://10.0.0.1", "http://example.com", "https://[::1]:" + port(inside)} {
		f := NewFetcher(FetchOptions{TLS: roots(inside)})
		if err := f.Post(t.Context(), u, url.Values{"a": {"b"}}); err == nil {
			t.Errorf("%s was reached", u)
		}
	}
	var status atomic.Int32
	status.Store(200)
	slow := make(chan struct{})
	defer close(slow)
	outside, _ := canary(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.PostFormValue("a") != "b c" || r.Header.Get("User-Agent") != "cardea" {
			status.Store(400)
		}
		code := int(status.Load())
		switch code {
		case 307:
			w.Header().Set("Location", inside.URL)
		case 0:
			<-slow
			return
		}
		w.WriteHeader(code)
		for code == 200 && r.URL.Path == "/huge" {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	host := "example.com:" + port(outside)
	f := NewFetcher(FetchOptions{TLS: roots(outside), Lookup: answers("127.0.0.1"), AllowHosts: []string{host}, Agent: "cardea"})
	post := func(path string) error { return f.Post(t.Context(), "https://"+host+path, url.Values{"a": {"b c"}}) }
	for _, ok := range []int32{200, 204} {
		status.Store(ok)
		if err := post("/"); err != nil {
			t.Errorf("%d: %v", ok, err)
		}
	}
	status.Store(200)
	if err := post("/huge"); err != nil {
		t.Errorf("an answer without end: %v", err)
	}
	for _, no := range []int32{201, 307, 400, 500} {
		if status.Store(no); post("/") == nil {
			t.Errorf("%d was taken for a yes", no)
		}
	}
	status.Store(0)
	f.poster.Timeout = 50 * time.Millisecond
	if err := post("/"); err == nil {
		t.Error("a silent server was taken for a yes")
	}
	if f := NewFetcher(FetchOptions{}); f.poster.Timeout != 10*time.Second {
		t.Errorf("it waits for %v", f.poster.Timeout)
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("the canary was reached %d times", n)
	}
}

// A development node reaches this machine, by its own names only.
func TestLoopbackIsReachedInDevelopment(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	defer s.Close()
	here := NewFetcher(FetchOptions{Loopback: true})
	for _, host := range []string{"127.0.0.1", "localhost"} {
		if err := here.Post(t.Context(), "http://"+host+":"+port(s)+"/", nil); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	rebound := NewFetcher(FetchOptions{Loopback: true, Lookup: answers("127.0.0.1")})
	for _, u := range []string{"http://example.com:" + port(s), "https://example.com:" + port(s), "http://127.0.0.2:" + port(s), "http://10.0.0.1"} {
		if err := rebound.Post(t.Context(), u, nil); err == nil {
			t.Errorf("%s was reached", u)
		}
	}
	if err := NewFetcher(FetchOptions{}).Post(t.Context(), s.URL, nil); err == nil {
		t.Error("a production node reached this machine")
	}
}
