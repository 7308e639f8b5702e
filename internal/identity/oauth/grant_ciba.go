package oauth

import (
	"github.com/cardea-id/cardea/internal/identity/approval"
	"github.com/cardea-id/cardea/internal/identity/client"
)

// cibaGrant gives a client what a person allowed who was asked by the back
// channel (CIBA, section 10.1).
type cibaGrant struct{}

func (cibaGrant) prove(s *Server, a *asking) (proved, error) {
	if a.caller.DeliveryMode == client.Push {
		return proved{}, refuse("unauthorized_client", "the client is registered for push and does not ask")
	}
	return s.proveApproval(a, approval.Backchannel, "auth_req_id")
}
