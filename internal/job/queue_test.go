package job_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/secret"
)

func newQueue(t *testing.T, d *db.DB, node string) *job.Queue {
	t.Helper()
	box, err := secret.NewBox(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return job.NewQueue(d, node, box, slog.New(slog.DiscardHandler))
}

// add promises a job in a transaction of its own.
func add(t *testing.T, d *db.DB, q *job.Queue, realm string, n job.Promise) (id string) {
	t.Helper()
	err := d.UpdateRC(t.Context(), realm, func(tx *db.Tx) (err error) {
		id, err = q.AddTx(tx, n)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func runDue(t *testing.T, q *job.Queue) {
	t.Helper()
	if err := q.RunDue(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, q *job.Queue, id string) *job.Job {
	t.Helper()
	j, err := q.ByID(t.Context(), dbtest.Realm, id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// What is promised is done if its transaction commits, and only then.
func TestAJobIsPromisedByItsTransaction(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		q, did := newQueue(t, e.DB, "nod_a"), []string{}
		q.Handle(job.Kind{Name: "tell", Do: func(_ context.Context, j *job.Job) error {
			did = append(did, j.Realm+" "+j.ID+" "+j.Target+" "+j.Subject+" "+string(j.Payload))
			return nil
		}})
		refusal := errors.New("no")
		if err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			if _, err := q.AddTx(tx, job.Promise{Kind: "tell"}); err != nil {
				return err
			}
			return refusal
		}); !errors.Is(err, refusal) {
			t.Fatal(err)
		}
		id := add(t, e.DB, q, dbtest.Realm, job.Promise{Kind: "tell", Target: "shop", Subject: "ses_1", Payload: []byte("hush")})
		later := add(t, e.DB, q, dbtest.Realm, job.Promise{Kind: "tell", After: time.Minute})
		runDue(t, q)
		if want := []string{dbtest.Realm + " " + id + " shop ses_1 hush"}; !slices.Equal(did, want) {
			t.Fatalf("did %v, want %v", did, want)
		}
		if j := must(t, q, id); j.State != job.Done || j.Attempts != 1 || j.Ended.IsZero() || j.LastError != "" {
			t.Errorf("afterwards %+v", j)
		}
		e.Clock.Advance(time.Minute)
		runDue(t, q)
		if must(t, q, later).State != job.Done {
			t.Error("what was to be done later was not")
		}
		if err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			_, err := q.AddTx(tx, job.Promise{Kind: "sing"})
			return err
		}); err == nil {
			t.Error("a kind that nobody handles was promised")
		}
	})
}

// A key makes of two promises one, in its realm and kind, also when the first
// has been kept.
func TestAKeyMakesOneJobOfTwo(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		q := newQueue(t, e.DB, "nod_a")
		var did atomic.Int32
		count := func(context.Context, *job.Job) error { did.Add(1); return nil }
		q.Handle(job.Kind{Name: "tell", Do: count})
		q.Handle(job.Kind{Name: "ring", Do: count})
		n := job.Promise{Kind: "tell", Key: "k"}
		first := add(t, e.DB, q, dbtest.Realm, n)
		if again := add(t, e.DB, q, dbtest.Realm, n); first == "" || again != "" {
			t.Errorf("made %q and %q", first, again)
		}
		runDue(t, q)
		add(t, e.DB, q, dbtest.Realm, n)
		add(t, e.DB, q, dbtest.Neighbour, n)
		add(t, e.DB, q, dbtest.Realm, job.Promise{Kind: "ring", Key: "k"})
		runDue(t, q)
		if did.Load() != 3 {
			t.Errorf("%d were done, want 3: one of each realm and kind", did.Load())
		}
	})
}

// Failures are repeated after growing, random delays, and in the end given up
// with an event; an operator can revive the job.
func TestFailuresAreRepeatedAndGivenUp(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		q, tries, works := newQueue(t, e.DB, "nod_a"), 0, false
		q.Handle(job.Kind{Name: "tell", Attempts: 4, Do: func(context.Context, *job.Job) error {
			if tries++; works {
				return nil
			}
			return errors.New("shop is closed")
		}})
		id := add(t, e.DB, q, dbtest.Realm, job.Promise{Kind: "tell", Target: "shop"})
		for n := 1; n <= 3; n++ {
			runDue(t, q)
			j := must(t, q, id)
			base := 2 * time.Second << (n - 1)
			if wait := j.Due.Sub(e.Clock.Now()); tries != n || j.State != job.Waiting || j.LastError != "shop is closed" || wait < base/2 || wait > base {
				t.Fatalf("after attempt %d of %d: waits %v, want %v to %v: %+v", tries, n, wait, base/2, base, j)
			}
			runDue(t, q)
			if tries != n {
				t.Fatal("it was repeated at once")
			}
			e.Clock.Advance(base)
		}
		runDue(t, q)
		if j := must(t, q, id); tries != 4 || j.State != job.Dead || j.Left != 0 {
			t.Fatalf("after %d attempts: %+v", tries, j)
		}
		e.Clock.Advance(24 * time.Hour)
		runDue(t, q)
		if tries != 4 {
			t.Fatal("what was given up is still tried")
		}
		works = true
		if _, err := q.Retry(t.Context(), audittest.By, dbtest.Realm, id); err != nil {
			t.Fatal(err)
		}
		runDue(t, q)
		if j := must(t, q, id); j.State != job.Done || j.Attempts != 5 || j.LastError != "" {
			t.Errorf("after the revival: %+v", j)
		}
		if _, err := q.Retry(t.Context(), audittest.By, dbtest.Realm, id); fault.Code(err) != "job_ended" {
			t.Errorf("a retry of what is done: %v", err)
		}
		if got := strings.Join(e.Events(t, dbtest.Realm), " "); got != "job.fail job.retry" {
			t.Errorf("events %q", got)
		}
	})
}

