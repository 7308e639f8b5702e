package grant

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
)

// ancestor is what grants hang on.
type ancestor struct {
	Kind   string // principal, session, credential, consent, client or grant
	ID     string // of a consent: the principal
	Client string // of a consent
}

// beneath are the statements that kill what hangs on an ancestor. Grants below
// other grants share their principal, session and offline access, so only the
// other kinds need to look for them. What somebody does for another hangs on
// both.
var beneath = map[string][]func(*db.Tx) string{
	"principal":  {as(underPrincipal), as(underActor), belowThose(`actor = $4 AND actor <> '' AND $5 = ''`)},
	"session":    {as(underSession)},
	"credential": {as(underCredential), belowThose(`credential = $4 AND $5 = ''`)},
	"consent":    {as(underConsent), belowThose(`principal = $4 AND client = $5 AND consent`)},
	"client":     {belowClient}, // in parts: what was granted to it directly died with the cut-off
	"grant":      {belowGrant},
}

// killChunk is how many grants one transaction kills.
const killChunk = 10_000

// endBelow kills the grants under an ancestor whose death has committed. Grants
// born meanwhile are found, since whoever proved the ancestor alive did so
// before its death and holds it until the grant is there to be seen.
//
// Each chunk is one event that names the ancestor with the count and hash of
// its dead so far; the last one tells the whole toll.
func (s *Store) endBelow(ctx context.Context, by audit.Actor, realm string, a ancestor, reason string) error {
	killed, err := s.killBelow(ctx, by, realm, a, reason)
	if err != nil || killed > 0 {
		return err
	}
	return s.db.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		audit.Barrier(tx)
		return nil
	})
}

// killBelow is endBelow without waiting where there is nothing left to kill. It
// returns how many it killed.
func (s *Store) killBelow(ctx context.Context, by audit.Actor, realm string, a ancestor, reason string) (int, error) {
	var sofar toll
	for _, statement := range beneath[a.Kind] {
		after := "" // of the client's grants
		for more := true; more; {
			var killed []casualty
			var now toll
			var rest string
			err := s.db.UpdateRC(ctx, realm, func(tx *db.Tx) (err error) {
				if a.Kind == "client" {
					killed, rest, err = killUnderClient(tx, a.ID, after, reason, s.chunk)
				} else {
					killed, err = killUnder(tx, statement(tx), a, reason, s.chunk)
				}
				if err != nil || len(killed) == 0 {
					return err
				}
				now = sofar.with(killed)
				audit.Append(tx, by, now.event(a, reason, killed))
				return nil
			})
			if err != nil {
				return sofar.count, err
			}
			if len(killed) > 0 {
				sofar = now
			}
			if more = len(killed) == s.chunk; !more && rest != "" {
				more, after = true, rest
			}
		}
	}
	return sofar.count, nil
}

// toll counts the dead of one ancestor.
type toll struct {
	count int
	sum   [sha256.Size]byte
}

// with adds a chunk: its ids in order, hashed after the sum so far.
func (t toll) with(killed []casualty) toll {
	ids := make([]string, len(killed))
	for i, k := range killed {
		ids[i] = k.id
	}
	slices.Sort(ids)
	return toll{t.count + len(ids), sha256.Sum256(append(t.sum[:], strings.Join(ids, "\n")...))}
}

func (t toll) event(a ancestor, reason string, killed []casualty) audit.Event {
	e := audit.Event{Action: "grant.cascade", TargetType: a.Kind, Target: a.ID, Invalidates: true, Data: map[string]any{
		"reason": reason, "count": t.count, "sha256": base64.RawURLEncoding.EncodeToString(t.sum[:])}}
	if a.Client != "" {
		e.Data["client"] = a.Client
	}
	for _, k := range killed {
		e.Deaths = append(e.Deaths, k.bits...)
	}
	return e
}
