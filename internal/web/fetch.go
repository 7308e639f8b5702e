package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cardea-id/cardea/internal/secret"
)

const (
	fetchBytes = 64 << 10
	fetchTime  = 3 * time.Second
	postTime   = 10 * time.Second
	postBytes  = 4 << 10 // of an answer that nobody reads
)

// FetchOptions loosen what a Fetcher refuses. The zero value is for production.
type FetchOptions struct {
	AllowHosts []string      // "host:port" that may be reached by http and at private addresses
	Loopback   bool          // localhost, 127.0.0.1 and [::1] may be too, at any port: for development
	Resolver   *net.Resolver // nil is the system's
	TLS        *tls.Config   // nil is the system's roots
	Lookup     LookupFunc    // nil asks Resolver; tests answer themselves
	Agent      string        // User-Agent
}

// LookupFunc resolves a host name.
type LookupFunc func(ctx context.Context, host string) ([]netip.Addr, error)

// Fetcher gets documents from addresses that strangers chose. It cannot be made
// to reach this machine or its neighbours: names are resolved once, every
// address must be public, the connection goes to that very address, and
// redirections are not followed.
type Fetcher struct {
	allow     []string
	loopback  bool
	lookup    LookupFunc
	agent     string
	client    http.Client // for Get
	poster    http.Client // for Post
	exchanger http.Client // for Exchange
}

// Fetched is a document.
type Fetched struct {
	Body   []byte
	Type   string // media type without parameters
	MaxAge time.Duration
}

// NewFetcher returns a fetcher.
func NewFetcher(o FetchOptions) *Fetcher {
	f := &Fetcher{allow: o.AllowHosts, loopback: o.Loopback, lookup: o.Lookup, agent: o.Agent}
	if f.lookup == nil {
		resolver := o.Resolver
		if resolver == nil {
			resolver = net.DefaultResolver
		}
		f.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return resolver.LookupNetIP(ctx, "ip", host)
		}
	}
	f.client, f.poster, f.exchanger = f.within(fetchTime, o.TLS), f.within(postTime, o.TLS), f.within(exchangeTime, o.TLS)
	return f
}