// What further attempts would not change is given up at once, and a panic is a
// failure like any other.
func TestSomeFailuresAreFinal(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		q := newQueue(t, e.DB, "nod_a")
		q.Handle(job.Kind{Name: "tell", Do: func(_ context.Context, j *job.Job) error {
			if j.Target == "panics" {
				panic("secret detail")
			}
			return fmt.Errorf("told: %w", job.Never(errors.New("there is no such shop")))
		}})
		id := add(t, e.DB, q, dbtest.Realm, job.Promise{Kind: "tell"})
		wild := add(t, e.DB, q, dbtest.Realm, job.Promise{Kind: "tell", Target: "panics"})
		runDue(t, q)
		if j := must(t, q, id); j.State != job.Dead || j.Attempts != 1 || j.LastError != "told: there is no such shop" {
			t.Errorf("%+v", j)
		}
		if j := must(t, q, wild); j.State != job.Waiting || j.LastError == "" || strings.Contains(j.LastError, "detail") {
			t.Errorf("%+v", j)
		}
	})
}

func TestJobsAreListedAndDiscarded(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		q, did := newQueue(t, e.DB, "nod_a"), atomic.Int64{}
		q.Handle(job.Kind{Name: "tell", Do: func(context.Context, *job.Job) error { did.Add(1); return nil }})
		q.Handle(job.Kind{Name: "ring", Do: func(context.Context, *job.Job) error { did.Add(1); return nil }})
		var ids []string
		for i := range 6 {
			ids = append(ids, add(t, e.DB, q, dbtest.Realm, job.Promise{Kind: []string{"tell", "ring"}[i%2], Target: fmt.Sprint("t", i%3), Subject: fmt.Sprint("s", i/3)}))
			e.Clock.Advance(time.Millisecond)
		}
		add(t, e.DB, q, dbtest.Neighbour, job.Promise{Kind: "tell", Target: "t0"})
		for _, c := range []struct {
			f    job.Filter
			want []int
		}{
			{job.Filter{}, []int{5, 4, 3, 2, 1, 0}}, {job.Filter{Kind: "ring"}, []int{5, 3, 1}}, {job.Filter{Target: "t0"}, []int{3, 0}},
			{job.Filter{Subject: "s1"}, []int{5, 4, 3}}, {job.Filter{Target: "t1", Subject: "s0", State: job.Waiting, Kind: "ring"}, []int{1}}, {job.Filter{State: job.Dead}, nil},
		} {
			var got []int
			for after := ""; ; {
				page, next, err := q.List(t.Context(), dbtest.Realm, c.f, after, 2)
				if err != nil {
					t.Fatal(err)
				}
				for _, j := range page {
					got = append(got, slices.Index(ids, j.ID))
				}
				if after = next; next == "" {
					break
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%+v: %v, want %v", c.f, got, c.want)
			}
		}
		if _, _, err := q.List(t.Context(), dbtest.Realm, job.Filter{}, "x", 2); fault.Code(err) != "page_invalid" {
			t.Errorf("a page of nobody: %v", err)
		}
		for range 2 { // the second finds it done
			if j, err := q.Discard(t.Context(), audittest.By, dbtest.Realm, ids[0]); err != nil || j.State != job.Discarded {
				t.Errorf("%+v, %v", j, err)
			}
		}
		if _, err := q.Discard(t.Context(), audittest.By, dbtest.Neighbour, ids[1]); !fault.Is(err, fault.NotFound) {
			t.Errorf("another realm's: %v", err)
		}
		if _, err := q.Retry(t.Context(), audittest.By, dbtest.Realm, ids[0]); fault.Code(err) != "job_ended" {
			t.Errorf("a retry of what is discarded: %v", err)
		}
		runDue(t, q)
		if did.Load() != 6 {
			t.Errorf("%d were done, want 6", did.Load())
		}
		if got := strings.Join(e.Events(t, dbtest.Realm), " "); got != "job.discard" {
			t.Errorf("events %q", got)
		}
		e.Clock.Advance(6 * 24 * time.Hour)
		if n, err := q.Collect(t.Context(), dbtest.Realm); n != 0 || err != nil {
			t.Errorf("%d were forgotten too early, %v", n, err)
		}
		e.Clock.Advance(2 * 24 * time.Hour)
		if n, err := q.Collect(t.Context(), dbtest.Realm); n != 6 || err != nil {
			t.Errorf("%d were forgotten, %v; want 6", n, err)
		}
		if waiting, dead, err := q.Depth(t.Context()); waiting != 0 || dead != 0 || err != nil {
			t.Errorf("%d wait, %d are dead, %v", waiting, dead, err)
		}
	})
}

