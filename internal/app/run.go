package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/web"
)

// Run starts the program and serves until ctx ends, then drains. It returns
// nil after an orderly end. ready, if not nil, is called with the address once
// requests are answered.
func (a *App) Run(ctx context.Context, ready func(net.Addr)) error {
	tuneMemory()
	if err := a.Start(ctx); err != nil {
		return err
	}
	certs, err := a.Settings.Certificates()
	if err != nil {
		return err
	}
	var secure *tls.Config
	ctx, stop := context.WithCancelCause(ctx) // nil is an orderly end
	defer stop(nil)
	if certs != nil {
		secure = certs.Config()
		if a.Settings.MTLS.Request {
			secure = certs.Asking()
		}
		go certs.Watch(ctx, a.Again, a.slog)
	}
	ln, err := net.Listen("tcp", a.Settings.Listen)
	if err != nil {
		return fmt.Errorf("%w (is another process serving there? choose another with --listen)", err)
	}
	var wg sync.WaitGroup
	// Streams never end of their own accord, so they are told first.
	context.AfterFunc(ctx, a.signals.Close)
	context.AfterFunc(ctx, a.edges.Close)
	context.AfterFunc(ctx, a.opa.Close)
	context.AfterFunc(ctx, a.opal.Close)
	wg.Go(func() { stop(web.NewServer(a.Handler, secure, a.slog).Serve(ctx, ln)) })
	if a.Settings.MTLS.Listen != "" && certs != nil {
		asking, err := net.Listen("tcp", a.Settings.MTLS.Listen)
		if err != nil {
			return fmt.Errorf("mtls.listen: %w", err)
		}
		wg.Go(func() { stop(web.NewServer(a.Handler, certs.Asking(), a.slog).Serve(ctx, asking)) })
	}
	if a.Settings.Metrics.Listen != "" {
		wg.Go(func() {
			if err := a.serveMetrics(ctx); err != nil {
				stop(fmt.Errorf("metrics: %w", err))
			}
		})
	}
	wg.Go(func() {
		select {
		case err := <-a.DB.Failed():
			stop(fmt.Errorf("the database can no longer promise that a commit is durable: %w", err))
		case <-ctx.Done():
		}
	})
	a.slog.Info("serving", "issuer", a.Settings.Issuer, "listen", ln.Addr().String(), "database", a.DB.Engine().String(), "version", a.Version)
	if ready != nil {
		ready(ln.Addr())
	}
	wg.Go(func() {
		a.Prepare(ctx)
		debug.FreeOSMemory() // what only the start needed
	})
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// lately is how much of the end of the log says which realms are in use.
const lately = 1000

// Prepare reads what the first requests for the realms in use would wait for. What
// it cannot read they read, and say what is wrong.
func (a *App) Prepare(ctx context.Context) {
	realms, err := a.Log.Lately(ctx, lately)
	for _, name := range realms {
		if a.live(ctx, name) {
			err = errors.Join(err, a.Grants.Status.Prepare(ctx, name), a.Snapshots.Prepare(ctx, name))
		}
	}
	if err != nil && ctx.Err() == nil {
		a.slog.Warn("not all is read that first requests need; they read it", "err", err)
	}
}

// tuneMemory lets the heap grow further between collections than Go does by
// itself. What lives is small (some ten megabytes), so the default would collect
// many times a second under load for the sake of memory that nobody misses.
// GOGC, if set, decides.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// serveMetrics serves operators' tools on their own loopback address.
func (a *App) serveMetrics(ctx context.Context) error {
	ln, err := net.Listen("tcp", a.Settings.Metrics.Listen)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: a.meters.handler(), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
