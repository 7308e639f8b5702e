package api

import (
	"context"
	"net/http"
	"time"

	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
)

// What the pages of the console do is what operations of this door do, so it is
// judged here, by the same rules and rates. See docs/decisions/0113.

// Visitor is somebody whose browser is signed in to a realm.
type Visitor struct {
	Realm    *realm.Realm
	By       audit.Actor
	ACR      string // what the sign-in counts for now
	AuthTime time.Time
}

// Visit finds out which operator a visitor is. It is fault.Forbidden for somebody
// who is none.
func (s *Server) Visit(ctx context.Context, v Visitor) (*Caller, error) {
	o, err := s.Operators.ByPrincipal(ctx, v.Realm.Name, v.By.ID)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.Forbidden, "not_an_operator", "only operators of this realm may ask")
	}
	if err != nil {
		return nil, err
	}
	return &Caller{Realm: v.Realm, Role: o.Role, By: v.By, acr: v.ACR, authTime: v.AuthTime}, nil
}

// CodeStepUp is the fault of a sign-in that is too old or too weak.
const CodeStepUp = "insufficient_user_authentication"

// Admit lets a visitor do what an operation does, or refuses it as the door would
// refuse the operation: by rate, by role, by policies, and by how recent and strong
// the sign-in is. An operation that there is not is refused.
func (s *Server) Admit(r *http.Request, c *Caller, operation string) error {
	o, ok := s.operation(operation)
	if !ok {
		return fault.New(fault.Forbidden, "not_permitted", "there is no operation %s", operation)
	}
	if err := s.authorize(r, c, o.gate); err != nil {
		return err
	}
	return s.fresh(c, o.Operation, false)
}

// May reports whether the role of a visitor permits an operation at all. It is for
// what pages offer; what is done takes Admit.
func (s *Server) May(c *Caller, operation string) bool {
	o, ok := s.operation(operation)
	return ok && c.Role.May(o.Permission)
}

// SeesPeople reports whether a visitor may read who people are.
func (c *Caller) SeesPeople() bool { return c.Role.May(operator.UsersRead) }

func (s *Server) operation(id string) (*mounted, bool) {
	for _, m := range s.operations {
		if m.ID == id {
			return m, true
		}
	}
	return nil, false
}