// Nodes that look at once do each job once: one of them wins the lease. Take
// "due_at <= $4" out of the outer condition of claimDue to see it fail on
// PostgreSQL.
func TestOneNodeWinsEachJob(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		dbs := []*db.DB{e.DB, e.DB}
		if e.DB.Engine() == db.Postgres {
			dbs[1] = e.Reopen(t)
		}
		var mu sync.Mutex
		did := map[string]int{}
		var nodes []*job.Queue
		for i, d := range dbs {
			q := newQueue(t, d, fmt.Sprint("nod_", i))
			q.Handle(job.Kind{Name: "tell", Do: func(_ context.Context, j *job.Job) error {
				mu.Lock()
				defer mu.Unlock()
				did[j.ID]++
				return nil
			}})
			nodes = append(nodes, q)
		}
		for i := range 60 {
			add(t, e.DB, nodes[0], dbtest.Realm, job.Promise{Kind: "tell", Target: fmt.Sprint(i % 3)})
		}
		var wg sync.WaitGroup
		for _, q := range nodes {
			wg.Go(func() {
				if err := q.RunDue(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		runDue(t, nodes[0])
		if len(did) != 60 {
			t.Errorf("%d of 60 were done", len(did))
		}
		for id, n := range did {
			if n != 1 {
				t.Errorf("%s was done %d times", id, n)
			}
		}
	})
}

// The job of a node that died is taken over when its lease has run out, by the
// database's time; and the dead node, should it live after all, changes nothing
// any more.
func TestALeaseIsTakenOver(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		frozen, thaw := make(chan struct{}), make(chan struct{})
		dead, other := newQueue(t, e.DB, "nod_a"), newQueue(t, e.DB, "nod_b")
		dead.Handle(job.Kind{Name: "tell", Do: func(context.Context, *job.Job) error {
			close(frozen)
			<-thaw
			return nil
		}})
		did := 0
		other.Handle(job.Kind{Name: "tell", Do: func(context.Context, *job.Job) error { did++; return errors.New("closed") }})
		id := add(t, e.DB, dead, dbtest.Realm, job.Promise{Kind: "tell"})
		var wg sync.WaitGroup
		wg.Go(func() { _ = dead.RunDue(t.Context()) })
		<-frozen
		if j := must(t, other, id); !other.Running(j) || j.Holder != "nod_a" {
			t.Errorf("%+v", j)
		}
		for _, refused := range []func(context.Context) error{
			func(ctx context.Context) error {
				_, err := other.Retry(ctx, audittest.By, dbtest.Realm, id)
				return err
			},
			func(ctx context.Context) error {
				_, err := other.Discard(ctx, audittest.By, dbtest.Realm, id)
				return err
			},
		} {
			if err := refused(t.Context()); fault.Code(err) != "job_running" {
				t.Errorf("a job that is being done: %v", err)
			}
		}
		e.Clock.Advance(59 * time.Second)
		runDue(t, other)
		if did != 0 {
			t.Fatal("it was taken from a living node")
		}
		e.Clock.Advance(time.Second)
		runDue(t, other)
		if did != 1 {
			t.Fatal("nobody took it over")
		}
		close(thaw)
		wg.Wait()
		if j := must(t, other, id); j.State != job.Waiting || j.LastError != "closed" || j.Attempts != 2 {
			t.Errorf("the dead node changed it: %+v", j)
		}
	})
}

