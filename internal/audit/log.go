package audit

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// Options tune a log. The zero value is right for production.
type Options struct {
	// Control is the same database, opened once more: sequencing and renewals
	// have connections of their own. Nil: the first one is used.
	Control *db.DB
	// Name of this node, for operators. Empty: the node's id.
	Name string
	// Elapsed replaces the boot-time clock, by which leases are measured, in tests.
	Elapsed func() time.Duration
	Log     *slog.Logger
}

// The bounds of "revoked means revoked".
const (
	leaseLife    = time.Second             // from before the renewal was sent
	renewEvery   = 250 * time.Millisecond  // leaves room for three lost renewals
	silence      = 1500 * time.Millisecond // after this no lease can be older than a position
	pollEvery    = 50 * time.Millisecond   // backstop where no announcement arrives
	confirmLimit = 5 * time.Second         // a writer that could not confirm by then answers 503
	reassert     = 10 * time.Minute        // deaths younger than this are told again after a failover
)

// forever is the lease of the only node there is.
const forever = math.MaxInt64

// Log is the event log of all realms, as one node sees it.
type Log struct {
	db      *db.DB // journal, announcements
	ctl     *db.DB // connections of its own, so that load on the first does not cost the lease
	opts    Options
	node    string
	log     *slog.Logger
	started bool

	followers []follower
	within    []within
	onEpoch   []func(ctx context.Context, epoch int64, recent []Record)

	applied  atomic.Pointer[Position]
	began    atomic.Pointer[time.Time] // of the applied epoch
	chain    []byte                    // of the applied position; follower goroutine only
	lease    atomic.Int64
	reseated atomic.Bool // a failover is being dealt with: no lease meanwhile

	saidMu sync.Mutex
	said   map[string]time.Duration // when what was last complained about

	mu      sync.Mutex
	waiters map[string]chan Position // by event id
	recent  map[string]Position
	ring    []string // ids in recent, oldest first
	changed chan struct{}

	placed placed // SQLite: what the writer's goroutine knows of the log
	deaths recentDeaths
	acks   acks
	act    activity
	sign   atomic.Pointer[Signer]

	verifying sync.Map // realms whose log is being read again

	sequence, follow, ack    chan struct{}
	sequenceSoon, followSoon chan struct{} // for what nobody waits for
	cancel                   context.CancelFunc
	wg                       sync.WaitGroup
}

// follower is told every record, in order.
type follower struct {
	name  string
	apply func(Record)
	reset func()
}

// New makes the log of a database and becomes the database's journal.
func New(d *db.DB, opts Options) *Log {
	l := &Log{db: d, opts: opts, node: newNode(d), log: opts.Log,
		said: map[string]time.Duration{}, waiters: map[string]chan Position{}, recent: map[string]Position{}, changed: make(chan struct{}),
		sequence: make(chan struct{}, 1), sequenceSoon: make(chan struct{}, 1), follow: make(chan struct{}, 1), followSoon: make(chan struct{}, 1), ack: make(chan struct{}, 1)}
	if l.ctl = opts.Control; l.ctl == nil {
		l.ctl = d
	}
	if l.log == nil {
		l.log = slog.Default()
	}
	if l.opts.Elapsed == nil {
		l.opts.Elapsed = db.Boottime
	}
	if l.opts.Name == "" {
		l.opts.Name = l.node
	}
	l.applied.Store(&Position{})
	l.began.Store(&time.Time{})
	l.acks.changed = make(chan struct{})
	l.act.init()
	d.SetJournal(l)
	return l
}

// Node is this node's id.
func (l *Log) Node() string { return l.node }

// Follow registers a follower before Start. apply is called with every record
// in the log's order, on one goroutine, and must be quick: it does not touch the
// database. reset is called when the log cannot say what was missed: drop
// everything remembered.
func (l *Log) Follow(name string, apply func(Record), reset func()) {
	if l.started {
		panic("audit: Follow(" + name + ") after Start")
	}
	l.followers = append(l.followers, follower{name, apply, reset})
}

