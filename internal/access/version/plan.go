package version

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/access/builtin"
	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// Plan is what a folder would do if it were applied: whether it can be, how it
// differs, and who gains and who loses what they asked for in the last days.
type Plan struct {
	Base     int64  // the version that counts now; 0: there is none
	BaseHash string // of what that decides
	Policy   string // hash of what the folder decides, "" while it has problems
	// Hash names the outcome: apply can require it. It changes when the folder,
	// the version it is compared with, whom it changes something for, or by which
	// policies, does.
	Hash        string
	Problems    folder.Problems
	Report      *folder.Report // nil while there are problems
	Differences []folder.Difference
	Replay      Replay
	// AboutOwn says that there are policies about Cardea's own administration, before
	// or after. Own is the same of operators and Cardea's own administration, and LockedOut
	// are those of them who could change policies in some way, and could not in any
	// that was tried.
	AboutOwn  bool
	Own       Replay
	LockedOut []Operator
}

// OK reports whether the folder could be applied.
func (p *Plan) OK() bool { return len(p.Problems) == 0 && p.Report != nil && p.Report.OK() }

// The bounds of replays.
const (
	Window    = 7 * 24 * time.Hour // unless another is asked for
	maxWindow = 366 * 24 * time.Hour
	maxReplay = 2_000_000 // decisions, the newest first
	maxTime   = 25 * time.Second
)

// Plan says what a folder would do. window is how far to look back; 0 is Window.
func (r *Registry) Plan(ctx context.Context, realm string, files folder.Files, window time.Duration) (*Plan, error) {
	f, problems := folder.Read(files)
	if len(problems) == 0 {
		return r.plan(ctx, realm, f, window)
	}
	base, before, err := r.base(ctx, realm)
	if err != nil {
		return nil, err
	}
	p := &Plan{Problems: problems, Differences: folder.Diff(before, f)}
	if base != nil {
		p.Base, p.BaseHash = base.Number, base.Hash
	}
	return p, nil
}

// base is what a folder is compared with; both are nil in a realm without policy.
func (r *Registry) base(ctx context.Context, realm string) (v *Version, f *folder.Folder, err error) {
	var files folder.Files
	err = r.DB.View(ctx, realm, func(tx *db.Tx) error {
		if v, err = newest(tx); err != nil || v == nil {
			return err
		}
		files, err = filesOf(tx, v.Number)
		return err
	})
	if v != nil && err == nil {
		f, _ = folder.Read(files)
	}
	return v, f, err
}

func (r *Registry) plan(ctx context.Context, realm string, f *folder.Folder, window time.Duration) (*Plan, error) {
	if window == 0 {
		window = Window
	}
	if window < 0 || window > maxWindow {
		return nil, fault.New(fault.Invalid, "days_invalid", "a plan looks back at most %d days", int(maxWindow.Hours()/24)).WithField("days", "is too far back")
	}
	// One of each realm waits among the others, so that whoever plans without end
	// holds up their own realm most.
	turn, _ := r.turns.LoadOrStore(realm, make(chan struct{}, 1))
	for _, place := range []chan struct{}{turn.(chan struct{}), r.plans} {
		select {
		case place <- struct{}{}:
			defer func() { <-place }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	v, before, err := r.base(ctx, realm)
	if err != nil {
		return nil, err
	}
	p := &Plan{Policy: f.Hash, Report: f.Run(), Differences: folder.Diff(before, f)}
	if v != nil {
		p.Base, p.BaseHash = v.Number, v.Hash
	}
	facts, err := r.Facts(ctx, realm)
	if err != nil {
		return nil, err
	}
	until := r.DB.Now()
	p.Replay.Since, p.Replay.Until = until.Add(-window), until
	p.Own.Since, p.Own.Until = p.Replay.Since, until
	if err := r.replay(ctx, realm, before, f, facts, p); err != nil {
		return nil, err
	}
	p.Hash = p.digest(contentOf(f.Files))
	return p, nil
}

// replay asks the decisions of the window again.
func (r *Registry) replay(ctx context.Context, realm string, before, after *folder.Folder, facts func(*policy.Set) *policy.Snapshot, p *Plan) error {
	own, err := startOwnReplay(before, after, facts)
	if err != nil {
		return err
	}
	run := startReplay(before, after, facts)
	if r.Decisions != nil {
		limited, cancel := context.WithTimeout(ctx, maxTime)
		defer cancel()
		n := 0
		err = r.Decisions(limited, realm, p.Replay.Since, p.Replay.Until, func(d Recorded) error {
			if n++; n > maxReplay {
				return errEnough
			}
			if err := limited.Err(); err != nil {
				return err
			}
			if !d.Admin {
				run.add(d)
			} else if own != nil {
				own.add(d)
			}
			return nil
		})
		if errors.Is(err, errEnough) || limited.Err() != nil && ctx.Err() == nil {
			p.Replay.Partial, err = true, nil
		}
	}
	run.finish(&p.Replay)
	if p.AboutOwn = own != nil; p.AboutOwn {
		own.finish(&p.Own)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && own != nil {
		p.LockedOut, err = r.lockedOut(ctx, realm, own, before, after)
	}
	return err
}

// lockedOut finds the operators who lose every way to change policies.
func (r *Registry) lockedOut(ctx context.Context, realm string, own *run, before, after *folder.Folder) (all []Operator, err error) {
	if r.Operators == nil {
		return nil, nil
	}
	operators, err := r.Operators(ctx, realm)
	if err != nil {
		return nil, err
	}
	ways := builtin.WaysOf(after.Own)
	was := builtin.WaysOf(nil)
	if before != nil {
		was = builtin.WaysOf(before.Own)
	}
	for _, o := range operators {
		if !ways.Somebody(own.new, o.Entity, o.Role) && was.Somebody(own.old, o.Entity, o.Role) {
			all = append(all, o)
		}
	}
	return all, nil
}

// digest is the hash of the outcome, each part with its length.
func (p *Plan) digest(content string) string {
	h := sha256.New()
	put := func(s string) { fmt.Fprintf(h, "%d:%s", len(s), s) }
	put("cardea plan 2")
	put(content)
	put(p.BaseHash)
	put(fmt.Sprint(p.Base, p.Report.OK(), p.Replay.Partial, p.Replay.More))
	lists := [][]Effect{p.Replay.Gains, p.Replay.Losses, p.Replay.StepUps, p.Own.Gains, p.Own.Losses, p.Own.StepUps}
	if len(slices.Concat(lists[3:]...)) == 0 {
		lists = lists[:3]
	}
	for _, o := range p.LockedOut {
		put(o.Entity.Type)
		put(o.Entity.ID)
	}
	for kind, list := range lists {
		put(fmt.Sprint(kind, len(list)))
		for _, e := range list {
			for _, s := range []string{e.Subject.Type, e.Subject.ID, e.Action, e.Resource.Type, e.Resource.ID} {
				put(s)
			}
			put(fmt.Sprint(len(e.grounds)))
			for _, g := range slices.Sorted(maps.Keys(e.grounds)) {
				put(g)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
