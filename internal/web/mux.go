package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
)

// Route is what is known of a route before any request arrives, so that a test
// can list them all.
type Route struct {
	Door     string // the door that mounted it
	Method   string // "" answers every method
	Path     string // the path of the pattern, wildcards included
	Rate     string // rate class; "" is not limited by address
	Page     bool   // browsers show it: page headers, origin checks on unsafe methods
	LeaseOff bool   // answers without a lease: the answer cannot be a stale yes
	CORS     *CORS  // which scripts of other origins may read the answer; nil is none
}

// Option declares something about a route.
type Option func(*Route)

// Rate puts the route into a class of the Limiter, counted per client address.
func Rate(class string) Option { return func(r *Route) { r.Rate = class } }

// Page declares a route that people's browsers show. Its unsafe methods are
// refused to other origins, and so is an address whose parameters can be read in
// two ways.
func Page(r *Route) { r.Page = true }

// LeaseOff declares a route whose answer says nothing that may have been
// revoked (keys, discovery, files, health), or that watches the lease itself
// (streams). It answers while the node has no lease.
func LeaseOff(r *Route) { r.LeaseOff = true }

// Cross lets scripts of other origins read the answers, and mounts the
// preflight.
func Cross(c CORS) Option { return func(r *Route) { r.CORS = &c } }

// MuxOptions is what the routes of all doors share.
type MuxOptions struct {
	Live    func() error // nil while this node may say yes; nil func: always
	Limiter *Limiter     // nil limits nothing
	Secure  bool         // pages are reached by https alone, and so are those that may post to them
	Fail    Fail         // for requests that no door answers; nil is Problem
}

// Mux mounts handlers. A Mux made by Door shares the routes and differs in Fail.
type Mux struct {
	table    *table
	door     string
	fail     Fail
	defaults []Option
}

type table struct {
	MuxOptions
	mux     *http.ServeMux
	plain   map[string][]mounted // by path: those without wildcards, which need no search
	routes  []Route
	methods []string
	origin  *http.CrossOriginProtection
}

// mounted is a handler with its route.
type mounted struct {
	route *Route
	mux   *Mux
	h     Handler
}

// NewMux returns a Mux without routes.
func NewMux(o MuxOptions) *Mux {
	t := &table{MuxOptions: o, mux: http.NewServeMux(), plain: map[string][]mounted{}, origin: http.NewCrossOriginProtection()}
	if t.Fail == nil {
		t.Fail = Problem
	}
	m := &Mux{table: t, fail: t.Fail}
	t.mux.HandleFunc("/", m.unknown)
	return m
}

// Door returns a Mux that mounts into the same table, writes errors with fail,
// and declares each of its routes with the options given.
func (m *Mux) Door(name string, fail Fail, defaults ...Option) *Mux {
	return &Mux{table: m.table, door: name, fail: fail, defaults: defaults}
}

// Fallback has fail write what no door answers, from now on. Call it at start.
func (m *Mux) Fallback(fail Fail) { m.table.Fail = fail }

// Handle mounts h, such as Handle("POST /token", s.token). It panics when the
// pattern is malformed or taken, as http.ServeMux does: routes are mounted once,
// at start.
func (m *Mux) Handle(pattern string, h Handler, opts ...Option) {
	method, path, found := strings.Cut(pattern, " ")
	if !found {
		method, path = "", pattern
	}
	route := &Route{Door: m.door, Method: method, Path: path}
	for _, o := range append(slices.Clone(m.defaults), opts...) {
		o(route)
	}
	m.table.routes = append(m.table.routes, *route)
	if method != "" && !slices.Contains(m.table.methods, method) {
		m.table.methods = append(m.table.methods, method)
	}
	m.table.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { m.serve(route, h, w, r) })
	if method != "" && !strings.Contains(path, "{") && !strings.HasSuffix(path, "/") {
		m.table.plain[path] = append(m.table.plain[path], mounted{route, m, h})
	}
	if route.CORS != nil && method != http.MethodOptions {
		m.preflight(route)
	}
}

// Routes lists what is mounted, in the order in which it was.
func (m *Mux) Routes() []Route { return slices.Clone(m.table.routes) }

// ServeHTTP finds the route. Paths are taken as they are: one that is not in
// its shortest form is not found, and is never redirected.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r.Context())
	if x == nil {
		x = newExchange(w, r)
		w, r = &x.out, &x.in
	}
	if r.URL.RawPath == "" {
		// What is mounted for exactly this is what the table beneath would find:
		// it prefers the most specific pattern.
		for _, one := range m.table.plain[r.URL.Path] {
			if one.route.Method == r.Method {
				one.mux.serve(one.route, one.h, w, r)
				return
			}
		}
	}
	if !cleanPath(r.URL) {
		m.table.Fail(w, r, notFound())
		return
	}
	m.table.mux.ServeHTTP(w, r)
}

// serve holds a request to what its route declares, then lets h answer.
func (m *Mux) serve(route *Route, h Handler, w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r.Context())
	x.route = route
	if err := m.admit(route, x, r); err != nil {
		m.fail(w, r, err)
		return
	}
	if route.CORS != nil {
		route.CORS.answer(w.Header(), r)
	}
	if route.Page {
		pageHeaders(w.Header(), nil)
	}
	if m.table.Live != nil && !route.LeaseOff {
		x.out.guard(m, r)
	}
	if err := h(w, r); err != nil {
		m.fail(w, r, err)
	}
}

