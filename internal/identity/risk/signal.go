package risk

import (
	"context"
	"maps"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

// signal is a finding about somebody or a network.
type signal struct {
	Finding
	principal string // "" for one about a network
	network   string // its hash
	shown     string // the network, as operators know it
	quiet     bool   // the person is told of something else already
}

// raise does what the realm decided for a finding, all in this transaction. The
// end of sessions and grants, which are dead by it, is told by ended.
func (g *Guard) raise(tx *db.Tx, by audit.Actor, s realm.Settings, f signal) (done Action, ended bool, err error) {
	done = actionFor(s, f.Detector)
	if done == Off {
		return Off, false, nil
	}
	subject, kind, lasts := f.principal, "principal", holdPerson
	if subject == "" {
		subject, kind, lasts = f.network, "network", holdNetwork
	}
	data := map[string]any{"detector": f.Detector, "reason": f.Reason, "action": done.String(), "args": maps.Clone(f.Args)}
	if f.shown != "" {
		data["network"] = f.shown
	}
	n := Notice{Principal: f.principal, Finding: f.Finding, IP: by.IP, UserAgent: by.UserAgent}
	if done >= Lock {
		if n.Incident, err = Open(tx, by, Report{Principal: f.principal, Network: networkOnly(f), Finding: f.Finding}); err != nil {
			return done, false, err
		}
		data["incident"] = n.Incident
	}
	if done >= Slow || f.principal == "" {
		if err := putHold(tx, hold{subject: subject, detector: f.Detector, action: done, incident: n.Incident, until: tx.Now.Add(lasts)}); err != nil {
			return done, false, err
		}
		n.Locked = done >= Lock
	}
	audit.Append(tx, by, audit.Event{Action: "risk.signal", TargetType: kind, Target: subject, Data: data})
	if f.principal == "" {
		return done, false, nil
	}
	if done == Revoke {
		if err := principal.EndEraTx(tx, by, f.principal, "risk "+f.Detector); err != nil {
			return done, false, err
		}
		n.Revoked = true
	}
	if g.Tell != nil && !f.quiet && Tells(f.Detector) {
		if err := g.Tell(tx, n); err != nil {
			return done, n.Revoked, err
		}
	}
	return done, n.Revoked, nil
}

func networkOnly(f signal) string {
	if f.principal != "" {
		return ""
	}
	return f.network
}

// demandProof has the next sign-in of a person reach the second level, for what
// was found when nobody was signing in.
func demandProof(tx *db.Tx, principal, detector string) error {
	return putHold(tx, hold{subject: principal, detector: detector, action: StepUp, until: tx.Now.Add(holdProof)})
}

// finish ends what hangs on a person whose era was ended.
func (g *Guard) finish(ctx context.Context, by audit.Actor, realm, id string, err error) error {
	return g.Grants.FinishSignOut(ctx, by, realm, id, "risk", err)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
