package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cardea-id/cardea/internal/web"
)

// Run starts the program and serves until ctx ends, then drains. It returns
// nil after an orderly end. ready, if not nil, is called with the address once
// requests are answered.
func (a *App) Run(ctx context.Context, ready func(net.Addr)) error {
	if err := a.Start(ctx); err != nil {
		return err
	}
	certs, err := a.Settings.Certificates()
	if err != nil {
		return err
	}
	var secure *tls.Config
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if certs != nil {
		secure = certs.Config()
		go certs.Watch(ctx, a.slog)
	}
	ln, err := net.Listen("tcp", a.Settings.Listen)
	if err != nil {
		return fmt.Errorf("%w (is another process serving there? choose another with --listen)", err)
	}
	var g errgroup.Group
	g.Go(func() error {
		// Streams never end of their own accord, so they are told first.
		context.AfterFunc(ctx, a.signals.Close)
		err := web.NewServer(a.Handler, secure, a.slog).Serve(ctx, ln)
		cancel(err)
		return err
	})
	if a.Settings.Metrics.Listen != "" {
		g.Go(func() error { return a.serveMetrics(ctx, cancel) })
	}
	g.Go(func() error {
		select {
		case err := <-a.DB.Failed():
			// Going on could acknowledge what the disk does not hold.
			a.slog.Error("the database can no longer promise that a commit is durable; stopping", "err", err)
			cancel(err)
			return err
		case <-ctx.Done():
			return nil
		}
	})
	a.slog.Info("serving", "issuer", a.Settings.Issuer, "listen", ln.Addr().String(), "database", a.DB.Engine().String(), "version", a.Version)
	if ready != nil {
		ready(ln.Addr())
	}
	return g.Wait()
}

// serveMetrics serves operators' tools on their own loopback address.
func (a *App) serveMetrics(ctx context.Context, cancel context.CancelCauseFunc) error {
	ln, err := net.Listen("tcp", a.Settings.Metrics.Listen)
	if err != nil {
		err = fmt.Errorf("metrics: %w", err)
		cancel(err)
		return err
	}
	s := &http.Server{Handler: a.metrics.handler(), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		cancel(err)
		return err
	}
	return nil
}
