package apptest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"

	"github.com/cardea-id/cardea/internal/web"
)

// Outside is the network beyond the program: https servers of applications, by
// name. Names that nobody serves have no address, and no other host is reached.
type Outside struct {
	server *httptest.Server
	port   string
	mu     sync.Mutex
	hosts  map[string]http.Handler
}

// outsideNames are the hosts that may be served.
const outsideNames = "one.example.com two.example.com three.example.com"

func newOutside(t testing.TB) *Outside {
	t.Helper()
	o := &Outside{hosts: map[string]http.Handler{}}
	o.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.Host)
		o.mu.Lock()
		h := o.hosts[host]
		o.mu.Unlock()
		if h == nil {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(o.server.Close)
	_, o.port, _ = net.SplitHostPort(o.server.Listener.Addr().String())
	return o
}

// Serve lets h answer for a host, one of one.example.com, two.example.com and
// three.example.com, and gives its origin.
func (o *Outside) Serve(host string, h http.Handler) (origin string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hosts[host] = h
	return "https://" + host + ":" + o.port
}

// fetcher reaches the outside and nothing else.
func (o *Outside) fetcher(names ...string) *web.Fetcher {
	roots := x509.NewCertPool()
	roots.AddCert(o.server.Certificate())
	var allowed []string
	for _, name := range names {
		allowed = append(allowed, name+":"+o.port)
	}
	return web.NewFetcher(web.FetchOptions{AllowHosts: allowed, TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"},
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			if a, err := netip.ParseAddr(host); err == nil {
				return []netip.Addr{a}, nil
			}
			o.mu.Lock()
			defer o.mu.Unlock()
			if o.hosts[host] == nil {
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}})
}
