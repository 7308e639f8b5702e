package version

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/access/builtin"
	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/policy"
)

// Recorded is a decision that was made: what was asked, and when.
type Recorded struct {
	ID       string
	Question policy.Question // At is when it was asked
	Allowed  bool
	Admin    bool // about Cardea's own administration
}

// Replay is what came of asking again, on the facts of now, with the policies of
// now and with those of a folder.
type Replay struct {
	Since, Until time.Time
	Decisions    int  // that were looked at
	Unaffected   int  // of these, about which the folder has the very same policies; they were not asked again
	Partial      bool // there were more than can be asked again; these are the newest
	More         bool // more accesses change than are named; those that are come first by their names
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

	grounds map[string]bool // by which policies, before and after, whatever the circumstances were
}

// MaxEffects is how many of the effects of a kind are named. A plan that would
// change more than that is not read by anybody line by line.
const MaxEffects = 10_000

// maxGrounds is how many grounds of an effect its plan's hash tells apart.
const maxGrounds = 64

// effectKey is what effects of a kind are counted by.
type effectKey struct {
	subject  policy.Entity
	action   string
	resource policy.Entity
}

func (k effectKey) compare(o effectKey) int {
	return cmp.Or(strings.Compare(k.subject.Type, o.subject.Type), strings.Compare(k.subject.ID, o.subject.ID),
		strings.Compare(k.resource.Type, o.resource.Type), strings.Compare(k.resource.ID, o.resource.ID), strings.Compare(k.action, o.action))
}

type kind int

const (
	gain kind = iota
	loss
	otherStepUp
	allKinds
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
	effects                        [allKinds]effects
}

// effects are those of a kind: as many as are named, the first by their names. What
// was left out once lies behind the last, and stays out.
type effects struct {
	known map[effectKey]*Effect
	last  *effectKey // behind which is what was left out; nil: nothing was
}

// of is the effect of a key, nil if it is left out.
func (e *effects) of(k effectKey) *Effect {
	x := e.known[k]
	if x != nil || e.last != nil && k.compare(*e.last) > 0 {
		return x
	}
	if e.known == nil {
		e.known = map[effectKey]*Effect{}
	}
	x = &Effect{Subject: k.subject, Action: k.action, Resource: k.resource, grounds: map[string]bool{}}
	if e.known[k] = x; len(e.known) >= 2*MaxEffects {
		e.cut()
		x = e.known[k]
	}
	return x
}

// cut leaves out what is too much.
func (e *effects) cut() {
	if len(e.known) <= MaxEffects {
		return
	}
	keys := slices.SortedFunc(maps.Keys(e.known), effectKey.compare)
	e.last = &keys[MaxEffects-1]
	for _, k := range keys[MaxEffects:] {
		delete(e.known, k)
	}
}

// add puts in what another found.
func (e *effects) add(other *effects) {
	for k, x := range other.known {
		known := e.of(k)
		if known == nil {
			continue
		}
		grounds, times := known.grounds, known.Times+x.Times
		if known.Times == 0 || known.Last.Before(x.Last) || known.Last.Equal(x.Last) && x.Decision < known.Decision {
			*known = *x
		}
		known.grounds, known.Times = grounds, times
		for g := range x.grounds {
			known.ground(g)
		}
	}
	if other.last != nil && (e.last == nil || other.last.compare(*e.last) < 0) {
		e.last = other.last
		maps.DeleteFunc(e.known, func(k effectKey, _ *Effect) bool { return k.compare(*e.last) > 0 })
	}
}

func (e *Effect) ground(g string) {
	if e.grounds[g] = true; len(e.grounds) > maxGrounds {
		delete(e.grounds, slices.Max(slices.Collect(maps.Keys(e.grounds))))
	}
}

const batchSize = 512

// startReplay asks the policies of folders, on facts. before is nil where nothing
// was permitted.
func startReplay(before, after *folder.Folder, facts func(*policy.Set) *policy.Snapshot) *run {
	r := &run{new: facts(after.Set)}
	if before != nil && before.Set != nil {
		r.old = facts(before.Set)
		if folder.SameWorld(before, after) {
			r.alike = policy.Alike(before.Set, after.Set)
		}
	}
	return r.start()
}

// startOwnReplay asks the policies about Cardea's own administration, nil if
// neither folder has any.
func startOwnReplay(before, after *folder.Folder, facts func(*policy.Set) *policy.Snapshot) (*run, error) {
	if after.Guard == nil && (before == nil || before.Guard == nil) {
		return nil, nil
	}
	r := &run{}
	for _, side := range []struct {
		f  *folder.Folder
		to **policy.Snapshot
	}{{before, &r.old}, {after, &r.new}} {
		set := (*policy.Set)(nil)
		if side.f != nil {
			set = side.f.Guard
		}
		if set == nil {
			var err error
			if set, err = builtin.Alone(); err != nil {
				return nil, err
			}
		}
		*side.to = facts(set)
	}
	return r.start(), nil
}

func (r *run) start() *run {
	r.batches = make(chan []Recorded, 2*workers())
	for range workers() {
		p := &partial{}
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
	e := p.effects[k].of(effectKey{q.Subject, q.Action, q.Resource})
	if e == nil {
		return
	}
	e.ground(strings.Join([]string{strings.Join(before.Determining, ","), strings.Join(after.Determining, ","), acr(&before), acr(&after)}, "\x00"))
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
	var all [allKinds]effects
	for _, p := range r.parts {
		out.Decisions += p.decisions
		out.Unaffected += p.unaffected
		out.Drifted += p.drifted
		for k := range all {
			all[k].add(&p.effects[k])
		}
	}
	for k, list := range [...]*[]Effect{gain: &out.Gains, loss: &out.Losses, otherStepUp: &out.StepUps} {
		all[k].cut()
		out.More = out.More || all[k].last != nil
		for _, key := range slices.SortedFunc(maps.Keys(all[k].known), effectKey.compare) {
			*list = append(*list, *all[k].known[key])
		}
	}
}
