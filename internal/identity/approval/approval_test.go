package approval_test

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/approval"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// env is a store beside a neighbour's request, which must notice nothing.
type env struct {
	*audittest.Env
	*approval.Store
	limits realm.Settings
}

func newEnv(t *testing.T, a *audittest.Env) *env {
	t.Helper()
	e := &env{a, approval.NewStore(a.DB, a.Log, newBox(t)), realm.DefaultSettings()}
	a.Start(t)
	return e
}

func newBox(t *testing.T) *secret.Box {
	t.Helper()
	box, err := secret.NewBox(make([]byte, secret.MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func run(t *testing.T, fn func(t *testing.T, e *env)) {
	t.Helper()
	audittest.Run(t, func(t *testing.T, a *audittest.Env) {
		e := newEnv(t, a)
		theirs := e.begin(t, dbtest.Neighbour, device)
		fn(t, e)
		if r, err := e.ByID(t.Context(), dbtest.Neighbour, theirs.ID); err != nil || r.State != approval.Pending || r.Wait != 5*time.Second {
			t.Errorf("the neighbour noticed something: %+v %v", r, err)
		}
	})
}

// nodes are this node and, on PostgreSQL, another one.
func (e *env) nodes(t *testing.T) []*env {
	if e.DB.Engine() == db.SQLite {
		return []*env{e}
	}
	return []*env{e, newEnv(t, e.Node(t))}
}

var device = approval.New{Kind: approval.Device, Client: "tv", Life: 10 * time.Minute, Wait: 5 * time.Second,
	Asked: approval.Asked{Scopes: []string{"openid"}, Resources: []string{"https://api.example.com"}, IP: "192.0.2.1"}}

var yes = approval.Answer{Principal: "usr_ada", Session: "ses_1", Scopes: []string{"openid"}, ACR: "aal1", AMR: []string{"pwd"}}

func (e *env) begin(t *testing.T, realm string, n approval.New) approval.Begun {
	t.Helper()
	b, err := e.Ask(t.Context(), realm, n)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (e *env) approve(t *testing.T, id string, a approval.Answer) error {
	t.Helper()
	return e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
		_, err := e.ApproveTx(tx, audittest.By, id, a)
		return err
	})
}

func (e *env) deny(t *testing.T, id, who string) error {
	t.Helper()
	_, err := e.Deny(t.Context(), audit.Actor{Kind: "person", ID: who}, dbtest.Realm, id)
	return err
}

func (e *env) polled(t *testing.T, b approval.Begun) (*approval.Request, approval.Outcome) {
	t.Helper()
	r, o, err := e.Poll(t.Context(), dbtest.Realm, approval.Device, "tv", string(b.Code))
	if err != nil {
		t.Fatal(err)
	}
	return r, o
}

func (e *env) consume(t *testing.T, b approval.Begun, client, grant string) (r *approval.Request, o approval.Outcome) {
	t.Helper()
	err := e.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
		r, o, err = e.ConsumeTx(tx, approval.Device, client, string(b.Code), grant)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, o
}

func (e *env) expect(t *testing.T, b approval.Begun, want approval.Outcome) {
	t.Helper()
	if _, o := e.polled(t, b); o != want {
		t.Errorf("polled: %v, want %v", o, want)
	}
}

// TestOnceApprovedOnceUsed: the way of a request that ends well.
func TestOnceApprovedOnceUsed(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		b := e.begin(t, dbtest.Realm, device)
		e.expect(t, b, approval.Waiting)
		if _, o := e.consume(t, b, "tv", "gnt_0"); o != approval.Waiting {
			t.Errorf("consumed before it was decided: %v", o)
		}
		if err := e.approve(t, b.ID, yes); err != nil {
			t.Fatal(err)
		}
		r, o := e.polled(t, b)
		if o != approval.Ready || r.Answer.Principal != "usr_ada" || !slices.Equal(r.Answer.AMR, []string{"pwd"}) || r.Resources[0] != "https://api.example.com" {
			t.Fatalf("approved: %v %+v", o, r)
		}
		if _, o := e.consume(t, b, "other", "gnt_0"); o != approval.Unknown {
			t.Errorf("another client consumed it: %v", o)
		}
		if r, o := e.consume(t, b, "tv", "gnt_1"); o != approval.OK || r.Answer.Session != "ses_1" {
			t.Fatalf("consumed: %v %+v", o, r)
		}
		if r, o := e.consume(t, b, "tv", "gnt_2"); o != approval.Reused || r.Issued != "gnt_1" {
			t.Errorf("a second use: %v, issued %q", o, r.Issued)
		}
		if r, o := e.polled(t, b); o != approval.Reused || r.Issued != "gnt_1" {
			t.Errorf("polled after its use: %v", o)
		}
		if got := e.Events(t, dbtest.Realm); !slices.Equal(got, []string{"approval.approve"}) {
			t.Errorf("events: %v", got)
		}
	})
}