// OnEpoch registers fn to run on every node, outside of any transaction, when
// the epoch has risen. recent is what this node applied in the last ten minutes
// that invalidated something, oldest first: the database may have lost some of
// it. The node says yes again when fn has returned.
func (l *Log) OnEpoch(fn func(ctx context.Context, epoch int64, recent []Record)) {
	l.onEpoch = append(l.onEpoch, fn)
}

// Start joins the nodes and begins to sequence and to follow. When it returns
// this node may say yes.
func (l *Log) Start(ctx context.Context) error {
	l.started = true
	head, err := l.readHead(ctx)
	if err != nil {
		return err
	}
	if err := l.join(ctx); err != nil {
		return err
	}
	// The head is read again after joining: from here on every writer waits for us.
	if head, err = l.readHead(ctx); err != nil {
		return err
	}
	l.applied.Store(&head.Position)
	l.began.Store(&head.began)
	l.chain = head.chain
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	l.db.OnWake(l.woken)
	if err := l.renewLease(ctx); err != nil {
		cancel()
		return err
	}
	l.wg.Go(func() { l.sequenceForever(run) })
	l.wg.Go(func() { l.followForever(run) })
	l.wg.Go(func() { l.ackForever(run) })
	l.wg.Go(func() { l.activityForever(run) })
	return nil
}

// Close writes the remaining activity, leaves the nodes and stops.
func (l *Log) Close() {
	if l.cancel == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := l.FlushActivity(ctx); err != nil {
		l.log.Warn("the last activity could not be written", "err", err)
	}
	l.lease.Store(0)
	l.cancel()
	l.wg.Wait()
	if err := l.leave(ctx); err != nil {
		l.log.Warn("leaving the nodes", "err", err)
	}
}

// poll is how often to look for what nobody announced. On SQLite this process
// makes every change and announces it, so there is next to nothing to miss.
func (l *Log) poll() time.Duration {
	if l.ctl.Engine() == db.SQLite {
		return time.Second
	}
	return pollEvery
}

// Applied is the position up to which this node has applied the log. A token
// carries it as the position at which it was minted.
func (l *Log) Applied() Position { return *l.applied.Load() }

// Epoch gives the epoch that this node is in, and when it began: what the
// database was told before may have been lost. The first epoch has no beginning.
func (l *Log) Epoch() (n int64, began time.Time) {
	n = l.Applied().Epoch
	return n, *l.began.Load()
}

// Live returns nil while this node may say yes. A node whose lease has run out
// may not know of a revocation, so it says nothing at all (503).
func (l *Log) Live() error {
	until := l.lease.Load()
	if until == forever || until != 0 && int64(l.opts.Elapsed()) < until {
		return nil
	}
	return errStale
}

var errStale = fault.New(fault.Unavailable, "node_stale", "this node has lost touch with the database; try again").WithRetry(time.Second)

func (l *Log) woken(payload string) {
	switch payload {
	case wakeAck:
		poke(l.ack)
	case wakeHead, "": // or whatever was missed
		poke(l.follow)
	}
}

// The announcements between nodes.
const (
	wakeHead = "head" // the log has grown
	wakeAck  = "ack"  // a node has applied it
)

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sayAgain is how long the same complaint is not repeated: while the database is
// away the loops fail many times a second.
const sayAgain = 5 * time.Second

// complain logs that something which is tried again has failed.
func (l *Log) complain(ctx context.Context, what string, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	now := l.opts.Elapsed()
	l.saidMu.Lock()
	last, before := l.said[what]
	quiet := before && now-last < sayAgain
	if !quiet {
		l.said[what] = now
	}
	l.saidMu.Unlock()
	if !quiet {
		l.log.Warn(what+" fails; it is tried again", "err", err)
	}
}

// wait blocks until poked, or for d, and reports whether to go on.
func wait(ctx context.Context, c <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c:
	case <-t.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// gatherFor is how long news that nobody waits for may gather. It bounds how
// far the positions of busy nodes' tokens lie behind.
const gatherFor = 20 * time.Millisecond

// waitOrGather is wait with a second channel, on which news is not urgent.
func waitOrGather(ctx context.Context, now, soon chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-now:
	case <-soon:
		return wait(ctx, now, gatherFor)
	case <-t.C:
	case <-ctx.Done():
		return false
	}
	return true
}