// A realm with very much to do, and a target that does not answer, hold up
// nobody else.
func TestNobodyIsStarved(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		q := newQueue(t, e.DB, "nod_a")
		hang, arrived := make(chan struct{}), make(chan string, 100)
		var slow, most atomic.Int32
		q.Handle(job.Kind{Name: "tell", Do: func(_ context.Context, j *job.Job) error {
			if strings.HasPrefix(j.Target, "slow") {
				most.Store(max(most.Load(), slow.Add(1)))
				<-hang
				slow.Add(-1)
				return nil
			}
			arrived <- j.Realm + " " + j.Target
			return nil
		}})
		for i := range 300 {
			add(t, e.DB, q, dbtest.Neighbour, job.Promise{Kind: "tell", Target: fmt.Sprint("slow", i%100)})
		}
		for range 100 {
			add(t, e.DB, q, dbtest.Realm, job.Promise{Kind: "tell", Target: "slow"})
		}
		q.Start()
		defer q.Close()
		defer close(hang)
		e.Clock.Advance(time.Second)
		add(t, e.DB, q, dbtest.Realm, job.Promise{Kind: "tell", Target: "quick"})
		select {
		case got := <-arrived:
			if got != dbtest.Realm+" quick" {
				t.Error(got)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("it waits for the others")
		}
		if n := most.Load(); n > 20 {
			t.Errorf("%d slow ones at a time, want at most 16 of the one realm and 4 of the target", n)
		}
	})
}

// Whoever commits a job has it done at once, by whichever node.
func TestACommitWakesTheNodes(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		d := e.DB
		if e.DB.Engine() == db.Postgres {
			d = e.Reopen(t)
		}
		maker, doer := newQueue(t, e.DB, "nod_a"), newQueue(t, d, "nod_b")
		done := make(chan struct{}, 10)
		kind := job.Kind{Name: "tell", Do: func(context.Context, *job.Job) error { done <- struct{}{}; return nil }}
		maker.Handle(kind)
		doer.Handle(kind)
		doer.Start()
		defer doer.Close()
		for range 5 {
			began := time.Now()
			add(t, e.DB, maker, dbtest.Realm, job.Promise{Kind: "tell"})
			<-done
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
		}
	})
}

// A node that is closed hands back what it was doing, and the attempt does not
// count.
func TestClosingHandsBack(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		q, other := newQueue(t, e.DB, "nod_a"), newQueue(t, e.DB, "nod_b")
		begun := make(chan struct{})
		q.Handle(job.Kind{Name: "tell", Do: func(ctx context.Context, _ *job.Job) error { close(begun); <-ctx.Done(); return ctx.Err() }})
		did := 0
		other.Handle(job.Kind{Name: "tell", Do: func(context.Context, *job.Job) error { did++; return nil }})
		id := add(t, e.DB, q, dbtest.Realm, job.Promise{Kind: "tell"})
		left := must(t, q, id).Left
		q.Start()
		<-begun
		q.Close()
		if j := must(t, q, id); j.Left != left || q.Running(j) {
			t.Errorf("%+v", j)
		}
		runDue(t, other)
		if did != 1 {
			t.Error("the other node did not do it")
		}
	})
}

// A kind that this program does not know, because a newer one made the job, is
// left to nodes that do.
func TestUnknownKindsAreLeftToOthers(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		e.Start(t)
		newer, older, did := newQueue(t, e.DB, "nod_a"), newQueue(t, e.DB, "nod_b"), 0
		newer.Handle(job.Kind{Name: "tell", Do: func(context.Context, *job.Job) error { did++; return nil }})
		id := add(t, e.DB, newer, dbtest.Realm, job.Promise{Kind: "tell"})
		left := must(t, newer, id).Left
		runDue(t, older)
		if j := must(t, newer, id); j.State != job.Waiting || j.Left != left {
			t.Fatalf("%+v", j)
		}
		e.Clock.Advance(30 * time.Second)
		runDue(t, newer)
		if did != 1 {
			t.Error("it was not done")
		}
	})
}

// What is in a job cannot be read in the database, nor be moved to another row,
// and is forgotten when the job is done.
func TestPayloadsAreSealed(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		q := newQueue(t, e.DB, "nod_a")
		did := 0
		q.Handle(job.Kind{Name: "tell", Do: func(context.Context, *job.Job) error { did++; return nil }})
		payload := func(id string) (b []byte) {
			err := e.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
				b, err = db.One(tx, db.Scalar[[]byte], `SELECT payload FROM jobs WHERE realm = $1 AND id = $2`, tx.Realm, id)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		one := add(t, e.DB, q, dbtest.Realm, job.Promise{Kind: "tell", Payload: []byte("the hidden text")})
		two := add(t, e.DB, q, dbtest.Realm, job.Promise{Kind: "tell", Payload: []byte("another hidden text")})
		if b := payload(one); len(b) == 0 || bytes.Contains(b, []byte("hidden")) {
			t.Errorf("%q", b)
		}
		if err := e.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE jobs SET payload = $1 WHERE realm = $2 AND id = $3`, payload(one), tx.Realm, two)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		runDue(t, q)
		if must(t, q, two).State != job.Dead || did != 1 {
			t.Error("a moved payload was used")
		}
		if b := payload(one); len(b) != 0 {
			t.Errorf("afterwards %q", b)
		}
	})
}
