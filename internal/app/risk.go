package app

import (
	"maps"
	"net/netip"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/letter"
	"github.com/cardea-id/cardea/internal/identity/risk"
)

// tellRisk writes to somebody about whose account something looks wrong.
func (a *App) tellRisk(tx *db.Tx, n risk.Notice) error {
	data := maps.Clone(n.Finding.Args)
	data["reason"], data["device"], data["place"] = n.Finding.Reason, n.UserAgent, n.IP
	if addr, err := netip.ParseAddr(n.IP); err == nil {
		if country := a.Places.Place(addr).Country; country != "" {
			data["place"] = n.IP + " (" + country + ")"
		}
	}
	kind := "risk_notice"
	switch {
	case n.Revoked:
		data["then"] = "risk.then.revoked"
	case n.Locked:
		data["then"] = "risk.then.locked"
	case n.Finding.Detector == risk.NewDevice:
		kind = "new_device"
	}
	return a.Letters.SendTx(tx, letter.Letter{Kind: kind, Principal: n.Principal, Data: data})
}
