package oauth

import "github.com/cardea-id/cardea/internal/identity/approval"

// cibaGrant gives a client what a person allowed who was asked by the back
// channel (CIBA, section 10.1).
type cibaGrant struct{}

func (cibaGrant) prove(s *Server, a *asking) (proved, error) {
	return s.proveApproval(a, approval.Backchannel, "auth_req_id")
}
