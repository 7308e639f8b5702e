// Package opa is the door to which agents of Open Policy Agent come, as they are:
// for a discovery bundle, for policies and facts by long polling, and with their
// status and decision logs. What is in them is package agent's business.
package opa

import (
	"context"
	"net/http"
	"time"

	"github.com/cardea-id/cardea/internal/access/agent"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// Scope is what an access token needs to act as an agent, and Path, behind the
// issuer, what its audience is.
const (
	Scope = "cardea:agent"
	Path  = "/opa/v1"
)

// Caller is the client that an agent is.
type Caller struct {
	Client string
	// Still refuses a credential that has died since.
	Still func(ctx context.Context) error
}

// Options is what the door is made of.
type Options struct {
	Authenticate func(w http.ResponseWriter, r *http.Request, rl *realm.Realm) (*Caller, error)
	Plane        *agent.Plane
	Limiter      *web.Limiter
}

// Rate classes: what agents of one client ask, and those who are refused, by
// address.
const (
	RateAgent   = "agent.ask"
	RateRefused = "agent.refused"
)

// Server is the door.
type Server struct {
	o         Options
	waiting   *Seats
	arriving  *Seats
	unpacking *Seats
	reading   *Seats
	closing   chan struct{}
}

// New returns the door.
func New(o Options) *Server {
	return &Server{o: o, waiting: NewSeats(maxWaiting), arriving: NewSeats(maxArrived), unpacking: NewSeats(maxUnpacking), reading: NewSeats(maxReading), closing: make(chan struct{})}
}

// Close ends the waiting of all agents. Call it once.
func (s *Server) Close() { close(s.closing) }

// Mount is the whole door at a glance.
func (s *Server) Mount(root *web.Mux) {
	m := root.Door("opa", web.Problem)
	m.Handle("GET "+Path+"/discovery.tar.gz", s.bundle(s.discovery))
	m.Handle("GET "+Path+"/bundles/policy.tar.gz", s.bundle(s.policy))
	m.Handle("GET "+Path+"/bundles/facts.tar.gz", s.bundle(s.facts))
	m.Handle("POST "+Path+"/status", s.status)
	m.Handle("POST "+Path+"/logs", s.logs)
}

func (s *Server) admit(w http.ResponseWriter, r *http.Request) (*realm.Realm, *Caller, error) {
	return Admit(w, r, s.o.Authenticate, s.o.Limiter)
}

// Admit finds out who calls, and holds each client to its rate.
func Admit(w http.ResponseWriter, r *http.Request, authenticate func(http.ResponseWriter, *http.Request, *realm.Realm) (*Caller, error), limiter *web.Limiter) (*realm.Realm, *Caller, error) {
	rl := realm.From(r.Context())
	if rl == nil {
		return nil, nil, fault.New(fault.NotFound, "not_found", "there is nothing at this address")
	}
	c, err := authenticate(w, r, rl)
	if err != nil {
		if fault.Is(err, fault.Unauthenticated) {
			w.Header().Set("WWW-Authenticate", web.Challenge("Bearer", "realm", rl.Issuer, "scope", Scope))
		}
		if limiter != nil && (fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Forbidden)) {
			if wait, ok := limiter.AllowAddr(RateRefused, web.ClientIP(r.Context())); !ok {
				return nil, nil, tooMany(wait)
			}
		}
		return nil, nil, err
	}
	web.Note(r.Context(), "client", c.Client)
	if limiter != nil {
		if wait, ok := limiter.Allow(RateAgent, web.Names{rl.Name, c.Client}); !ok {
			return nil, nil, tooMany(wait)
		}
	}
	return rl, c, nil
}

func tooMany(wait time.Duration) error {
	return fault.New(fault.TooMany, "too_many_requests", "too many requests, wait a moment").WithRetry(wait)
}