// TestEveryOtherWay: no decision is taken twice, none after its time, and no is
// final.
func TestEveryOtherWay(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		closed := func(what string, err error) {
			t.Helper()
			if !fault.Is(err, fault.Conflict) {
				t.Errorf("%s: %v", what, err)
			}
		}
		denied := e.begin(t, dbtest.Realm, device)
		if err := e.deny(t, denied.ID, ""); err != nil {
			t.Fatal(err)
		}
		closed("approved after denied", e.approve(t, denied.ID, yes))
		closed("denied twice", e.deny(t, denied.ID, ""))
		e.expect(t, denied, approval.Refused)
		if _, o := e.consume(t, denied, "tv", "gnt_1"); o != approval.Refused {
			t.Errorf("consumed after denied: %v", o)
		}

		approved, late := e.begin(t, dbtest.Realm, device), e.begin(t, dbtest.Realm, device)
		if err := e.approve(t, approved.ID, yes); err != nil {
			t.Fatal(err)
		}
		closed("approved twice", e.approve(t, approved.ID, yes))
		closed("denied after approved", e.deny(t, approved.ID, ""))
		e.expect(t, approved, approval.Ready)

		e.Clock.Advance(10 * time.Minute)
		closed("approved too late", e.approve(t, late.ID, yes))
		closed("denied too late", e.deny(t, late.ID, ""))
		e.expect(t, late, approval.Expired)
		e.expect(t, approved, approval.Expired)
		if _, o := e.consume(t, approved, "tv", "gnt_1"); o != approval.Expired {
			t.Errorf("consumed too late: %v", o)
		}
		e.expect(t, denied, approval.Refused)

		closed("a request that is none", e.approve(t, "apr_00000000000000000000000000", yes))
		if _, err := e.ByID(t.Context(), dbtest.Neighbour, denied.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("found in another realm: %v", err)
		}
		for _, k := range []approval.Kind{approval.Backchannel, "x"} {
			if _, o, err := e.Poll(t.Context(), dbtest.Realm, k, "tv", string(approved.Code)); err != nil || o != approval.Unknown {
				t.Errorf("polled as %s: %v %v", k, o, err)
			}
		}
	})
}

// TestOnlyTheSubjectDecides: a request for somebody known is nobody else's to
// decide, and has no user code.
func TestOnlyTheSubjectDecides(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		n := device
		n.Kind, n.Subject = approval.Backchannel, "usr_ada"
		b := e.begin(t, dbtest.Realm, n)
		if b.UserCode != "" || !strings.HasPrefix(string(b.Code), approval.AuthReqIDPrefix) {
			t.Errorf("begun: %q", b.UserCode)
		}
		other := yes
		other.Principal = "usr_bob"
		for what, err := range map[string]error{"approved": e.approve(t, b.ID, other), "denied": e.deny(t, b.ID, "usr_bob"), "denied by nobody": e.deny(t, b.ID, "")} {
			if !fault.Is(err, fault.Conflict) {
				t.Errorf("%s by somebody else: %v", what, err)
			}
		}
		if err := e.approve(t, b.ID, yes); err != nil {
			t.Error(err)
		}
	})
}

