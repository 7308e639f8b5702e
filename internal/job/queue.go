package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/secret"
)

// State is where a job stands.
type State string

// The states.
const (
	Waiting   State = "waiting"   // to be done, or being done
	Done      State = "done"      // done
	Dead      State = "dead"      // given up after its last attempt; an operator may retry it
	Discarded State = "discarded" // an operator does not want it done
)

// Job is work that was promised when something was committed. It is done at
// least once: a node that dies midway is followed by another, so whoever is told
// by it tells the repetition by the job's ID, or is not harmed by one.
type Job struct {
	Realm     string
	ID        string // "job_…", the same at each attempt
	Kind      string
	Target    string // who is told, such as a client; "" for work of our own
	Subject   string // what it is about, such as a session
	Payload   []byte // nil where jobs are only listed
	State     State
	Attempts  int // begun so far
	Left      int // attempts left after those
	Due       time.Time
	Created   time.Time
	Ended     time.Time // zero while it waits
	LastError string
	Holder    string // the node that has it

	sealed []byte
}

func (j *Job) held(now time.Time) bool {
	return j.State == Waiting && j.Holder != "" && now.Before(j.Due)
}

// Promise describes a job that is to be done.
type Promise struct {
	Kind string
	// Key makes a second job of the same kind and key be none, for as long as
	// the first is kept. "" is a key of its own.
	Key     string
	Target  string // jobs of one target are a lane: a slow one holds up itself only
	Subject string
	Payload []byte        // sealed at rest, and forgotten when the job is done
	After   time.Duration // not before this has gone by
}

// Kind is how jobs of one kind are done.
type Kind struct {
	Name string
	// Do does a job. An error has it tried again later, unless it is [Never].
	// The error is shown to operators: it holds no secrets.
	Do func(ctx context.Context, j *Job) error
	// Attempts before it is given up. Zero: 16, which takes about five hours.
	Attempts int
	// Within is how long one attempt may take, at most and by default 30 seconds.
	Within time.Duration
}

// Outcome is how an attempt ended, for metrics.
type Outcome struct {
	Kind   string
	Result string        // done, retry or dead
	Delay  time.Duration // of a first attempt, since the job was made; else negative
	Took   time.Duration
}

// Never wraps an error that further attempts would not change.
func Never(err error) error { return &never{err} }

type never struct{ error }

func (n *never) Unwrap() error { return n.error }

const (
	attempts   = 16
	within     = 30 * time.Second
	lease      = time.Minute // longer than any attempt
	firstDelay = 2 * time.Second
	maxDelay   = time.Hour
	unknownFor = 30 * time.Second // how long a job waits for a node that knows its kind
	pollQueue  = time.Second      // backstop where no announcement arrives
	perNode    = 64               // jobs of all realms at a time
	perRealm   = 16               // of one realm
	perLane    = 4                // of one target
	lanesSeen  = 4 * perRealm     // of one realm at a time; more than can be full
	wakeQueue  = "job"
)

// How long jobs that have ended are shown, and their keys count.
const (
	keepDone = 7 * 24 * time.Hour
	keepDead = 30 * 24 * time.Hour
)

// Queue keeps jobs in the database and does them, on any node, soon after the
// transaction that made them has committed. Realms take turns, each with a
// bounded number of jobs at a time, and so do the targets within a realm.
type Queue struct {
	db      *db.DB
	node    string
	box     *secret.Box
	log     *slog.Logger
	kinds   map[string]Kind
	observe func(Outcome)
	poke    chan struct{}
	cancel  context.CancelFunc
	loop    sync.WaitGroup
	running sync.WaitGroup

	mu    sync.Mutex
	total int
	realm map[string]int
	lane  map[lane]int
	said  time.Duration // when a failure was last told
}

// lane is the jobs of one realm for one target.
type lane struct{ realm, target string }

// NewQueue makes a queue whose jobs are done in the name of node. Box seals what
// is in them.
func NewQueue(d *db.DB, node string, box *secret.Box, log *slog.Logger) *Queue {
	return &Queue{db: d, node: node, box: box, log: log, kinds: map[string]Kind{}, observe: func(Outcome) {}, poke: make(chan struct{}, 1),
		realm: map[string]int{}, lane: map[lane]int{}, said: -time.Hour}
}

