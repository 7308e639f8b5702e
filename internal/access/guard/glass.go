package guard

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/access/builtin"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// The events of breaking the glass.
const (
	Broken = "glass.break"
	Mended = "glass.mend"
)

// brokenID stands where the id of a policy does, while the glass is broken.
const brokenID = builtin.Namespace + "::break-glass"

// MaxBroken is how long the glass is broken at most.
const MaxBroken = 24 * time.Hour

// Glass is whether the policies that a realm adds are set aside.
type Glass struct {
	Since, Until time.Time // zero: it was never broken
	Reason       string
}

// Open reports whether the glass is broken at a time.
func (g Glass) Open(now time.Time) bool { return now.Before(g.Until) }

// Break sets a realm's policies about administration aside for a while. When it
// returns, every node does so. Whoever can call it has the database.
func (g *Guard) Break(ctx context.Context, realm string, span time.Duration, reason string) (glass Glass, err error) {
	switch {
	case span <= 0 || span > MaxBroken:
		return glass, fault.New(fault.Invalid, "span_invalid", "the glass is broken for at most %s", MaxBroken)
	case strings.TrimSpace(reason) == "" || len(reason) > 500 || !utf8.ValidString(reason) || strings.ContainsFunc(reason, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return glass, fault.New(fault.Invalid, "reason_invalid", "say why, in at most 500 printable characters; it is in the event log")
	}
	err = g.o.DB.Update(ctx, realm, func(tx *db.Tx) error {
		glass = Glass{Since: tx.Now, Until: tx.Now.Add(span), Reason: reason}
		if err := putGlass(tx, glass); err != nil {
			return err
		}
		audit.Append(tx, audit.System, audit.Event{Action: Broken, TargetType: "glass", Target: realm, Invalidates: true,
			Data: map[string]any{"until": glass.Until.UTC().Format(time.RFC3339), "reason": reason}})
		return nil
	})
	return glass, err
}

// Mend lets all policies count again. It is no error if they do.
func (g *Guard) Mend(ctx context.Context, realm string) error {
	return g.o.DB.Update(ctx, realm, func(tx *db.Tx) error {
		glass, err := glassOf(tx)
		if err != nil {
			return err
		}
		if !glass.Open(tx.Now) {
			audit.Barrier(tx)
			return nil
		}
		glass.Until = tx.Now
		if err := putGlass(tx, glass); err != nil {
			return err
		}
		audit.Append(tx, audit.System, audit.Event{Action: Mended, TargetType: "glass", Target: realm, Invalidates: true, Data: map[string]any{"reason": glass.Reason}})
		return nil
	})
}
