package opa

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/access/agent"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

const (
	mediaBundle = "application/vnd.openpolicyagent.bundles"
	maxWait     = 5 * time.Minute
	maxWaiting  = 20_000      // agents at a node
	writeLimit  = time.Minute // for a bundle to be taken
)

// asked is what an agent has and what it takes.
type asked struct {
	realm *realm.Realm
	tag   string
	delta bool
}

// fetch gives what the agent does not have, nil if it has it all.
type fetch func(ctx context.Context, a asked) (*agent.Bundle, error)

func (s *Server) discovery(ctx context.Context, a asked) (*agent.Bundle, error) {
	return s.o.Plane.Discovery(ctx, a.realm.Name, a.realm.Issuer, a.realm.Settings.DecisionLog > 0, a.tag)
}

func (s *Server) policy(ctx context.Context, a asked) (*agent.Bundle, error) {
	return s.o.Plane.Policy(ctx, a.realm.Name, a.realm.Issuer, a.tag)
}

func (s *Server) facts(ctx context.Context, a asked) (*agent.Bundle, error) {
	return s.o.Plane.Facts(ctx, a.realm.Name, a.tag, a.delta)
}

// preferred reads what an agent prefers (RFC 7240, in the words of OPA's bundle
// protocol): modes=snapshot,delta;wait=30.
func preferred(h http.Header) (delta bool, wait time.Duration) {
	for _, line := range h.Values("Prefer") {
		for part := range strings.SplitSeq(line, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch strings.ToLower(name) {
			case "modes":
				for mode := range strings.SplitSeq(value, ",") {
					delta = delta || strings.TrimSpace(mode) == "delta"
				}
			case "wait":
				if n, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && n > 0 {
					wait = min(time.Duration(min(n, 1<<20))*time.Second, maxWait)
				}
			}
		}
	}
	return delta, wait
}

// tagOf is the first entity tag that an agent has.
func tagOf(h http.Header) string {
	tag, _, _ := strings.Cut(h.Get("If-None-Match"), ",")
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
}

// bundle answers with what an agent does not have, as soon as there is something,
// or with 304 when it has waited as long as it wanted.
func (s *Server) bundle(get fetch) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		rl, c, err := s.admit(w, r)
		if err != nil {
			return err
		}
		a := asked{realm: rl, tag: tagOf(r.Header)}
		var wait time.Duration
		a.delta, wait = preferred(r.Header)
		b, waited, err := s.await(w, r, a, wait, get)
		if err != nil {
			return err
		}
		if waited {
			if err := c.Still(r.Context()); err != nil {
				return err
			}
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Type", mediaBundle)
		if b == nil {
			h.Set("ETag", `"`+a.tag+`"`)
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		h.Set("ETag", `"`+b.Tag+`"`)
		h.Set("Content-Length", strconv.Itoa(len(b.Body)))
		rc := http.NewResponseController(w)
		guard := time.AfterFunc(writeLimit, func() { _ = rc.SetWriteDeadline(time.Unix(1, 0)) })
		defer guard.Stop()
		_, _ = w.Write(b.Body) // an error is an agent that is gone
		return nil
	}
}

// await gets what the agent does not have, waiting for it as long as it wants to.
func (s *Server) await(w http.ResponseWriter, r *http.Request, a asked, wait time.Duration, get fetch) (b *agent.Bundle, waited bool, err error) {
	changed := s.o.Plane.Changed(a.realm.Name)
	if b, err = get(r.Context(), a); b != nil || err != nil || wait == 0 {
		return b, false, err
	}
	if !s.waiting.Take(a.realm.Name) {
		return nil, false, fault.New(fault.Unavailable, "too_many_waiting", "too many agents wait at this node").WithRetry(10 * time.Second)
	}
	defer s.waiting.Leave(a.realm.Name)
	if err := patient(w); err != nil {
		return nil, false, err
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		select {
		case <-changed:
		case <-over.C:
			return nil, true, nil
		case <-s.closing:
			return nil, true, nil
		case <-web.Stopping(r.Context()):
			return nil, true, nil
		case <-r.Context().Done():
			return nil, true, r.Context().Err()
		}
		changed = s.o.Plane.Changed(a.realm.Name)
		if b, err = get(r.Context(), a); b != nil || err != nil {
			return b, true, err
		}
	}
}

// patient takes the deadlines of the connection away, which are for those who are
// slow and not for those who wait.
func patient(w http.ResponseWriter) error {
	rc := http.NewResponseController(w)
	err := errors.Join(rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{}))
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}
