package app

import (
	"context"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// killAgain does once more what ended in the minutes before a failover. Status
// bits, cut-offs and single tokens the log tells again by itself; this puts
// right the rows of a database that may have lost those ends (P-10). Ending
// what has ended is harmless. What cannot be ended again is said, not hidden.
func (a *App) killAgain(ctx context.Context, _ int64, recent []audit.Record) {
	for i, r := range recent {
		if undone(r, recent[i+1:]) {
			continue
		}
		if err := a.endAgain(ctx, r); err != nil && !fault.Is(err, fault.NotFound) {
			a.slog.Error("after a failover: this end could not be repeated", "realm", r.Realm, "action", r.Action, "target", r.Target, "err", err)
		}
	}
}

func (a *App) endAgain(ctx context.Context, r audit.Record) error {
	const why = "repeated after a failover"
	by := audit.System
	switch r.Action {
	case "session.end":
		return a.Sessions.End(ctx, by, r.Realm, r.Target, why)
	case "session.end_all":
		ids, _ := r.Data["sessions"].(string)
		for id := range strings.FieldsSeq(ids) {
			if err := a.Sessions.End(ctx, by, r.Realm, id, why); err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
		}
	case principal.SignOut:
		return a.Grants.SignOutEverywhere(ctx, by, r.Realm, r.Target, why)
	case "principal.suspend":
		return a.Grants.SuspendPrincipal(ctx, by, r.Realm, r.Target, why, nil)
	case "principal.delete":
		return a.Grants.DeletePrincipal(ctx, by, r.Realm, r.Target, why, nil)
	case "credential.revoke":
		return a.Grants.RevokeCredential(ctx, by, r.Realm, r.Target, why, nil)
	case "consent.revoke":
		person, client, _ := strings.Cut(r.Target, " ")
		return a.Grants.RevokeConsent(ctx, by, r.Realm, person, client, why)
	case "grant.revoke":
		return a.Grants.Revoke(ctx, by, r.Realm, r.Target, why)
	case "client.disable":
		return a.disableAgain(ctx, by, r)
	}
	return nil
}

// undone reports whether an end that can be taken back was.
func undone(r audit.Record, later []audit.Record) bool {
	back := map[string]string{"principal.suspend": "principal.activate", "client.disable": "client.enable"}[r.Action]
	return back != "" && slices.ContainsFunc(later, func(l audit.Record) bool {
		return l.Action == back && l.Realm == r.Realm && l.Target == r.Target
	})
}

func (a *App) disableAgain(ctx context.Context, by audit.Actor, r audit.Record) error {
	c, err := a.Clients.ByID(ctx, r.Realm, r.Target)
	if err != nil {
		return err
	}
	return a.Grants.DisableClient(ctx, by, r.Realm, r.Target, c.Version, nil)
}
