// Package api is the door for operators: JSON over HTTP for the command line,
// the console and programs. It turns requests into calls of the cores and has
// no rules of its own but one: every operation declares who may ask, which
// event it leaves and how it is limited, or it does not exist.
package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/access/agent"
	"github.com/cardea-id/cardea/internal/access/guard"
	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/config"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/detail"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/identity/letter"
	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/registration"
	"github.com/cardea-id/cardea/internal/identity/risk"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/terms"
	"github.com/cardea-id/cardea/internal/identity/trust"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// Options is what the door stands on.
type Options struct {
	// Authenticate reads an access token of a realm. It answers from memory and
	// refuses, with a fault, a token that is not alive in every respect or is
	// presented in another way than it is bound. w takes headers of the answer.
	Authenticate func(w http.ResponseWriter, r *http.Request, rl *realm.Realm, p Presented) (Token, error)

	Now         func() time.Time // of the database
	Log         *audit.Log
	Limiter     *web.Limiter // with the classes of Limits; nil limits nothing
	Realms      *realm.Registry
	Operators   *operator.Registry
	Desk        *life.Desk
	Terms       *terms.Registry
	Policies    *version.Registry
	Agents      *agent.Plane
	AgentConfig func(*realm.Realm) (wire.AgentConfig, error)
	People      *principal.Directory
	Credentials *credential.Store
	Sessions    *session.Store
	Clients     *client.Registry
	Trust       *trust.Registry
	Details     *detail.Registry
	Registered  *registration.Registry
	Keys        *keyring.Ring
	Grants      *grant.Store
	Answers     *once.Answers
	Jobs        *job.Queue
	Facts       *relation.Store
	Risk        *risk.Guard
	Letters     *letter.Letters
	Journal     *journal.Journal
	Guard       *guard.Guard // asks the policies about this API itself
	// Note writes down a decision. It never waits.
	Note func(rl *realm.Realm, e *journal.Entry)
	// Snapshot is what access is judged on: for one question, or, where there is
	// none, for all. It is nil for a realm without policies.
	Snapshot func(ctx context.Context, realm string, min audit.Position, q *policy.Question) (*policy.Snapshot, audit.Position, error)
}

// Server is the door.
type Server struct {
	Options
	mux        *web.Mux
	operations []*mounted
	samples    samples
	document   func() *huma.OpenAPI // made when it is first asked for
}

// New mounts the door's routes into m.
func New(m *web.Mux, o Options) *Server {
	s := &Server{Options: o}
	s.mux = m.Door("admin", s.fail)
	s.routes()
	s.document = sync.OnceValue(s.describe)
	return s
}

// Operations lists what the door answers.
func (s *Server) Operations() []Operation {
	list := make([]Operation, len(s.operations))
	for i, m := range s.operations {
		list[i] = m.Operation
	}
	return list
}

// Limits are the rate classes of the door, for the limiter of the house.
func Limits(r config.Rates) map[string]web.Limit {
	limit := func(r config.Rate) web.Limit { return web.Limit{Rate: r.PerSecond(), Burst: max(1, r.Count/6)} }
	return map[string]web.Limit{
		string(Reading):  limit(r.AdminRead),
		string(Changing): limit(r.AdminWrite),
		string(Secret):   limit(r.AdminSecret),
		string(refused):  limit(r.AdminRefused),
	}
}
