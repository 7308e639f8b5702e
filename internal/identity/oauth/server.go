// Package oauth is the door through which clients come: OAuth 2.0 and OpenID
// Connect. One file for each endpoint, one for each grant type, one for each
// check of an authorization request and one for each way in which clients
// authenticate; routes.go lists them.
//
// It shows no pages: people are handed to package signin and come back through
// one address. It decides nothing about who is alive: every token passes the
// gate of package token.
package oauth

import (
	"net/http"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/approval"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/detail"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/registration"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/identity/trust"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// Options are what the door stands on. All are required but Locales.
type Options struct {
	DB          *db.DB
	Log         *audit.Log
	Ring        *keyring.Ring
	Principals  *principal.Directory
	Credentials *credential.Store
	Clients     *client.Registry
	Trust       *trust.Registry
	Grants      *grant.Store
	Tokens      *token.Gate
	Once        *once.Store
	Approvals   *approval.Store
	Pages       *signin.Server
	// Registrations are the clients that registered themselves.
	Registrations *registration.Registry
	Details       *detail.Registry
	Fetch         *web.Fetcher // for what clients and trusted issuers have elsewhere
	Realms        *realm.Registry
	Jobs          *job.Queue
	Notifier      Notifier
	Limiter       *web.Limiter // holds an address to RatePoll and RateDocument; nil: to nothing
	MTLS          MTLS
	Locales       []string // languages of the pages, for discovery
}

// Server answers the protocol's endpoints, for every realm.
type Server struct {
	db          *db.DB
	log         *audit.Log
	ring        *keyring.Ring
	principals  *principal.Directory
	credentials *credential.Store
	clients     *client.Registry
	trust       *trust.Registry
	grants      *grant.Store
	tokens      *token.Gate
	once        *once.Store
	approvals   *approval.Store
	pages       *signin.Server

	registrations *registration.Registry
	details       *detail.Registry
	fetch         *web.Fetcher
	realms        *realm.Registry
	jobs          *job.Queue
	notifier      Notifier
	limiter       *web.Limiter
	mtls          MTLS
	locales       []string

	fetched   fetchedSets
	documents *cache.Cache[*document]
	rooms     sync.Pool // of *answerRoom
}

// New returns the door. Call it before anything is started.
func New(o Options) *Server {
	s := &Server{
		db: o.DB, log: o.Log, ring: o.Ring, principals: o.Principals, credentials: o.Credentials, clients: o.Clients, trust: o.Trust,
		grants: o.Grants, tokens: o.Tokens, once: o.Once, approvals: o.Approvals, pages: o.Pages, details: o.Details, registrations: o.Registrations, fetch: o.Fetch, mtls: o.MTLS, locales: o.Locales,
		realms: o.Realms, jobs: o.Jobs, notifier: o.Notifier, limiter: o.Limiter,
		documents: cache.New("discovery documents", 16<<20, 1<<20, func(d *document) int { return len(d.body) }),
	}
	s.jobs.Handle(job.Kind{Name: KindAsked, Do: s.tellAsked, Attempts: askedAttempts})
	s.jobs.Handle(job.Kind{Name: KindDecided, Do: s.tellDecided, Attempts: decidedAttempts})
	s.approvals.OnAsk(s.promiseAsked)
	s.approvals.OnDecide(s.promiseDecided)
	return s
}

func (s *Server) now() time.Time { return s.db.Now() }

// actor is who causes what a client's request changes.
func actor(r *http.Request, c *client.Client) audit.Actor {
	by := from(r)
	by.Kind, by.ID, by.Client = "client", c.ID, c.ID
	return by
}

// from is where a request comes from.
func from(r *http.Request) audit.Actor {
	by := audit.Actor{Kind: "anonymous"}
	if agent := r.Header["User-Agent"]; len(agent) > 0 {
		by.UserAgent = agent[0]
	}
	if len(by.UserAgent) > 200 {
		by.UserAgent = by.UserAgent[:200]
	}
	if ip := web.ClientIP(r.Context()); ip.IsValid() {
		by.IP = ip.String()
	}
	return by
}
