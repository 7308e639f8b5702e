package oauth

import "github.com/cardea-id/cardea/internal/identity/approval"

// deviceGrant gives a device what a person allowed elsewhere (RFC 8628, section
// 3.4).
type deviceGrant struct{}

func (deviceGrant) prove(s *Server, a *asking) (proved, error) {
	return s.proveApproval(a, approval.Device, "device_code")
}
