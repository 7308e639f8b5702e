package version

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/policy"
)

// Recorded is a decision that was made: what was asked, and when.
type Recorded struct {
	ID       string
	Question policy.Question // At is when it was asked
	Allowed  bool
}

// Replay is what came of asking again, on the facts of now, with the policies of
// now and with those of a folder.
type Replay struct {
	Since, Until time.Time
	Decisions    int  // that were looked at
	Unaffected   int  // of these, about which the folder has the very same policies; they were not asked again
	Partial      bool // there were more than can be asked again; these are the newest
	Drifted      int  // of those asked again, are answered differently by now without any change of policies: facts have changed since
	Gains        []Effect
	Losses       []Effect
	StepUps      []Effect // denied before and after, but with another sign-in that would do
}

// Effect is that somebody gains or loses an access.
type Effect struct {
	Subject  policy.Entity
	Action   string
	Resource policy.Entity
	Times    int       // how often they asked for it
	Last     time.Time // and when last
	Decision string    // the id of that one
	Before   []string  // reasons
	After    []string
	Path     []string // what an answer of yes rests on
	StepUp   string   // the sign-in that would do after the change
}

// MaxEffects is how many of the effects of a kind are named. A plan that would
// change more than that is not read by anybody line by line.
const MaxEffects = 10_000

// effectKey is what effects are counted by.
type effectKey struct {
	kind     kind
	subject  policy.Entity
	action   string
	resource policy.Entity
}

type kind int

const (
	gain kind = iota
	loss
	otherStepUp
)

// run is a replay in progress: batches of decisions go to workers, each of which
// collects effects of its own.
type run struct {
	old, new *policy.Snapshot // old is nil where nothing was permitted
	alike    func(q *policy.Question) bool
	batch    []Recorded
	batches  chan []Recorded
	wg       sync.WaitGroup
	parts    []*partial
}

type partial struct {
	decisions, unaffected, drifted int
	effects                        map[effectKey]*Effect
}

const batchSize = 512

func startReplay(before, after *folder.Folder, facts func(*policy.Set) *policy.Snapshot) *run {
	r := &run{new: facts(after.Set), batches: make(chan []Recorded, 2*workers())}
	if before != nil && before.Set != nil {
		r.old = facts(before.Set)
		if folder.SameWorld(before, after) {
			r.alike = policy.Alike(before.Set, after.Set)
		}
	}
	for range workers() {
		p := &partial{effects: map[effectKey]*Effect{}}
		r.parts = append(r.parts, p)
		r.wg.Go(func() {
			for b := range r.batches {
				for i := range b {
					r.judge(p, &b[i])
				}
			}
		})
	}
	return r
}

func (r *run) add(d Recorded) {
	if r.batch == nil {
		r.batch = make([]Recorded, 0, batchSize)
	}
	if r.batch = append(r.batch, d); len(r.batch) == batchSize {
		r.batches <- r.batch
		r.batch = nil
	}
}

func (r *run) judge(p *partial, d *Recorded) {
	p.decisions++
	if r.alike != nil && r.alike(&d.Question) {
		p.unaffected++
		return
	}
	var before policy.Answer
	if r.old != nil {
		before = policy.Decide(r.old, &d.Question)
	}
	after := policy.Decide(r.new, &d.Question)
	if before.Allowed != d.Allowed {
		p.drifted++
	}
	var k kind
	switch {
	case !before.Allowed && after.Allowed:
		k = gain
	case before.Allowed && !after.Allowed:
		k = loss
	case !before.Allowed && acr(&before) != acr(&after):
		k = otherStepUp
	default:
		return
	}
	q := &d.Question
	key := effectKey{k, q.Subject, q.Action, q.Resource}
	e := p.effects[key]
	if e == nil {
		e = &Effect{Subject: q.Subject, Action: q.Action, Resource: q.Resource}
		p.effects[key] = e
	}
	e.Times++
	if e.Times == 1 || q.At.After(e.Last) {
		e.Last, e.Decision = q.At, d.ID
		e.Before, e.After, e.StepUp = folder.Reasons(&before), folder.Reasons(&after), acr(&after)
		e.Path = folder.Path(&after)
		if before.Allowed {
			e.Path = folder.Path(&before)
		}
	}
}

func acr(a *policy.Answer) string {
	if a.StepUp == nil {
		return ""
	}
	return a.StepUp.ACR
}

// finish waits for the workers and puts together what they found.
func (r *run) finish(out *Replay) {
	if len(r.batch) > 0 {
		r.batches <- r.batch
	}
	close(r.batches)
	r.wg.Wait()
	all := map[effectKey]*Effect{}
	for _, p := range r.parts {
		out.Decisions += p.decisions
		out.Unaffected += p.unaffected
		out.Drifted += p.drifted
		for k, e := range p.effects {
			if known := all[k]; known == nil {
				all[k] = e
			} else {
				e.Times += known.Times
				if e.Last.Before(known.Last) || e.Last.Equal(known.Last) && e.Decision < known.Decision {
					known.Times, e = e.Times, known
				}
				all[k] = e
			}
		}
	}
	lists := [...]*[]Effect{gain: &out.Gains, loss: &out.Losses, otherStepUp: &out.StepUps}
	for k, e := range all {
		*lists[k.kind] = append(*lists[k.kind], *e)
	}
	for _, l := range lists {
		slices.SortFunc(*l, func(a, b Effect) int {
			return cmp.Or(strings.Compare(a.Subject.Type, b.Subject.Type), strings.Compare(a.Subject.ID, b.Subject.ID),
				strings.Compare(a.Resource.Type, b.Resource.Type), strings.Compare(a.Resource.ID, b.Resource.ID), strings.Compare(a.Action, b.Action))
		})
	}
}
