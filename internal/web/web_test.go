package web

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
)

// clock is a clock that only the test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newClock() *clock { return &clock{time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)} }

func mustMux(t *testing.T, o MuxOptions) *Mux {
	t.Helper()
	m := NewMux(o)
	return m
}

func get(h http.Handler, method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func ok(w http.ResponseWriter, _ *http.Request) error {
	_, err := io.WriteString(w, "ok")
	return err
}

func TestErrorsBecomeProblems(t *testing.T) {
	secretDetail := errors.New("the database said something private")
	for _, c := range []struct {
		err    error
		status int
		code   string
		retry  string
	}{
		{fault.New(fault.Invalid, "bad_thing", "the thing is bad"), 400, "bad_thing", ""},
		{fault.New(fault.Unauthenticated, "who", "who are you"), 401, "who", ""},
		{fault.New(fault.Forbidden, "no", "no"), 403, "no", ""},
		{fault.New(fault.NotFound, "gone", "gone"), 404, "gone", ""},
		{fault.New(fault.Conflict, "taken", "taken"), 409, "taken", ""},
		{fault.New(fault.Precondition, "changed", "changed"), 412, "changed", ""},
		{fault.New(fault.TooLarge, "big", "big"), 413, "big", ""},
		{fault.New(fault.TooMany, "slow", "slow").WithRetry(1500 * time.Millisecond), 429, "slow", "2"},
		{fault.New(fault.Unavailable, "later", "later"), 503, "later", "1"},
		{secretDetail, 500, "internal", ""},
	} {
		m := mustMux(t, MuxOptions{})
		m.Door("test", Problem).Handle("GET /x", func(http.ResponseWriter, *http.Request) error { return c.err })
		w := get(m, "GET", "/x")
		if w.Code != c.status || !strings.Contains(w.Body.String(), `"code":"`+c.code+`"`) || w.Header().Get("Retry-After") != c.retry {
			t.Errorf("%v: got %d %s retry %q", c.err, w.Code, w.Body, w.Header().Get("Retry-After"))
		}
		if strings.Contains(w.Body.String(), "private") {
			t.Errorf("an internal error was told to the caller: %s", w.Body)
		}
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	m := mustMux(t, MuxOptions{})
	d := m.Door("test", Problem)
	d.Handle("GET /x", ok)
	d.Handle("POST /x", ok)
	d.Handle("GET /y/{id}", ok)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/x", 200, ""}, {"HEAD", "/x", 200, ""}, {"PUT", "/x", 405, "GET, HEAD, POST"}, {"DELETE", "/y/1", 405, "GET, HEAD"},
		{"GET", "/z", 404, ""}, {"GET", "/x/", 404, ""}, {"GET", "/y/a/b", 404, ""},
		{"GET", "//x", 404, ""}, {"GET", "/y/../x", 404, ""}, {"GET", "/./x", 404, ""}, {"GET", "/x/..", 404, ""}, {"GET", "/y/.hidden", 200, ""},
		{"GET", "/y/a%5Cb", 404, ""}, {"GET", "/y/a%2fb", 404, ""}, {"GET", "/y/a%252fb", 200, ""}, {"GET", "/%2e%2e/x", 404, ""}, {"GET", "/y/%2e", 404, ""}, {"GET", "/y/a%20b", 200, ""}, {"GET", "/y/a%00b", 404, ""},
	} {
		w := get(m, c.method, "http://host"+c.path)
		if w.Code != c.status || w.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: got %d Allow %q, want %d %q", c.method, c.path, w.Code, w.Header().Get("Allow"), c.status, c.allow)
		}
		if l := w.Header().Get("Location"); l != "" {
			t.Errorf("%s %s: redirected to %s", c.method, c.path, l)
		}
	}
}

func TestRoutesAreListed(t *testing.T) {
	m := mustMux(t, MuxOptions{})
	m.Door("a", Problem, LeaseOff).Handle("GET /x", ok, Rate("open"))
	m.Door("b", Problem, Page).Handle("POST /y", ok)
	m.Door("c", Problem).Handle("GET /z", ok, Cross(CORS{Any: true, Methods: "GET"}))
	got := m.Routes()
	if len(got) != 4 {
		t.Fatalf("got %v", got)
	}
	if r := got[0]; r.Door != "a" || r.Method != "GET" || r.Path != "/x" || !r.LeaseOff || r.Rate != "open" || r.Page {
		t.Errorf("first: %+v", r)
	}
	if r := got[1]; !r.Page || r.LeaseOff {
		t.Errorf("second: %+v", r)
	}
	if r := got[3]; r.Method != "OPTIONS" || r.Path != "/z" {
		t.Errorf("the preflight is not listed: %+v", r)
	}
}