// TestWhatDeliveriesNeedIsSealed: the client's secret and its code are kept for
// as long as the answer is to be delivered, and not readable in the database.
func TestWhatDeliveriesNeedIsSealed(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		var asked, decided []string
		e.OnAsk(func(_ *db.Tx, r *approval.Request) error { asked = append(asked, r.ID); return nil })
		e.OnDecide(func(_ *db.Tx, r *approval.Request) error {
			decided = append(decided, r.ID+" "+string(r.State))
			return nil
		})
		n := device
		n.Kind, n.Subject, n.Token = approval.Backchannel, "usr_ada", "notify-me"
		b := e.begin(t, dbtest.Realm, n)
		if err := e.approve(t, b.ID, yes); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(asked, []string{b.ID}) || !slices.Equal(decided, []string{b.ID + " approved"}) {
			t.Errorf("told of %v and %v", asked, decided)
		}
		r, err := e.ByID(t.Context(), dbtest.Realm, b.ID)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := e.Secrets(r)
		if err != nil || kept.Code != string(b.Code) || kept.Token != "notify-me" {
			t.Fatalf("kept: %v", err)
		}
		moved := *r
		moved.ID = "apr_00000000000000000000000000"
		if _, err := e.Secrets(&moved); err == nil {
			t.Error("what was sealed for one request opens for another")
		}
		err = e.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			row, err := db.One(tx, db.Scalar[string], `SELECT sealed || request || answer FROM approvals WHERE realm = $1 AND id = $2`, tx.Realm, b.ID)
			if strings.Contains(row, "notify-me") || strings.Contains(row, string(b.Code)) || !strings.Contains(row, "usr_ada") {
				t.Errorf("the row says %s", row)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if err := e.Forget(t.Context(), dbtest.Realm, b.ID); err != nil {
			t.Fatal(err)
		}
		if r, err = e.ByID(t.Context(), dbtest.Realm, b.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Secrets(r); err == nil {
			t.Error("kept after it was forgotten")
		}
	})
}

// TestTooManyRequestsTirePeople: five of one client and twenty of all wait for
// one person; what was decided or is over makes room.
func TestTooManyRequestsTirePeople(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		n := device
		n.Kind, n.Subject = approval.Backchannel, "usr_ada"
		ask := func(client, subject string) error {
			n.Client, n.Subject = client, subject
			_, err := e.Ask(t.Context(), dbtest.Realm, n)
			return err
		}
		var last approval.Begun
		for i := range 20 {
			n.Client = []string{"one", "two", "three", "four"}[i/5]
			last = e.begin(t, dbtest.Realm, n)
		}
		for _, client := range []string{"four", "five"} {
			if err := ask(client, "usr_ada"); !fault.Is(err, fault.TooMany) {
				t.Errorf("one more of %s: %v", client, err)
			}
		}
		if err := ask("four", "usr_bob"); err != nil {
			t.Errorf("of somebody else: %v", err)
		}
		if err := e.deny(t, last.ID, "usr_ada"); err != nil {
			t.Fatal(err)
		}
		if err := ask("one", "usr_ada"); !fault.Is(err, fault.TooMany) {
			t.Errorf("a sixth of one client: %v", err)
		}
		if err := ask("five", "usr_ada"); err != nil {
			t.Errorf("after a decision: %v", err)
		}
		if open, err := e.OpenFor(t.Context(), dbtest.Realm, "usr_ada"); err != nil || len(open) != 20 || !slices.ContainsFunc(open, func(r *approval.Request) bool { return r.Client == "five" }) {
			t.Errorf("%d wait: %v", len(open), err)
		}
		e.Clock.Advance(10 * time.Minute)
		if err := ask("one", "usr_ada"); err != nil {
			t.Errorf("after their time: %v", err)
		}
	})
}

// TestHastyClientsWaitLonger: RFC 8628, section 3.5. Each question that comes
// too early lengthens the wait by five seconds, for good.
func TestHastyClientsWaitLonger(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		b := e.begin(t, dbtest.Realm, device)
		for i, step := range []struct {
			after time.Duration
			want  approval.Outcome
			wait  time.Duration
		}{
			{0, approval.Waiting, 5 * time.Second},
			{4 * time.Second, approval.Hasty, 10 * time.Second},
			{9700 * time.Millisecond, approval.Hasty, 15 * time.Second},
			{14800 * time.Millisecond, approval.Waiting, 15 * time.Second}, // timers are not exact
			{15 * time.Second, approval.Waiting, 15 * time.Second},
			{time.Second, approval.Hasty, 20 * time.Second},
			{15 * time.Second, approval.Hasty, 25 * time.Second},
			{25 * time.Second, approval.Waiting, 25 * time.Second},
		} {
			e.Clock.Advance(step.after)
			if r, o := e.polled(t, b); o != step.want || r.Wait != step.wait {
				t.Fatalf("step %d: %v, wait %v; want %v and %v", i, o, r.Wait, step.want, step.wait)
			}
		}
		if err := e.approve(t, b.ID, yes); err != nil {
			t.Fatal(err)
		}
		e.expect(t, b, approval.Ready) // what is there is not held back
	})
}

