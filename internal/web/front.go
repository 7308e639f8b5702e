package web

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
)

// Options is what the front needs to know.
type Options struct {
	Now func() time.Time // required; its monotonic part times requests
	// Since is how long ago a time of Now is, nil to ask Now; time.Since needs no
	// look at the calendar.
	Since   func(time.Time) time.Duration
	Log     *Log    // where request lines go; nil writes none
	Proxies Proxies // whom to believe about the client's address
	// CertHeader is where proxies that are believed pass on the certificate of
	// the client (see [Certificate]); "" nowhere.
	CertHeader string
	HTTPS      bool          // browsers reach us by https only: adds HSTS
	Resolve    Resolve       // whose request this is; nil: one site at the root
	Fail       Fail          // for what fails before and around the doors; nil is Problem
	Observe    func(Summary) // called once for each request; nil: nobody counts
}

// Resolve says which site a request is for. An error is written by Fail.
type Resolve func(r *http.Request) (Site, error)

// Site is one of several sites behind one front.
type Site struct {
	Path string // the path within the site
	Name string // for the log
	// Key and Value are what the site adds to the request's context.
	Key, Value any
}

// Summary is one finished request, for counting.
type Summary struct {
	Site   string
	Route  *Route // nil: no route
	Method string
	Status int
	Bytes  int64
	Took   time.Duration
}

type front struct {
	Options
	headers baseline
	next    http.Handler
}

// Front is the outermost handler. What it costs, every request pays.
func Front(o Options, next http.Handler) http.Handler {
	if o.Fail == nil {
		o.Fail = Problem
	}
	if o.Since == nil {
		o.Since = func(t time.Time) time.Duration { return o.Now().Sub(t) }
	}
	return &front{Options: o, headers: newBaseline(o.HTTPS), next: next}
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := newExchange(w, r)
	x.front = &f.Options
	x.start = f.Now()
	if f.Proxies.trusts(x.addr) {
		x.proxied = true
		x.addr = f.Proxies.client(x.addr, r.Header)
	}
	f.headers.set(w.Header())
	defer f.finish(x, r)
	if headerSize(r) > maxHeader {
		f.Fail(&x.out, &x.in, &statusError{http.StatusRequestHeaderFieldsTooLarge,
			fault.New(fault.Invalid, "headers_too_large", "address and header fields are limited to %d bytes together", maxHeader)})
		return
	}
	if !cleanPath(r.URL) {
		f.Fail(&x.out, &x.in, notFound())
		return
	}
	if f.Resolve == nil {
		f.next.ServeHTTP(&x.out, &x.in)
		return
	}
	site, err := f.Resolve(r)
	if err != nil {
		f.Fail(&x.out, &x.in, err)
		return
	}
	x.site, x.siteKey, x.siteValue = site.Name, site.Key, site.Value
	if site.Path != r.URL.Path {
		u := *r.URL
		u.Path, u.RawPath = site.Path, ""
		x.in.URL = &u
	}
	f.next.ServeHTTP(&x.out, &x.in)
}

// headerSize is how many bytes request line and header fields take in HTTP/1.1
// without needless blanks. What net/http lets pass depends on the protocol and on
// what the connection carried before; this does not.
func headerSize(r *http.Request) int {
	n := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len("  \r\nHost: \r\n\r\n") + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n
}

// finish recovers from a panic, so that one request's bug is one request's
// failure, then writes the request's one line.
func (f *front) finish(x *exchange, r *http.Request) {
	cause := recover()
	if cause != nil && cause != http.ErrAbortHandler {
		logger(x).LogAttrs(x, slog.LevelError, "handler panicked", slog.String("request", string(x.id[:])),
			slog.String("path", r.URL.Path), slog.Any("panic", cause), slog.String("stack", string(debug.Stack())))
		if x.out.status == 0 {
			x.out.guarded = nil
			f.Fail(&x.out, r.WithContext(x), fault.New(fault.Internal, "internal", "something went wrong here"))
		}
	}
	took := f.Since(x.start)
	if f.Log != nil {
		f.Log.request(x, r, took)
	}
	if f.Observe != nil {
		f.Observe(Summary{Site: x.site, Route: x.route, Method: r.Method, Status: x.out.sent(), Bytes: x.out.bytes, Took: took})
	}
	if cause == http.ErrAbortHandler {
		panic(http.ErrAbortHandler)
	}
}

// sent is the status that the client saw.
func (w *response) sent() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}