// Handle says how jobs of a kind are done. Call it before Start.
func (q *Queue) Handle(k Kind) {
	if k.Attempts == 0 {
		k.Attempts = attempts
	}
	if k.Within == 0 || k.Within > within {
		k.Within = within
	}
	q.kinds[k.Name] = k
}

// Observe has every attempt told. Call it before Start.
func (q *Queue) Observe(fn func(Outcome)) { q.observe = fn }

// AddTx promises a job in the caller's transaction: it is done if that commits.
// It gives the job's ID, or "" if there was one with the key.
func (q *Queue) AddTx(tx *db.Tx, n Promise) (string, error) {
	k, ok := q.kinds[n.Kind]
	if !ok {
		return "", fmt.Errorf("job: nobody handles the kind %q", n.Kind)
	}
	j := &Job{Realm: tx.Realm, ID: id.New("job", tx.Now), Kind: n.Kind, Target: n.Target, Subject: n.Subject, Left: k.Attempts,
		Due: tx.Now.Add(n.After), Created: tx.Now}
	if n.Key == "" {
		n.Key = j.ID
	}
	j.sealed = q.box.Seal(n.Payload, place(j)...)
	fresh, err := insert(tx, j, n.Key)
	if err != nil || !fresh {
		return "", err
	}
	if n.After == 0 {
		tx.Wake(wakeQueue)
	}
	return j.ID, nil
}

func place(j *Job) []string { return []string{j.Realm, "job", j.ID, j.Kind} }

// Start begins to do jobs.
func (q *Queue) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	q.cancel = cancel
	q.db.OnWake(func(payload string) {
		if payload == wakeQueue || payload == "" {
			q.nudge()
		}
	})
	q.loop.Go(func() {
		t := time.NewTicker(pollQueue)
		defer t.Stop()
		for {
			if _, err := q.look(ctx); err != nil {
				q.complain(ctx, err)
			}
			select {
			case <-q.poke:
			case <-t.C:
			case <-ctx.Done():
				return
			}
		}
	})
}

// Close stops doing jobs. Those that it interrupts are handed back to be done by
// another node.
func (q *Queue) Close() {
	if q.cancel == nil {
		return
	}
	q.cancel()
	q.loop.Wait()
	q.running.Wait()
}

// RunDue does every job that is due, until none is. It is for queues that were
// not started.
func (q *Queue) RunDue(ctx context.Context) error {
	for {
		n, err := q.look(ctx)
		if err != nil {
			return err
		}
		q.running.Wait()
		if n == 0 {
			return nil
		}
	}
}

func (q *Queue) nudge() {
	select {
	case q.poke <- struct{}{}:
	default:
	}
}

// complain tells what is tried again, but not every second while the database
// is away.
func (q *Queue) complain(ctx context.Context, err error) {
	now := db.Boottime()
	q.mu.Lock()
	quiet := now-q.said < 10*time.Second
	if !quiet {
		q.said = now
	}
	q.mu.Unlock()
	if !quiet && ctx.Err() == nil {
		q.log.Warn("the job queue", "err", err)
	}
}