// TestEveryHastyQuestionCounts: of 64 questions at once, over all nodes, one is
// in time, and each of the others has lengthened the wait.
func TestEveryHastyQuestionCounts(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		b := e.begin(t, dbtest.Realm, device)
		nodes := e.nodes(t)
		var inTime atomic.Int32
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				if _, o := nodes[i%len(nodes)].polled(t, b); o == approval.Waiting {
					inTime.Add(1)
				}
			})
		}
		all.Wait()
		r, err := e.ByID(t.Context(), dbtest.Realm, b.ID)
		if want := 5*time.Second + 63*approval.Slower; err != nil || inTime.Load() != 1 || r.Wait != want {
			t.Errorf("%d were in time and the wait is %v, want 1 and %v (%v)", inTime.Load(), r.Wait, want, err)
		}
	})
}

// TestRacesHaveOneWinner: P-07. While 32 ask, 16 approve and 16 deny at once,
// over all nodes, one decision counts, and at most one client gets a grant, and
// only if it was yes.
func TestRacesHaveOneWinner(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		nodes := e.nodes(t)
		for range 4 {
			b := e.begin(t, dbtest.Realm, device)
			var decided, approved, granted atomic.Int32
			var all sync.WaitGroup
			for i := range 64 {
				n := nodes[i%len(nodes)]
				all.Go(func() {
					switch i % 4 {
					case 0:
						if n.approve(t, b.ID, yes) == nil {
							decided.Add(1)
							approved.Add(1)
						}
					case 1:
						if n.deny(t, b.ID, "") == nil {
							decided.Add(1)
						}
					default:
						if _, o := n.consume(t, b, "tv", "gnt_1"); o == approval.OK {
							granted.Add(1)
						}
					}
				})
			}
			all.Wait()
			_, o := e.consume(t, b, "tv", "gnt_1")
			if o == approval.OK {
				granted.Add(1)
			}
			if decided.Load() != 1 || granted.Load() != approved.Load() {
				t.Errorf("%d decisions, %d of them yes, %d grants; at last %v", decided.Load(), approved.Load(), granted.Load(), o)
			}
		}
	})
}

// TestExactlyTenWrongCodesAreLookedUp: RFC 8628, section 5.1. Under any
// concurrency, on all nodes and after a restart.
func TestExactlyTenWrongCodesAreLookedUp(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		right := e.begin(t, dbtest.Realm, device)
		nodes := e.nodes(t)
		find := func(n *env, guesser, code string) approval.Found {
			t.Helper()
			canonical, ok := approval.ParseCode(code)
			if !ok {
				t.Fatalf("%q is no code", code)
			}
			found, err := n.Find(t.Context(), dbtest.Realm, guesser, canonical, n.limits)
			if err != nil {
				t.Error(err)
			}
			return found
		}
		for range 20 { // right ones cost nothing
			if found := find(e, "192.0.2.7", right.UserCode); found.Request == nil || found.ID != right.ID {
				t.Fatalf("the right code: %+v", found)
			}
		}
		var looked, limited atomic.Int32
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				found := find(nodes[i%len(nodes)], "192.0.2.7", "BBBB-BBBB")
				switch {
				case found.Request != nil:
					t.Errorf("found %+v", found)
				case found.Wait > 0:
					limited.Add(1)
				default:
					looked.Add(1)
				}
			})
		}
		all.Wait()
		if looked.Load() != 10 || limited.Load() != 54 {
			t.Errorf("%d looked up and %d refused, want 10 and 54", looked.Load(), limited.Load())
		}
		if found := find(e, "192.0.2.7", right.UserCode); found.Wait != e.limits.GuessWindow {
			t.Errorf("the right code after ten wrong ones: %+v", found)
		}
		if found := find(&env{e.Env, approval.NewStore(e.DB, e.Log, newBox(t)), e.limits}, "192.0.2.7", right.UserCode); found.Wait == 0 {
			t.Errorf("after a restart: %+v", found)
		}
		if found := find(e, "usr_ada", right.UserCode); found.Request == nil {
			t.Errorf("somebody else is held up: %+v", found)
		}
		e.Clock.Advance(e.limits.GuessWindow)
		again := e.begin(t, dbtest.Realm, device)
		if found := find(e, "192.0.2.7", again.UserCode); found.Request == nil || found.ID != again.ID {
			t.Errorf("after the window: %+v", found)
		}
	})
}