func (f *Fetcher) within(limit time.Duration, secure *tls.Config) http.Client {
	return http.Client{
		Timeout: limit,
		Transport: &http.Transport{
			Proxy:                  nil,
			DialContext:            f.dial,
			TLSClientConfig:        secure,
			TLSHandshakeTimeout:    fetchTime,
			ResponseHeaderTimeout:  limit,
			MaxResponseHeaderBytes: maxHeader,
			DisableKeepAlives:      true, // the next fetch resolves and checks again
			DisableCompression:     true, // 64 KiB stay 64 KiB
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Check reports whether a URL has a form that Get would fetch, without asking
// the network. Use it when a URL is registered.
func (f *Fetcher) Check(raw string) error {
	_, err := f.parse(raw)
	return err
}

func (f *Fetcher) parse(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || len(raw) > 2048 {
		return nil, fmt.Errorf("fetch: %q is not a URL", clip(raw))
	}
	if u.User != nil || u.Fragment != "" || u.Hostname() == "" || u.Opaque != "" {
		return nil, fmt.Errorf("fetch: %q must be a plain URL without user and fragment", clip(raw))
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && f.allowed(hostPort(u))) {
		return nil, fmt.Errorf("fetch: %q must begin with https", clip(raw))
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !public(a) && !f.allowed(hostPort(u)) {
		return nil, fmt.Errorf("fetch: %q is not a public address", clip(raw))
	}
	return u, nil
}

// Get fetches a document of at most 64 KiB within 3 seconds. The answer must be
// 200 and of one of the media types, if any are given.
func (f *Fetcher) Get(ctx context.Context, raw string, types ...string) (*Fetched, error) {
	u, err := f.parse(raw)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if f.agent != "" {
		req.Header.Set("User-Agent", f.agent)
	}
	if len(types) > 0 {
		req.Header.Set("Accept", strings.Join(types, ", "))
	}
	res, err := f.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch: %s answered %d", u.Host, res.StatusCode)
	}
	got, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if len(types) > 0 && !slices.Contains(types, got) {
		return nil, fmt.Errorf("fetch: %s sent %q", u.Host, clip(got))
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, fetchBytes+1))
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	if len(body) > fetchBytes {
		return nil, fmt.Errorf("fetch: %s sent more than %d bytes", u.Host, fetchBytes)
	}
	return &Fetched{Body: body, Type: got, MaxAge: maxAge(res.Header.Get("Cache-Control"))}, nil
}

// Message is what is sent to an address that others chose.
type Message struct {
	Type   string      // media type of Body
	Bearer secret.Text // for the Authorization header, or ""
	Body   []byte
}

// Post sends a form as [Fetcher.Send] does.
func (f *Fetcher) Post(ctx context.Context, raw string, form url.Values) error {
	return f.Send(ctx, raw, Message{Type: "application/x-www-form-urlencoded", Body: []byte(form.Encode())})
}

// Answered is the error of a message that was answered, with another status than
// 200 or 204.
type Answered struct {
	Host   string
	Status int
}

func (a *Answered) Error() string { return fmt.Sprintf("fetch: %s answered %d", a.Host, a.Status) }

// Refuses reports whether the same message would be answered the same.
func (a *Answered) Refuses() bool {
	return a.Status >= 300 && a.Status < 500 && a.Status != http.StatusRequestTimeout && a.Status != http.StatusTooManyRequests
}

// Send posts a message within 10 seconds and returns nil if the answer is 200 or
// 204, or what was [Answered]. Nothing of the answer is kept.
func (f *Fetcher) Send(ctx context.Context, raw string, m Message) error {
	u, err := f.parse(raw)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(m.Body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", m.Type)
	if m.Bearer != "" {
		req.Header.Set("Authorization", "Bearer "+string(m.Bearer))
	}
	if f.agent != "" {
		req.Header.Set("User-Agent", f.agent)
	}
	res, err := f.poster.Do(req)
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNoContent {
		return &Answered{Host: u.Host, Status: res.StatusCode}
	}
	_, _ = io.CopyN(io.Discard, res.Body, postBytes)
	return nil
}

func (f *Fetcher) allowed(hostport string) bool {
	host, _, _ := net.SplitHostPort(hostport)
	return slices.Contains(f.allow, strings.ToLower(hostport)) || f.loopback && (host == "localhost" || host == "127.0.0.1" || host == "::1")
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

var errNotPublic = errors.New("the host has an address that is not public")

// dial resolves once and connects to the address it has checked.
func (f *Fetcher) dial(ctx context.Context, network, hostport string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	addrs, err := f.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("host %q has no address", clip(host))
	}
	free := f.allowed(hostport)
	// One private address among public ones is an attack or a mistake.
	if !free && slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !public(a) }) {
		return nil, errNotPublic
	}
	d := net.Dialer{Timeout: fetchTime, Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil || !free && !public(ap.Addr()) {
			return errNotPublic
		}
		return nil
	}}
	for _, a := range addrs {
		var c net.Conn
		if c, err = d.DialContext(ctx, network, net.JoinHostPort(a.Unmap().String(), port)); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// notPublic are the networks of the IANA special-purpose registries that
// netip does not know, and those that carry an IPv4 address inside.
var notPublic = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("3fff::/20"), netip.MustParsePrefix("5f00::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

// public reports whether a is an address on the open Internet.
func public(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// maxAge reads max-age, at most a day; 0 when there is none or the document is
// not to be stored.
func maxAge(control string) time.Duration {
	var age time.Duration
	for part := range strings.SplitSeq(control, ",") {
		part = strings.ToLower(strings.TrimSpace(part))
		if part == "no-store" || part == "no-cache" {
			return 0
		}
		if s, ok := strings.CutPrefix(part, "max-age="); ok {
			if d, err := time.ParseDuration(s + "s"); err == nil && d > 0 {
				age = min(d, 24*time.Hour)
			}
		}
	}
	return age
}
