// Package demo owns the demonstration that cardea dev starts: a web application
// that signs people in, and an API that it calls for them. Both are written as
// anybody would write them, on HTTP and the public package verify, and know
// nothing of the server's inside.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Config says where Cardea is and as whom the demonstration knows it.
type Config struct {
	// Issuer is Cardea's issuer URL.
	Issuer string
	// ClientID and ClientSecret are the web application's. Its redirect URI
	// is RedirectURI(AppURL), its post-logout redirect URI AppURL + "/".
	ClientID     string
	ClientSecret string
	// APIClientID and APIClientSecret are the API's, a resource server whose
	// identifier is APIURL. With them it follows the revocation stream.
	APIClientID     string
	APIClientSecret string
	// AppListen and APIListen are the addresses to listen on.
	AppListen, APIListen string
	// AppURL and APIURL are where browsers and the application reach them,
	// without a trailing slash. Empty means http://localhost and the port.
	AppURL, APIURL string
	Log            *slog.Logger
}

// Scope is what the demonstration's API asks of a token.
const Scope = "demo:read"

// RedirectURI is where the application at appURL takes its codes.
func RedirectURI(appURL string) string { return appURL + "/callback" }

// LocalURL is how a browser on this machine reaches a listen address.
func LocalURL(listen string) string {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "http://" + listen
	}
	return "http://localhost:" + port
}

// Demo is a running demonstration.
type Demo struct {
	config  Config
	servers []*http.Server
	stop    context.CancelFunc
	running sync.WaitGroup
}

// New checks c and gives a demonstration that is not yet listening.
func New(c Config) (*Demo, error) {
	if c.Issuer == "" || c.ClientID == "" || c.APIClientID == "" {
		return nil, errors.New("demo: an issuer, the application's client and the API's client are needed")
	}
	if c.AppURL == "" {
		c.AppURL = LocalURL(c.AppListen)
	}
	if c.APIURL == "" {
		c.APIURL = LocalURL(c.APIListen)
	}
	for _, raw := range []string{c.Issuer, c.AppURL, c.APIURL} {
		if u, err := url.Parse(raw); err != nil || u.Host == "" || strings.HasSuffix(raw, "/") {
			return nil, fmt.Errorf("demo: %q is not a URL without a trailing slash", raw)
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return &Demo{config: c}, nil
}

// Start listens on both addresses and serves until Close. Cardea need not be
// up yet: both ask it when they are first used.
func (d *Demo) Start(ctx context.Context) error {
	ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx))
	api, err := newAPI(ctx, d.config, &d.running)
	if err != nil {
		return fmt.Errorf("demo API: %w", err)
	}
	app, err := newApp(d.config)
	if err != nil {
		return fmt.Errorf("demo application: %w", err)
	}
	for _, s := range []struct {
		listen  string
		handler http.Handler
	}{{d.config.APIListen, api}, {d.config.AppListen, app}} {
		listener, err := net.Listen("tcp", s.listen)
		if err != nil {
			d.Close()
			return fmt.Errorf("demo: %w (choose another with --demo-app-listen or --demo-api-listen)", err)
		}
		server := &http.Server{Handler: s.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
		d.servers = append(d.servers, server)
		d.running.Go(func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				d.config.Log.Error("demo server ended", "error", err)
			}
		})
	}
	return nil
}

// drainTime is how long requests may take to end.
const drainTime = 2 * time.Second

// Close stops both, lets running requests end, and waits for them.
func (d *Demo) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	for _, s := range d.servers {
		if s.Shutdown(ctx) != nil {
			_ = s.Close()
		}
	}
	if d.stop != nil {
		d.stop()
	}
	d.running.Wait()
}