func (m *Mux) admit(route *Route, x *exchange, r *http.Request) error {
	if route.Rate != "" && m.table.Limiter != nil {
		if wait, ok := m.table.Limiter.AllowAddr(route.Rate, x.addr); !ok {
			return fault.New(fault.TooMany, "too_many_requests", "too many requests from your network, wait a moment").WithRetry(wait)
		}
	}
	if m.table.Live != nil && !route.LeaseOff {
		if err := m.table.Live(); err != nil {
			return err
		}
	}
	if route.Page {
		if !m.table.sameOrigin(r) {
			return fault.New(fault.Forbidden, "cross_origin", "this form was sent from another site, open the page here and try again")
		}
		if _, err := Query(r); err != nil {
			return err
		}
	}
	return nil
}

// sameOrigin reports whether a request to a page changes nothing, or comes from one
// of our pages, as far as its browser tells. What says only by its Origin where it
// comes from is held to its scheme too, which [http.CrossOriginProtection] leaves out.
func (t *table) sameOrigin(r *http.Request) bool {
	if t.origin.Check(r) != nil {
		return false
	}
	if !t.Secure || r.Method == http.MethodGet || r.Method == http.MethodHead || r.Header.Get("Sec-Fetch-Site") != "" {
		return true
	}
	origin := r.Header.Get("Origin")
	return origin == "" || strings.HasPrefix(strings.ToLower(origin), "https://")
}

// preflight answers OPTIONS for the route's path, once for all its methods.
func (m *Mux) preflight(route *Route) {
	for _, r := range m.table.routes {
		if r.Path == route.Path && r.Method == http.MethodOptions {
			return
		}
	}
	c := *route.CORS
	m.Handle("OPTIONS "+route.Path, func(w http.ResponseWriter, r *http.Request) error {
		c.preflight(w.Header(), r)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}, LeaseOff, func(o *Route) { o.CORS = nil })
}

// unknown answers requests without a route: 405 when the path has one for
// another method, else 404.
func (m *Mux) unknown(w http.ResponseWriter, r *http.Request) {
	var allow []string
	for _, method := range m.table.methods {
		probe := *r
		probe.Method = method
		if _, pattern := m.table.mux.Handler(&probe); pattern != "/" {
			allow = append(allow, method)
			if method == http.MethodGet {
				allow = append(allow, http.MethodHead) // net/http answers it like GET
			}
		}
	}
	if len(allow) == 0 {
		m.table.Fail(w, r, notFound())
		return
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	m.table.Fail(w, r, &statusError{http.StatusMethodNotAllowed,
		fault.New(fault.Invalid, "method_not_allowed", "%s is not answered here", safeMethod(r.Method))})
}

// statusError is a fault with a status that no core ever means.
type statusError struct {
	status int
	fault  *fault.Error
}

func (e *statusError) Error() string { return e.fault.Error() }
func (e *statusError) Unwrap() error { return e.fault }

// Unprocessable is f with the status 422: what was sent can be read, but not used.
func Unprocessable(f *fault.Error) error {
	return &statusError{http.StatusUnprocessableEntity, f}
}

func safeMethod(m string) string {
	if len(m) > 16 {
		return "this method"
	}
	return m
}

func notFound() error {
	return fault.New(fault.NotFound, "not_found", "there is nothing at this address")
}

// cleanPath reports whether the path of u is in its shortest form and says the
// same to everybody: no empty and no dot segments, and no separator, dot or
// percent sign in disguise, which a proxy might read otherwise than we do.
func cleanPath(u *url.URL) bool {
	p := u.Path
	if p == "" || p[0] != '/' {
		return false
	}
	for i := range len(p) {
		switch p[i] {
		case '\\', 0:
			return false
		case '/':
			if begin := p[i+1:]; begin != "" && (begin[0] == '/' || begin[0] == '.' && isDots(begin)) {
				return false
			}
		}
	}
	if u.RawPath != "" {
		raw := strings.ToLower(u.RawPath)
		for _, disguise := range [...]string{"%2f", "%5c", "%2e", "%25"} {
			if strings.Contains(raw, disguise) {
				return false
			}
		}
	}
	return true
}

// isDots reports whether a path begins with a segment that leads nowhere else.
func isDots(path string) bool {
	segment, _, _ := strings.Cut(path, "/")
	return segment == "." || segment == ".."
}

// String names the route in reports.
func (r Route) String() string { return fmt.Sprintf("%s: %s %s", r.Door, r.Method, r.Path) }

// addrOf is the address part of a peer's "host:port".
func addrOf(remote string) netip.Addr {
	if a, ok := ordinaryAddr(remote); ok {
		return a
	}
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// ordinaryAddr reads an IPv4 address before a port, as nearly all peers have, in a
// quarter of the time. Whatever else remote may be is left to package netip.
func ordinaryAddr(remote string) (a netip.Addr, ok bool) {
	var octets [4]byte
	at, n, digits := 0, 0, 0
	for _, c := range []byte(remote) {
		switch {
		case c >= '0' && c <= '9' && digits < 3 && (n > 0 || digits == 0): // no zero in front
			n, digits = 10*n+int(c-'0'), digits+1
		case digits == 0 || n > 255:
			return a, false
		case c == '.' && at < 3:
			octets[at] = byte(n)
			at, n, digits = at+1, 0, 0
		case c == ':' && at == 3:
			octets[3] = byte(n)
			return netip.AddrFrom4(octets), true
		default:
			return a, false
		}
	}
	return a, false
}