// look takes what is due, as far as there is room, and begins it. It returns how
// much that was.
func (q *Queue) look(ctx context.Context) (begun int, err error) {
	var lanes []lane
	err = q.db.SystemView(ctx, func(tx *db.Tx) (err error) {
		lanes, err = dueLanes(tx, lanesSeen, 8*perNode)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, l := range lanes {
		room := q.reserve(l)
		if room == 0 {
			continue
		}
		jobs, err := q.claim(ctx, l, room)
		q.release(l, room-len(jobs))
		if err != nil {
			return begun, err
		}
		for _, j := range jobs {
			begun++
			q.running.Go(func() {
				q.do(ctx, j)
				q.release(l, 1)
				q.nudge()
			})
		}
	}
	return begun, nil
}

// reserve takes room for jobs of a lane: what the lane, its realm and this node
// have left.
func (q *Queue) reserve(l lane) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(perLane-q.lane[l], perRealm-q.realm[l.realm], perNode-q.total)
	q.count(l, n)
	return n
}

func (q *Queue) release(l lane, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count(l, -n)
}

func (q *Queue) count(l lane, n int) {
	q.total += n
	if q.realm[l.realm] += n; q.realm[l.realm] == 0 {
		delete(q.realm, l.realm)
	}
	if q.lane[l] += n; q.lane[l] == 0 {
		delete(q.lane, l)
	}
}

func (q *Queue) claim(ctx context.Context, l lane, most int) (jobs []*Job, err error) {
	err = q.db.UpdateRC(ctx, l.realm, func(tx *db.Tx) error {
		jobs, err = claimDue(tx, l.target, q.node, tx.Now.Add(lease), most)
		return err
	})
	return jobs, err
}

// do makes one attempt and writes down how it ended.
func (q *Queue) do(ctx context.Context, j *Job) {
	k, known := q.kinds[j.Kind]
	if !known { // a newer program made it
		q.finish(ctx, j, func(tx *db.Tx) (bool, error) { return handBack(tx, j, tx.Now.Add(unknownFor)) })
		return
	}
	began := db.Boottime()
	err := q.attempt(ctx, k, j)
	o := Outcome{Kind: j.Kind, Result: "done", Delay: -1, Took: db.Boottime() - began}
	if j.Attempts == 1 {
		o.Delay = max(0, q.db.Now().Sub(j.Created)-o.Took)
	}
	switch {
	case err == nil:
		q.finish(ctx, j, func(tx *db.Tx) (bool, error) { return settle(tx, j, Done) })
	case ctx.Err() != nil: // this node is closing: it does not count
		q.finish(ctx, j, func(tx *db.Tx) (bool, error) {
			tx.Wake(wakeQueue)
			return handBack(tx, j, tx.Now)
		})
		return
	case j.Left == 0 || isNever(err):
		o.Result = "dead"
		q.finish(ctx, j, func(tx *db.Tx) (bool, error) { return q.bury(tx, j, err) })
	default:
		o.Result = "retry"
		q.finish(ctx, j, func(tx *db.Tx) (bool, error) { return postpone(tx, j, tx.Now.Add(delay(k.Attempts-j.Left)), said(err)) })
	}
	q.observe(o)
}

func (q *Queue) attempt(ctx context.Context, k Kind, j *Job) (err error) {
	ctx, cancel := context.WithTimeout(ctx, k.Within)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			q.log.Error("a job panicked", "kind", j.Kind, "job", j.ID, "panic", v, "stack", string(debug.Stack()))
			err = errors.New("the program failed; its log says how")
		}
	}()
	if j.Payload, err = q.box.Open(j.sealed, place(j)...); err != nil {
		return Never(err)
	}
	return k.Do(ctx, j)
}

// finish writes down how an attempt ended, unless the lease has run out and
// another node has the job. If it cannot, the job is done again.
func (q *Queue) finish(ctx context.Context, j *Job, write func(tx *db.Tx) (mine bool, err error)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var mine bool
	err := q.db.UpdateRC(ctx, j.Realm, func(tx *db.Tx) (err error) {
		mine, err = write(tx)
		return err
	})
	if err != nil {
		q.complain(ctx, fmt.Errorf("%s was attempted, which could not be written down, so it is attempted again: %w", j.ID, err))
	} else if !mine {
		q.log.Warn("a job took longer than its lease", "job", j.ID, "kind", j.Kind)
	}
}

func (q *Queue) bury(tx *db.Tx, j *Job, cause error) (bool, error) {
	mine, err := bury(tx, j, said(cause))
	if err == nil && mine {
		audit.Append(tx, audit.System, audit.Event{Action: "job.fail", TargetType: "job", Target: j.ID,
			Data: map[string]any{"kind": j.Kind, "target": j.Target, "subject": j.Subject, "attempts": j.Attempts, "error": said(cause)}})
	}
	return mine, err
}

// delay is how long to wait after so many attempts: twice as long each time,
// with up to half of it left out at random so that what failed together does not
// come back together.
func delay(attempts int) time.Duration {
	d := min(maxDelay, firstDelay<<min(max(attempts-1, 0), 12))
	return d/2 + rand.N(d/2)
}