// Remove either call of Live (in admit, in WriteHeader) to see one of the two
// halves fail.
func TestLeaseIsCheckedAtArrivalAndBeforeAYes(t *testing.T) {
	lost := fault.New(fault.Unavailable, "no_lease", "this node is catching up").WithRetry(time.Second)
	answers := []error{nil, nil}
	calls := 0
	m := mustMux(t, MuxOptions{Live: func() error { calls++; return answers[calls-1] }})
	d := m.Door("test", Problem)
	reached := false
	d.Handle("GET /yes", func(w http.ResponseWriter, r *http.Request) error {
		reached = true
		SetCookie(w, "__Host-session", "stolen", 0)
		w.Header().Set("Location", "https://client.example/?code=1")
		w.Header().Set("Cache-Control", "public")
		w.WriteHeader(http.StatusSeeOther)
		_, err := io.WriteString(w, "yes")
		return err
	})
	d.Handle("GET /no", func(w http.ResponseWriter, r *http.Request) error {
		return fault.New(fault.Forbidden, "no", "no")
	})
	d.Handle("GET /keys", ok, LeaseOff)

	if w := get(m, "GET", "/yes"); w.Code != 303 || calls != 2 {
		t.Fatalf("with a lease: %d after %d checks", w.Code, calls)
	}
	calls, reached, answers = 0, false, []error{lost}
	if w := get(m, "GET", "/yes"); w.Code != 503 || reached || w.Header().Get("Retry-After") != "1" {
		t.Errorf("without a lease at arrival: %d, handler reached: %v", w.Code, reached)
	}
	calls, reached, answers = 0, false, []error{nil, lost}
	w := get(m, "GET", "/yes")
	if w.Code != 503 || !reached || strings.Contains(w.Body.String(), "yes") || w.Header().Get("Location") != "" || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("lease lost on the way: %d %v %s", w.Code, w.Header(), w.Body)
	}
	calls, answers = 0, []error{nil, lost}
	if w := get(m, "GET", "/no"); w.Code != 403 {
		t.Errorf("a no needs no lease when it leaves: %d", w.Code)
	}
	calls, answers = 0, nil
	if w := get(m, "GET", "/keys"); w.Code != 200 || calls != 0 {
		t.Errorf("a route without lease: %d after %d checks", w.Code, calls)
	}
}

func TestFlushAsksForTheLease(t *testing.T) {
	n := 0
	m := mustMux(t, MuxOptions{Live: func() error {
		if n++; n > 1 {
			return fault.New(fault.Unavailable, "no_lease", "no lease")
		}
		return nil
	}})
	m.Door("test", Problem).Handle("GET /x", func(w http.ResponseWriter, r *http.Request) error {
		return http.NewResponseController(w).Flush()
	})
	if w := get(m, "GET", "/x"); w.Code != 503 {
		t.Errorf("got %d", w.Code)
	}
}

func TestHeadersOfPagesAndAnswers(t *testing.T) {
	m := mustMux(t, MuxOptions{})
	d := m.Door("test", Problem)
	d.Handle("GET /api", ok)
	d.Handle("GET /page", ok, Page)
	d.Handle("GET /form", func(w http.ResponseWriter, r *http.Request) error {
		FormTargets(w, "https://app.example:8443/cb?x=1", "com.example.app:/cb", "http://127.0.0.1:9/cb", "http://[::1]:9/cb",
			"javascript:alert(1)", "https://evil.example;script-src *", "data:text/html,x", "https://a b/")
		return ok(w, r)
	}, Page)
	h := Front(Options{Now: newClock().now, HTTPS: true}, m)
	for _, path := range []string{"/api", "/page", "/form", "/nowhere"} {
		w := get(h, "GET", path)
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if !strings.HasPrefix(w.Header().Get("Strict-Transport-Security"), "max-age=") {
			t.Errorf("%s: no HSTS", path)
		}
		csp := w.Header().Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: CSP %q lacks %s", path, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s: CSP %q", path, csp)
		}
	}
	w := get(h, "GET", "/page")
	for name, want := range map[string]string{"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("page: %s is %q", name, got)
		}
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "require-trusted-types-for 'script'") {
		t.Errorf("page: CSP %q", csp)
	}
	csp := get(h, "GET", "/form").Header().Get("Content-Security-Policy")
	if !strings.HasSuffix(csp, "form-action 'self' https://app.example:8443 com.example.app: http://127.0.0.1:9 http:") {
		t.Errorf("form: CSP %q", csp)
	}
}

func TestPanicIsOneFailure(t *testing.T) {
	m := mustMux(t, MuxOptions{})
	m.Door("test", Problem).Handle("GET /x", func(http.ResponseWriter, *http.Request) error { panic("token cdr_secret") })
	var lines strings.Builder
	log := NewLog(&lines, newClock().now, slog.LevelInfo)
	w := get(Front(Options{Now: newClock().now, Log: log}, m), "GET", "/x")
	log.Close()
	if w.Code != 500 || strings.Contains(w.Body.String(), "cdr_secret") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if !strings.Contains(lines.String(), `"status":500`) || !strings.Contains(lines.String(), "handler panicked") {
		t.Errorf("log: %s", &lines)
	}
}

func TestAbortIsNotSwallowed(t *testing.T) {
	h := Front(Options{Now: newClock().now}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("the abort was swallowed")
		}
	}()
	get(h, "GET", "/")
}

