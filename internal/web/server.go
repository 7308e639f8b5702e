package web

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits of a connection. Together they bound what a slow or talkative client
// can hold (a stream sets deadlines of its own).
const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 90 * time.Second
	maxHeader     = 16 << 10 // net/http reads some KiB more; Front measures what it read
)

// DrainTime is how long requests may take to end after a server was told to stop.
const DrainTime = 10 * time.Second

// Server serves one handler on one or more listeners.
type Server struct {
	http     http.Server
	stopping chan struct{}
}

type stoppingKey struct{}

// NewServer returns a server; tlsConfig is nil for plain HTTP. What net/http
// has to complain about goes to log at level debug: it is clients' mistakes.
func NewServer(h http.Handler, tlsConfig *tls.Config, log *slog.Logger) *Server {
	s := &Server{stopping: make(chan struct{})}
	s.http = http.Server{
		Handler:           h,
		TLSConfig:         tlsConfig,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), stoppingKey{}, s.stopping)
		},
		ConnContext: withConn,
	}
	return s
}

// Serve answers on ln until ctx ends, then stops accepting and lets requests
// end for DrainTime. It closes ln. It returns nil after a complete drain.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	served := make(chan error, 1)
	ln = watchDeadlines(ln)
	go func() {
		if s.http.TLSConfig != nil {
			served <- s.http.ServeTLS(ln, "", "")
			return
		}
		served <- s.http.Serve(ln)
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	close(s.stopping)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), DrainTime)
	defer cancel()
	err := s.http.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(errors.New("requests were still running when the server had to stop"), s.http.Close())
	}
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// Stopping is closed when the server that answers this request begins to stop.
// Streams end then; other requests may finish. It is nil outside of a Server.
func Stopping(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(stoppingKey{}).(chan struct{})
	return c
}
