// Package guard asks the policies about Cardea's own administration: the built-in
// ones, and those that a realm adds in its policy folder, which only forbid. It
// fails closed: what cannot be judged is refused, and whoever has locked everybody
// out breaks the glass on the server's machine, after which, for a while, the
// built-in policies count alone.
package guard

import (
	"context"
	"log/slog"
	"time"

	"github.com/cardea-id/cardea/internal/access/builtin"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// Options are what the guard stands on.
type Options struct {
	DB  *db.DB
	Log *audit.Log
	// Policies reads the built-in policies with those of the transaction's realm, nil
	// if it adds none. broken says why what it adds cannot be used.
	Policies func(tx *db.Tx) (set *policy.Set, broken, err error)
	// Applied reports whether an event gives its realm other policies.
	Applied func(e audit.Record) bool
	// Snapshot is a realm's facts, at least as new as min, for one question.
	Snapshot func(ctx context.Context, realm string, min audit.Position, q *policy.Question) (*policy.Snapshot, audit.Position, error)
	Logger   *slog.Logger
}

// Guard knows the policies about each realm's administration, from memory.
type Guard struct {
	o     Options
	alone *policy.Snapshot // the built-in policies, which rest on no facts
	held  *cache.Cache[*held]
}

// held is what counts in a realm.
type held struct {
	set    *policy.Set // nil: the realm adds nothing
	broken error
	glass  Glass
}

// New returns the guard. Call it before the log is started.
func New(o Options) (*Guard, error) {
	set, err := builtin.Alone()
	if err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	g := &Guard{o: o, alone: policy.NewSnapshot(set, graph.Empty(), 0), held: cache.New("guard", 4<<20, 1<<20, func(*held) int { return 512 })}
	o.Log.Follow("guard", g.follow, g.held.DropAll)
	return g, nil
}

const only = "policies" // the one key of a realm

func (g *Guard) follow(r audit.Record) {
	switch {
	case r.Action == "realm.delete":
		g.held.DropRealm(r.Target)
	case r.Action == Broken || r.Action == Mended:
		g.held.Drop(r.Realm, only)
		g.o.Logger.Warn("the glass over the policies about administration", "event", r.Action, "realm", r.Realm, "reason", r.Data["reason"], "until", r.Data["until"])
	case g.o.Applied(r):
		g.held.Drop(r.Realm, only)
	}
}

func (g *Guard) of(ctx context.Context, realm string) (*held, error) {
	return g.held.Get(realm, only, func() (*held, error) {
		h := &held{}
		err := g.o.DB.View(ctx, realm, func(tx *db.Tx) (err error) {
			if h.set, h.broken, err = g.o.Policies(tx); err != nil {
				return err
			}
			h.glass, err = glassOf(tx)
			return err
		})
		return h, err
	})
}

// Adds reports whether a realm adds policies that count now.
func (g *Guard) Adds(ctx context.Context, realm string) (bool, error) {
	h, err := g.of(ctx, realm)
	return err == nil && (h.set != nil || h.broken != nil) && !h.glass.Open(g.o.DB.Now()), err
}

// Policies are the policies that count about a realm's administration, broken if
// those that it adds cannot be used.
func (g *Guard) Policies(ctx context.Context, realm string) (set *policy.Set, glass Glass, broken, err error) {
	h, err := g.of(ctx, realm)
	if err != nil {
		return nil, Glass{}, nil, err
	}
	if h.set == nil || h.glass.Open(g.o.DB.Now()) {
		return g.alone.Set(), h.glass, h.broken, nil
	}
	return h.set, h.glass, h.broken, nil
}

// patience is how long a question waits for what its token may rest on.
const patience = 300 * time.Millisecond

// Judge answers whether an operation may be done, on facts of min or later. An
// error permits nothing.
func (g *Guard) Judge(ctx context.Context, realm string, min audit.Position, q *policy.Question) (policy.Answer, error) {
	if g.o.Log.Applied().Before(min) {
		soon, cancel := context.WithTimeout(ctx, patience)
		err := g.o.Log.WaitApplied(soon, min)
		cancel()
		if err != nil {
			return policy.Answer{}, fault.New(fault.Unavailable, "revision_unreached", "this node does not know yet what your token rests on; try again").WithRetry(time.Second)
		}
	}
	h, err := g.of(ctx, realm)
	if err != nil {
		return policy.Answer{}, err
	}
	switch open := h.glass.Open(g.o.DB.Now()); {
	case open && (h.set != nil || h.broken != nil):
		a := policy.Decide(g.alone, q)
		a.Reasons = append(a.Reasons, policy.Reason{Policy: brokenID, Text: "the glass is broken until " + h.glass.Until.UTC().Format(time.RFC3339) + ": of the policies about administration only the built-in ones count"})
		return a, nil
	case h.broken != nil:
		return policy.Answer{}, fault.New(fault.Unavailable, policy.CodeBroken,
			"the realm's policies about administration cannot be used, so nothing is permitted: %s; on the server's machine: cardea break-glass --realm %s", h.broken, realm)
	case h.set == nil:
		return policy.Decide(g.alone, q), nil
	}
	facts, _, err := g.o.Snapshot(ctx, realm, min, q)
	if err != nil {
		return policy.Answer{}, err
	}
	if facts == nil {
		return policy.Answer{}, fault.New(fault.Unavailable, "facts_unknown", "the facts that the realm's policies rest on are not known here; try again").WithRetry(time.Second)
	}
	return policy.Decide(facts.With(h.set), q), nil
}