// TestCodesOfClosedRequestsAreWrong: only what can still be decided is found.
func TestCodesOfClosedRequestsAreWrong(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		find := func(b approval.Begun) bool {
			t.Helper()
			code, _ := approval.ParseCode(b.UserCode)
			found, err := e.Find(t.Context(), dbtest.Realm, "192.0.2.7", code, e.limits)
			if err != nil {
				t.Fatal(err)
			}
			return found.Request != nil
		}
		denied, approved, late := e.begin(t, dbtest.Realm, device), e.begin(t, dbtest.Realm, device), e.begin(t, dbtest.Realm, device)
		if err := e.deny(t, denied.ID, ""); err != nil {
			t.Fatal(err)
		}
		if err := e.approve(t, approved.ID, yes); err != nil {
			t.Fatal(err)
		}
		if find(denied) || find(approved) || !find(late) {
			t.Error("closed ones are found, or the open one is not")
		}
		e.Clock.Advance(10 * time.Minute)
		if find(late) {
			t.Error("an expired one is found")
		}
	})
}

// TestCollectKeepsWhatIsAskedAbout: an hour after their time requests go, and
// guesses when their window is over.
func TestCollectKeepsWhatIsAskedAbout(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		b := e.begin(t, dbtest.Realm, device)
		if _, err := e.Find(t.Context(), dbtest.Realm, "192.0.2.7", "BBBBBBBB", e.limits); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			after time.Duration
			gone  int64
			want  approval.Outcome
		}{{10 * time.Minute, 0, approval.Expired}, {time.Hour, 1, approval.Expired}, {time.Minute, 1, approval.Unknown}} {
			e.Clock.Advance(step.after)
			if n, err := e.Collect(t.Context(), dbtest.Realm, e.limits); err != nil || n != step.gone {
				t.Errorf("%v later %d rows went, want %d (%v)", step.after, n, step.gone, err)
			}
			e.expect(t, b, step.want)
		}
	})
}

// TestCodesAreReadAsTheyAreTyped: case, hyphens and spaces do not matter.
func TestCodesAreReadAsTheyAreTyped(t *testing.T) {
	for typed, want := range map[string]string{
		"BCDF-GHJK": "BCDFGHJK", "bcdfghjk": "BCDFGHJK", " b c d f – g h j k ": "BCDFGHJK", "BCDF_GHJK": "BCDFGHJK", "Bcdf.Ghjk": "BCDFGHJK",
		"": "", "BCDF-GHJ": "", "BCDF-GHJKL": "", "BCDF-GHJA": "", "BCDF-GHJ1": "", "ＢCDFGHJK": "", strings.Repeat(" ", 60) + "BCDFGHJK": "",
	} {
		got, ok := approval.ParseCode(typed)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q is read as %q, %v; want %q", typed, got, ok, want)
		}
	}
	if got := approval.ShowCode("BCDFGHJK"); got != "BCDF-GHJK" {
		t.Errorf("shown as %q", got)
	}
}

// FuzzParseCode: what is read has one form, and reads as itself.
func FuzzParseCode(f *testing.F) {
	for _, s := range []string{"BCDF-GHJK", "bcdf ghjk", "", "---", "BCDF–GHJK", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := approval.ParseCode(typed)
		if !ok {
			return
		}
		if again, ok := approval.ParseCode(approval.ShowCode(code)); !ok || again != code || len(code) != 8 {
			t.Fatalf("%q is read as %q, and that as %q", typed, code, again)
		}
	})
}