func TestSitesAreResolved(t *testing.T) {
	type key struct{}
	m := mustMux(t, MuxOptions{})
	m.Door("test", Problem).Handle("GET /x", func(w http.ResponseWriter, r *http.Request) error {
		_, err := io.WriteString(w, r.Context().Value(key{}).(string)+" "+r.URL.Path+"?"+r.URL.RawQuery)
		return err
	})
	var seen Summary
	h := Front(Options{Now: newClock().now, Observe: func(s Summary) { seen = s }, Resolve: func(r *http.Request) (Site, error) {
		rest, found := strings.CutPrefix(r.URL.Path, "/realms/acme")
		if !found {
			return Site{}, fault.New(fault.NotFound, "realm_unknown", "no such realm")
		}
		return Site{Path: rest, Name: "acme", Key: key{}, Value: "acme"}, nil
	}}, m)
	if got := get(h, "GET", "/realms/acme/x?a=b").Body.String(); got != "acme /x?a=b" {
		t.Errorf("got %q", got)
	}
	if seen.Site != "acme" || seen.Status != 200 || seen.Route == nil || seen.Route.Path != "/x" {
		t.Errorf("summary: %+v", seen)
	}
	for _, path := range []string{"/x", "/realms/acme%2fx", "/realms/acme/%2e%2e/x", "/realms%2Facme/x", "/realms/other/../acme/x", "/realms/acme//x"} {
		if w := get(h, "GET", path); w.Code != 404 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestClientAddress(t *testing.T) {
	trusted := NewProxies([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("::ffff:192.0.2.0/120")})
	for _, c := range []struct {
		peer string
		xff  []string
		want string
	}{
		{"198.51.100.7:1", nil, "198.51.100.7"},
		{"198.51.100.7:1", []string{"1.2.3.4"}, "198.51.100.7"}, // not a proxy of ours: its word is worth nothing
		{"10.0.0.1:1", []string{"1.2.3.4"}, "1.2.3.4"},
		{"10.0.0.1:1", []string{"6.6.6.6, 1.2.3.4"}, "1.2.3.4"}, // the client wrote the left one
		{"10.0.0.1:1", []string{"6.6.6.6, 1.2.3.4, 10.0.0.2"}, "1.2.3.4"},
		{"10.0.0.1:1", []string{"6.6.6.6", "1.2.3.4, 10.0.0.2"}, "1.2.3.4"},
		{"10.0.0.1:1", []string{"6.6.6.6, rubbish, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"[fd00::1]:1", []string{"2001:db8::7"}, "2001:db8::7"},
		{"[::ffff:10.0.0.1]:1", []string{"::ffff:1.2.3.4"}, "1.2.3.4"},
		{"192.0.2.9:1", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
	} {
		var got netip.Addr
		h := Front(Options{Now: newClock().now, Proxies: trusted}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = ClientIP(r.Context()) }))
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		for _, x := range c.xff {
			r.Header.Add("X-Forwarded-For", x)
		}
		r.Header.Set("Forwarded", "for=6.6.6.6;host=evil.example")
		r.Header.Set("X-Real-IP", "6.6.6.6")
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got.String() != c.want {
			t.Errorf("%s %v: got %s, want %s", c.peer, c.xff, got, c.want)
		}
	}
}

// All paths of a few characters, by the definition of the shortest form.
func TestOnlyPathsInTheirShortestFormAreClean(t *testing.T) {
	const alphabet = "/.a\\\x00"
	clean := func(p string) bool {
		segments := strings.Split(p, "/")
		if p == "" || segments[0] != "" || strings.ContainsAny(p, "\\\x00") {
			return false
		}
		for i, s := range segments[1:] {
			if s == "." || s == ".." || s == "" && i < len(segments)-2 {
				return false
			}
		}
		return true
	}
	var all func(p string)
	all = func(p string) {
		if got, want := cleanPath(&url.URL{Path: p}), clean(p); got != want {
			t.Errorf("%q: %v, want %v", p, got, want)
		}
		if len(p) < 6 {
			for _, c := range alphabet {
				all(p + string(c))
			}
		}
	}
	all("")
}

// What is read quickly is what package netip reads.
func TestAddressesOfPeers(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "0.0.0.0", "255.255.255.255", "10.0.0.10", "256.1.1.1", "1.1.1.256", "01.2.3.4", "1.2.3.00", "1.2.3", "1.2.3.4.5", "1..2.3", ".1.2.3.4", "1.2.3.",
		"1.2.3.4 ", "1234.1.1.1", "1.2.3.0001", "", "1", "a.b.c.d", "[::1]", "[::ffff:1.2.3.4]", "[fe80::1%eth0]", "::1", "-1.2.3.4", "1.2.3.4:5"} {
		want := netip.Addr{}
		if ap, err := netip.ParseAddrPort(host + ":443"); err == nil {
			want = ap.Addr().Unmap().WithZone("")
		}
		if host == "1.2.3.4:5" {
			want = netip.MustParseAddr("1.2.3.4") // of what is no port nothing is read
		}
		if got := addrOf(host + ":443"); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
	for _, whole := range []string{"", ":", "1.2.3.4", "@", "1.2.3.4.", "300"} {
		if got := addrOf(whole); got.IsValid() {
			t.Errorf("%q: %v", whole, got)
		}
	}
}
