package decide_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/decide"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
)

var ctx = context.Background()

const schema = `
entity user in [team] { level?: Long };
entity team in [team];
entity folder in [folder];
entity payment in [folder, team] { status?: String };
action read, refund appliesTo { principal: user, resource: payment };
`

const policies = `
@id("frozen") @reason("only active payments are refunded")
forbid (principal, action == Action::"refund", resource) unless { resource has status && resource.status == "active" };
@id("high") permit (principal, action == Action::"read", resource) when { principal has level && principal.level > 3 };
`

var roles = policy.Roles{File: "roles.yaml", Types: []policy.RoleType{{Type: "payment", Roles: []policy.Role{
	{Name: "viewer", Permissions: []string{"read"}}, {Name: "clerk", Implies: []string{"viewer"}, Permissions: []string{"refund"}}}},
	{Type: "folder", Roles: []policy.Role{{Name: "viewer"}, {Name: "clerk", Implies: []string{"viewer"}}}},
	{Type: "team", Roles: []policy.Role{{Name: "viewer"}, {Name: "clerk", Implies: []string{"viewer"}}}}}}

func compiled(t testing.TB) *policy.Set {
	t.Helper()
	set, err := policy.Compile(policy.Source{Schema: policy.File{Name: "schema.cedarschema", Text: []byte(schema)},
		Policies: []policy.File{{Name: "policies/all.cedar", Text: []byte(policies)}}, Roles: roles})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func entity(text string) graph.Entity {
	typ, id, _ := strings.Cut(text, ":")
	return graph.Entity{Type: typ, ID: id}
}

func tuple(text string) graph.Tuple {
	f := strings.Fields(text)
	return graph.Tuple{Subject: entity(f[0]), Relation: f[1], Object: entity(f[2])}
}

type world struct {
	*audittest.Env
	facts *relation.Store
	snaps *decide.Snapshots
	set   *policy.Set
	wrong error // of reading the policies
}

func open(t *testing.T, e *audittest.Env, most int) *world {
	t.Helper()
	return openWith(t, e, most, decide.Directory{})
}

func openWith(t *testing.T, e *audittest.Env, most int, d decide.Directory) *world {
	t.Helper()
	w := asleep(t, e, most, d)
	w.snaps.Start()
	t.Cleanup(w.snaps.Close)
	return w
}

// asleep is openWith where nothing is carried on but by those who ask.
func asleep(t *testing.T, e *audittest.Env, most int, d decide.Directory) *world {
	t.Helper()
	w := &world{Env: e, facts: relation.NewStore(relation.Options{DB: e.DB, Log: e.Log}), set: compiled(t)}
	w.snaps = decide.New(decide.Options{DB: e.DB, Log: e.Log, Facts: w.facts, Most: most, Directory: d,
		Policies: func(*db.Tx) (*policy.Set, error) { return w.set, w.wrong },
		Applied:  func(r audit.Record) bool { return r.Action == "policy.apply" }})
	e.Start(t)
	return w
}

// Whoever asks while the facts of a realm are being read is told so before long, is
// never told yes, and its going away does not end the reading. So it is when a realm
// is built anew.
func TestALoadGoesOnWhenNobodyWaits(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := asleep(t, e, 0, decide.Directory{})
		w.write(t, graph.Change{Add: []graph.Tuple{tuple("user:ann clerk payment:1")}})
		let, loads := make(chan struct{}), 0
		w.snaps.Loading(time.Millisecond, func() { loads++; <-let })
		ask := func(ctx context.Context) error {
			snap, _, err := w.snaps.At(ctx, dbtest.Realm, audit.Position{})
			if err != nil && snap != nil {
				t.Error("an error with a snapshot")
			}
			return err
		}
		gone, leave := context.WithCancel(ctx)
		for range 3 {
			var f *fault.Error
			if err := ask(gone); !errors.As(err, &f) || f.Kind != fault.Unavailable || f.Code != decide.CodeLoading || f.RetryAfter == 0 {
				t.Fatalf("while it is read: %v", err)
			}
		}
		if a := w.may("user:ann", "read", "payment:1", audit.Position{}); a.Allowed || len(a.Reasons) != 1 || a.Reasons[0].Error == "" {
			t.Errorf("while it is read: %+v", a)
		}
		leave()
		close(let)
		w.snaps.Loaded(dbtest.Realm)
		if a := w.may("user:ann", "read", "payment:1", audit.Position{}); !a.Allowed || loads != 1 {
			t.Errorf("%+v after %d loads", a, loads)
		}

		// A batch whose event went missing is a hole.
		err := w.DB.Update(ctx, dbtest.Realm, func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE access_facts SET version = version + 1 WHERE realm = $1`, tx.Realm)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		w.write(t, graph.Change{Remove: []graph.Tuple{tuple("user:ann clerk payment:1")}})
		let = make(chan struct{})
		if err := ask(ctx); fault.Code(err) != decide.CodeLoading {
			t.Errorf("while it is built anew: %v", err)
		}
		close(let)
		w.snaps.Loaded(dbtest.Realm)
		if a := w.may("user:ann", "read", "payment:1", audit.Position{}); a.Allowed || loads != 2 {
			t.Errorf("%+v after %d loads", a, loads)
		}
		w.snaps.Reset()
		w.snaps.Close()
		if err := ask(ctx); !fault.Is(err, fault.Unavailable) || loads != 2 {
			t.Errorf("closed: %v after %d loads", err, loads)
		}
	})
}

// A realm is loaded before anybody asks, if it has policies.
func TestARealmIsPreparedOnce(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := asleep(t, e, 0, decide.Directory{})
		loads := 0
		w.snaps.Loading(time.Minute, func() { loads++ })
		set := w.set
		w.set = nil
		if err := w.snaps.Prepare(ctx, dbtest.Realm); err != nil || w.snaps.Held() != 0 || loads != 0 {
			t.Errorf("without policies: %v, %d held", err, w.snaps.Held())
		}
		w.set = set
		w.write(t, graph.Change{Add: []graph.Tuple{tuple("user:ann clerk payment:1")}})
		for range 2 {
			if err := w.snaps.Prepare(ctx, dbtest.Realm); err != nil {
				t.Fatal(err)
			}
		}
		watched, traffic := dbtest.Watch(ctx)
		if snap, _, err := w.snaps.At(watched, dbtest.Realm, audit.Position{}); err != nil || snap == nil || loads != 1 || traffic.Trips() != 0 {
			t.Errorf("prepared: %v after %d loads:%s", err, loads, traffic)
		}
	})
}

func (w *world) write(t testing.TB, c graph.Change) audit.Position {
	t.Helper()
	done, err := w.facts.Write(ctx, audittest.By, dbtest.Realm, relation.Batch{Change: c})
	if err != nil {
		t.Fatal(err)
	}
	return done.Revision
}

func (w *world) may(subject, action, resource string, min audit.Position) policy.Answer {
	return w.snaps.Decide(ctx, dbtest.Realm, min, &policy.Question{Subject: entity(subject), Action: action, Resource: entity(resource), At: w.DB.Now()})
}

// A payment goes from active to canceled, and the next question is refused; in
// memory and where the database answers.
func TestWhatIsAcknowledgedCounts(t *testing.T) {
	for _, most := range []int{0, 1} {
		t.Run(fmt.Sprintf("most %d", most), func(t *testing.T) {
			audittest.Run(t, func(t *testing.T, e *audittest.Env) {
				w := open(t, e, most)
				if a := w.may("user:ann", "refund", "payment:1", audit.Position{}); a.Allowed {
					t.Fatal("allowed without facts")
				}
				status := func(v string) []graph.Attribute {
					return []graph.Attribute{{Entity: entity("payment:1"), Name: "status", Value: v}}
				}
				at := w.write(t, graph.Change{Set: status("active"), Add: []graph.Tuple{tuple("user:ann member team:till"), tuple("team:till clerk folder:shop"), tuple("payment:1 parent folder:shop")}})
				a := w.may("user:ann", "refund", "payment:1", at)
				if !a.Allowed || a.Revision < at.Revision() || len(a.Path) != 3 {
					t.Fatalf("got %+v", a)
				}
				for i := range 20 {
					now := []string{"canceled", "active"}[i%2]
					at = w.write(t, graph.Change{Set: status(now)})
					if a := w.may("user:ann", "refund", "payment:1", at); a.Allowed != (now == "active") || a.Revision < at.Revision() {
						t.Fatalf("%s: %+v", now, a)
					}
				}
				w.write(t, graph.Change{Remove: []graph.Tuple{tuple("user:ann member team:till")}})
				if a := w.may("user:ann", "read", "payment:1", audit.Position{}); a.Allowed {
					t.Errorf("left the team: %+v", a)
				}
				w.write(t, graph.Change{Set: []graph.Attribute{{Entity: entity("user:ann"), Name: "level", Value: json.Number("4")}}})
				if a := w.may("user:ann", "read", "payment:1", audit.Position{}); !a.Allowed {
					t.Errorf("level 4: %+v", a)
				}
				end := tuple("user:bob viewer payment:1")
				end.Expires = w.DB.Now().UnixMilli() + 1000
				w.write(t, graph.Change{Add: []graph.Tuple{end}})
				if a := w.may("user:bob", "read", "payment:1", audit.Position{}); !a.Allowed {
					t.Errorf("before the end: %+v", a)
				}
				w.Clock.Advance(time.Second)
				if err := w.DB.View(ctx, dbtest.Realm, func(*db.Tx) error { return nil }); err != nil {
					t.Fatal(err)
				}
				q := &policy.Question{Subject: entity("user:bob"), Action: "read", Resource: entity("payment:1"), At: w.Clock.Now()}
				if a := w.snaps.Decide(ctx, dbtest.Realm, audit.Position{}, q); a.Allowed {
					t.Errorf("at the end: %+v", a)
				}
				if a := w.snaps.Decide(ctx, dbtest.Neighbour, audit.Position{}, q); a.Allowed {
					t.Error("the neighbour has this realm's facts")
				}
			})
		})
	}
}

// Two nodes: what one acknowledges the other answers by, at once, in every round.
func TestEveryNodeKnowsWhatWasAcknowledged(t *testing.T) {
	e := audittest.New(t, dbtest.Open(t, db.Postgres))
	a := open(t, e, 0)
	b := open(t, e.Node(t), 0)
	for i := range 40 {
		writer, reader := a, b
		if i%2 == 1 {
			writer, reader = b, a
		}
		c := graph.Change{Add: []graph.Tuple{tuple("user:ann viewer payment:1")}}
		if i%4 >= 2 {
			c = graph.Change{Remove: c.Add}
		}
		at := writer.write(t, c)
		for _, w := range []*world{reader, writer} {
			for _, min := range []audit.Position{{}, at} {
				if got := w.may("user:ann", "read", "payment:1", min); got.Allowed != (i%4 < 2) || got.Revision < at.Revision() {
					t.Fatalf("round %d, revision %s: %+v", i, at, got)
				}
			}
		}
	}
}

// A revision that nobody has reached is not answered by what is older.
func TestAnUnreachedRevisionIsDenied(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := open(t, e, 0)
		at := w.write(t, graph.Change{Add: []graph.Tuple{tuple("user:ann viewer payment:1")}})
		for _, far := range []audit.Position{{Epoch: at.Epoch, Seq: at.Seq + 1000}, {Epoch: at.Epoch + 1, Seq: 1}} {
			if _, _, err := w.snaps.At(ctx, dbtest.Realm, far); fault.Code(err) != decide.CodeRevision {
				t.Errorf("%s: %v", far, err)
			}
			if a := w.may("user:ann", "read", "payment:1", far); a.Allowed || len(a.Reasons) != 1 || a.Reasons[0].Error == "" {
				t.Errorf("%s: %+v", far, a)
			}
		}
	})
}

// A realm without policies, and one whose policies are taken away.
func TestPoliciesComeAndGoWithTheirEvent(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := open(t, e, 0)
		w.write(t, graph.Change{Add: []graph.Tuple{tuple("user:ann viewer payment:1")}})
		if a := w.may("user:ann", "read", "payment:1", audit.Position{}); !a.Allowed {
			t.Fatalf("%+v", a)
		}
		err := w.DB.Update(ctx, dbtest.Realm, func(tx *db.Tx) error {
			w.set = nil
			audit.Append(tx, audittest.By, audit.Event{Action: "policy.apply", TargetType: "policy", Target: "1", Invalidates: true})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if s, _, err := w.snaps.At(ctx, dbtest.Realm, audit.Position{}); s != nil || err != nil {
			t.Errorf("%v %v", s, err)
		}
		if a := w.may("user:ann", "read", "payment:1", audit.Position{}); a.Allowed || len(a.Reasons) != 1 {
			t.Errorf("%+v", a)
		}
	})
}

// Policies that cannot be used any more permit nothing, and say why; the facts can
// be had for those that are to replace them.
func TestPoliciesThatCannotBeUsedPermitNothing(t *testing.T) {
	for _, most := range []int{0, 1} {
		t.Run(fmt.Sprintf("most %d", most), func(t *testing.T) {
			audittest.Run(t, func(t *testing.T, e *audittest.Env) {
				w := open(t, e, most)
				set := w.set
				w.set, w.wrong = nil, fault.New(fault.Unavailable, policy.CodeBroken, "version 3 does not compile any more")
				w.write(t, graph.Change{Add: []graph.Tuple{tuple("user:ann viewer payment:1"), tuple("user:bob viewer payment:1")}})
				for range 2 {
					if a := w.may("user:ann", "read", "payment:1", audit.Position{}); a.Allowed || len(a.Reasons) != 1 || !strings.Contains(a.Reasons[0].Error, "version 3") {
						t.Errorf("%+v", a)
					}
				}
				if most == 0 {
					facts, err := w.snaps.Facts(ctx, dbtest.Realm)
					if err != nil {
						t.Fatal(err)
					}
					if a := policy.Decide(facts(set), &policy.Question{Subject: entity("user:ann"), Action: "read", Resource: entity("payment:1"), At: w.DB.Now()}); !a.Allowed {
						t.Errorf("%+v", a)
					}
				}
				err := w.DB.Update(ctx, dbtest.Realm, func(tx *db.Tx) error {
					w.set, w.wrong = set, nil
					audit.Append(tx, audittest.By, audit.Event{Action: "policy.apply", TargetType: "policy", Target: "1", Invalidates: true})
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if a := w.may("user:ann", "read", "payment:1", audit.Position{}); !a.Allowed {
					t.Errorf("corrected: %+v", a)
				}
			})
		})
	}
}

// When the log tells of a version that does not follow, the rows are read again.
func TestAHoleIsNotAnsweredOver(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := open(t, e, 0)
		w.write(t, graph.Change{Add: []graph.Tuple{tuple("user:ann viewer payment:1")}})
		if a := w.may("user:ann", "read", "payment:1", audit.Position{}); !a.Allowed {
			t.Fatalf("%+v", a)
		}
		for _, data := range []map[string]any{{"version": int64(99), "add": []any{[]any{"user", "eve", "viewer", "payment", "1", 0}}}, {"no": "version"}} {
			err := w.DB.Update(ctx, dbtest.Realm, func(tx *db.Tx) error {
				audit.Append(tx, audittest.By, audit.Event{Action: relation.Changed, TargetType: "access_batch", Target: "bat_none", Invalidates: true, Data: data})
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if a := w.may("user:eve", "read", "payment:1", audit.Position{}); a.Allowed {
				t.Errorf("what no row says is allowed: %+v", a)
			}
			if a := w.may("user:ann", "read", "payment:1", audit.Position{}); !a.Allowed {
				t.Errorf("what the rows say is denied: %+v", a)
			}
		}
	})
}

// Loading while everybody writes ends in the facts, on memory and by SQL alike,
// and both say the same of random questions. The seed is printed.
func TestMemoryAndSQLAgreeWithTheRowsUnderWriting(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		w := open(t, e, 0)
		rounds := 12
		if testing.Short() {
			rounds = 4
		}
		names := func(r *rand.Rand, typ string) string { return fmt.Sprintf("%s:%d", typ, r.IntN(5)) }
		change := func(r *rand.Rand) (c graph.Change) {
			for range 1 + r.IntN(3) {
				var text string
				switch r.IntN(6) {
				case 0:
					text = names(r, "user") + " member " + names(r, "team")
				case 1:
					text = names(r, "team") + " member " + names(r, "team")
				case 2:
					text = names(r, "payment") + " parent " + names(r, "folder")
				case 3:
					text = names(r, "folder") + " parent " + names(r, "folder")
				case 4:
					text = names(r, []string{"user", "team"}[r.IntN(2)]) + " clerk " + names(r, []string{"folder", "payment"}[r.IntN(2)])
				default:
					text = names(r, "user") + " viewer " + names(r, "payment")
				}
				if r.IntN(3) == 0 {
					c.Remove = append(c.Remove, tuple(text))
				} else {
					c.Add = append(c.Add, tuple(text))
				}
			}
			if r.IntN(3) == 0 {
				c.Set = append(c.Set, graph.Attribute{Entity: entity(names(r, "payment")), Name: "status", Value: []string{"active", "canceled"}[r.IntN(2)]})
			}
			if r.IntN(20) == 0 {
				c.Drop = append(c.Drop, entity(names(r, "team")))
			}
			return c
		}
		for round := range rounds {
			fresh := decideAgain(t, w)
			var wg sync.WaitGroup
			for k := range 3 {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(seed, uint64(round*10+k)))
					for range 8 {
						_, err := w.facts.Write(ctx, audittest.By, dbtest.Realm, relation.Batch{Change: change(r)})
						if err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Invalid) {
							t.Error(err)
						}
					}
				})
			}
			wg.Go(func() { // it is loaded while they write
				if _, _, err := w.snaps.At(ctx, dbtest.Realm, audit.Position{}); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			snap, _, err := w.snaps.At(ctx, dbtest.Realm, audit.Position{})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := tuplesOf(snap.Graph()), fresh(); got != want {
				t.Fatalf("round %d: the snapshot has\n%s\nthe rows have\n%s", round, got, want)
			}
			r := rand.New(rand.NewPCG(seed, uint64(round)))
			for range 60 {
				q := &policy.Question{Subject: entity(names(r, "user")), Action: []string{"read", "refund"}[r.IntN(2)], Resource: entity(names(r, "payment")), At: w.DB.Now()}
				var small policy.Answer
				err := w.DB.View(ctx, dbtest.Realm, func(tx *db.Tx) error {
					c, err := relation.Closure(tx, q.At.UnixMilli(), w.set.Deciding(q), []graph.Entity{q.Subject}, []graph.Entity{q.Resource}, nil)
					if err != nil {
						return err
					}
					g, err := graph.Empty().Apply(c)
					if err == nil {
						small = policy.Decide(policy.NewSnapshot(w.set, g, 0), q)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				if big := policy.Decide(snap, q); big.Allowed != small.Allowed || fmt.Sprint(big.Determining) != fmt.Sprint(small.Determining) {
					t.Fatalf("%+v: memory says %+v, SQL %+v", q, big, small)
				}
			}
			if round%3 == 2 { // let go of, so that the next round loads anew
				w.Clock.Advance(time.Hour)
				w.snaps.LetGo()
			}
		}
	})
}

// A realm that the database answers for keeps no events, and a policy that forbids
// looks through values there, too.
func TestLargeRealmsForgetNothing(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := open(t, e, 1)
		var err error
		w.set, err = policy.Compile(policy.Source{Schema: policy.File{Name: "schema.cedarschema", Text: []byte(`
entity team in [team];
entity user in [team];
entity payment { payee?: user };
action read, refund appliesTo { principal: user, resource: payment };
`)}, Policies: []policy.File{{Name: "policies/all.cedar", Text: []byte(`
@id("all") permit (principal, action, resource);
@id("banned") forbid (principal, action == Action::"refund", resource) when { resource has payee && resource.payee in team::"banned" };
`)}}})
		if err != nil {
			t.Fatal(err)
		}
		var at audit.Position
		for i := range 5 {
			at = w.write(t, graph.Change{Add: []graph.Tuple{tuple("user:bob member team:banned"), tuple(fmt.Sprintf("user:%d member team:a", i))},
				Set: []graph.Attribute{{Entity: entity("payment:1"), Name: "payee", Value: "bob"}}})
			if a := w.may("user:ann", "read", "payment:1", at); !a.Allowed {
				t.Fatalf("reading: %+v", a)
			}
		}
		if a := w.may("user:ann", "refund", "payment:1", at); a.Allowed || fmt.Sprint(a.Determining) != "[banned]" {
			t.Errorf("a refund to who is banned: %+v", a)
		}
		if n := w.snaps.Noted(dbtest.Realm); n != 0 {
			t.Errorf("%d events are kept", n)
		}
	})
}

// A ban that does not fit into the graph must not be forgotten: whoever is in the
// group may do nothing.
func TestAMembershipThatDoesNotFitRefuses(t *testing.T) {
	for _, most := range []int{0, 1} {
		audittest.Run(t, func(t *testing.T, e *audittest.Env) {
			w := &world{Env: e, facts: relation.NewStore(relation.Options{DB: e.DB, Log: e.Log})}
			var err error
			w.set, err = policy.Compile(policy.Source{Schema: policy.File{Name: "schema.cedarschema", Text: []byte(`
entity team in [team];
entity user in [team];
entity payment;
action read appliesTo { principal: user, resource: payment };
`)}, Policies: []policy.File{{Name: "policies/all.cedar", Text: []byte(`
@id("all") permit (principal, action, resource);
@id("banned") forbid (principal in team::"banned", action, resource);
`)}}})
			if err != nil {
				t.Fatal(err)
			}
			who := map[string]graph.Entity{"bob": entity("user:bob"), "ann": entity("user:ann"), "banned": entity("team:banned"), "all": entity("team:all")}
			in := map[string][]graph.Tuple{"bob": {tuple("user:bob member team:banned")}, "banned": {tuple("team:banned member team:all")}}
			read := func(ids []string) (all []decide.Entry) {
				for _, id := range ids {
					all = append(all, decide.Entry{Entity: who[id], Attributes: map[string]any{"status": "active"}, In: in[id]})
				}
				return all
			}
			w.snaps = decide.New(decide.Options{DB: e.DB, Log: e.Log, Facts: w.facts, Most: most, Policies: func(*db.Tx) (*policy.Set, error) { return w.set, nil },
				Directory: decide.Directory{
					Page: func(*db.Tx, string, int) ([]decide.Entry, string, error) {
						return read([]string{"all", "ann", "banned", "bob"}), "", nil
					},
					Read:    func(_ *db.Tx, ids []string) ([]decide.Entry, error) { return read(ids), nil },
					Touched: func(audit.Record) ([]string, []string) { return nil, nil },
					Entity:  func(id string) (graph.Entity, bool) { return who[id], true },
					Owns:    func(e graph.Entity) bool { return who[e.ID] == e },
					Words:   []string{"status", "unfit"}, Unfit: "unfit",
					Gate: func(g *graph.Graph, e graph.Entity, _ time.Time) string {
						for name := range g.Attributes(e) {
							if name == "unfit" {
								return "unfit"
							}
						}
						return ""
					}}})
			e.Start(t)
			var deep graph.Change
			for i := range graph.MaxDepth - 1 {
				deep.Add = append(deep.Add, tuple(fmt.Sprintf("team:%d member team:%d", i, i+1)))
			}
			w.write(t, deep)
			if most == 0 { // everybody fits, and the ban is met
				if a := w.may("user:bob", "read", "payment:1", audit.Position{}); a.Allowed || fmt.Sprint(a.Determining) != "[banned]" {
					t.Errorf("banned: %+v", a)
				}
			}
			at := w.write(t, graph.Change{Add: []graph.Tuple{tuple("team:all member team:0")}})
			if a := w.may("user:bob", "read", "payment:1", at); a.Allowed {
				t.Errorf("a ban that does not fit: %+v", a)
			}
			if a := w.may("user:ann", "read", "payment:1", at); !a.Allowed {
				t.Errorf("somebody else: %+v", a)
			}
		})
	}
}

func tuplesOf(g *graph.Graph) string {
	var b strings.Builder
	for t := range g.All() {
		fmt.Fprintln(&b, t)
	}
	return b.String()
}

// decideAgain gives a function that builds the facts from the rows alone.
func decideAgain(t *testing.T, w *world) func() string {
	return func() string {
		t.Helper()
		b := graph.NewBuilder()
		err := w.facts.Load(ctx, dbtest.Realm, 1<<40, b.Add, b.Set)
		if err != nil {
			t.Fatal(err)
		}
		g, err := b.Graph()
		if err != nil {
			t.Fatal(err)
		}
		return tuplesOf(g)
	}
}

// directory is another side with people and groups whose ids begin with d_. It is
// written while snapshots are carried on in the background.
type directory struct{ all sync.Map } // id → decide.Entry

func (d *directory) is() decide.Directory {
	of := func(id string) (graph.Entity, bool) {
		return graph.Entity{Type: map[bool]string{true: "team", false: "user"}[strings.HasPrefix(id, "d_team")], ID: id}, strings.HasPrefix(id, "d_")
	}
	return decide.Directory{
		Page: func(*db.Tx, string, int) (all []decide.Entry, _ string, _ error) {
			for _, x := range d.all.Range {
				all = append(all, x.(decide.Entry))
			}
			return all, "", nil
		},
		Read: func(_ *db.Tx, ids []string) (all []decide.Entry, _ error) {
			for _, id := range ids {
				if x, ok := d.all.Load(id); ok {
					all = append(all, x.(decide.Entry))
				}
			}
			return all, nil
		},
		Of: func(_ *db.Tx, typ, after string, limit int) (all []decide.Entry, _ error) {
			for _, x := range d.all.Range {
				if x := x.(decide.Entry); x.Entity.Type == typ && x.Entity.ID > after {
					all = append(all, x)
				}
			}
			slices.SortFunc(all, func(a, b decide.Entry) int { return strings.Compare(a.Entity.ID, b.Entity.ID) })
			return all[:min(limit, len(all))], nil
		},
		Inside: func(_ *db.Tx, ids []string, limit int) (all []graph.Tuple, _ error) {
			for _, x := range d.all.Range {
				for _, t := range x.(decide.Entry).In {
					if slices.Contains(ids, t.Object.ID) && len(all) < limit {
						all = append(all, t)
					}
				}
			}
			return all, nil
		},
		Touched: func(r audit.Record) (changed, ended []string) {
			if r.Action == "person" {
				return []string{r.Target}, nil
			}
			return nil, nil
		},
		Entity: of,
		Owns:   func(e graph.Entity) bool { own, ok := of(e.ID); return ok && own == e },
		Kinds:  []string{"user", "team"}, Words: []string{"kind"},
	}
}

// put says what somebody is in, as the directory has it.
func (d *directory) put(id string, in ...string) {
	e, _ := d.is().Entity(id)
	x := decide.Entry{Entity: e, Attributes: map[string]any{"kind": "person"}}
	for _, text := range in {
		x.In = append(x.In, tuple(e.Type+":"+id+" "+text))
	}
	d.all.Store(id, x)
}

func (w *world) touch(t *testing.T, id string) {
	t.Helper()
	err := w.DB.Update(ctx, dbtest.Realm, func(tx *db.Tx) error {
		audit.Append(tx, audittest.By, audit.Event{Action: "person", TargetType: "person", Target: id, Invalidates: true})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What was written about the directory's own stays beside what the directory says,
// whichever of the two changes, and a snapshot that was carried on is the one that
// is built anew.
func TestFactsStandBesideTheDirectory(t *testing.T) {
	for _, most := range []int{0, 1} {
		t.Run(fmt.Sprintf("most %d", most), func(t *testing.T) {
			audittest.Run(t, func(t *testing.T, e *audittest.Env) {
				d := new(directory)
				d.put("d_team")
				d.put("d_ann", "member team:d_team", "viewer team:d_team")
				w := openWith(t, e, most, d.is())
				roles := func(when string, viewer, clerk bool) {
					t.Helper()
					for _, fresh := range []bool{false, true} {
						if fresh {
							w.Clock.Advance(time.Hour)
							w.snaps.LetGo()
						}
						for action, want := range map[string]bool{"read": viewer || clerk, "refund": clerk} {
							if a := w.may("user:d_ann", action, "payment:1", audit.Position{}); a.Allowed != want {
								t.Errorf("%s, built anew %v: %s is %+v", when, fresh, action, a)
							}
						}
					}
				}
				active := graph.Attribute{Entity: entity("payment:1"), Name: "status", Value: "active"}
				w.write(t, graph.Change{Set: []graph.Attribute{active}, Add: []graph.Tuple{tuple("payment:1 parent team:d_team")}})
				roles("by the directory alone", true, false)
				w.write(t, graph.Change{Add: []graph.Tuple{tuple("user:d_ann clerk team:d_team")}})
				roles("a role was written", true, true)
				w.touch(t, "d_ann")
				roles("the directory speaks of her again", true, true)
				w.write(t, graph.Change{Remove: []graph.Tuple{tuple("user:d_ann viewer team:d_team")}})
				w.write(t, graph.Change{Remove: []graph.Tuple{tuple("user:d_ann clerk team:d_team")}})
				roles("what the directory says was not written and stays", true, false)
				past := tuple("user:d_ann viewer team:d_team")
				past.Expires = 1
				w.write(t, graph.Change{Add: []graph.Tuple{past}})
				roles("written as ended", true, false)
				w.write(t, graph.Change{Add: []graph.Tuple{tuple("user:d_ann viewer team:d_team")}})
				d.put("d_ann", "member team:d_team")
				w.touch(t, "d_ann")
				roles("the directory takes back what was written as well", true, false)
				w.write(t, graph.Change{Remove: []graph.Tuple{past}})
				roles("and it is taken back", false, false)
			})
		})
	}
}

// While a realm is made compact it is written and asked, and afterwards it holds
// what was written meanwhile.
func TestNobodyWaitsForCompaction(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		d := new(directory)
		d.put("d_ann")
		w := openWith(t, e, 0, d.is())
		w.write(t, graph.Change{Add: []graph.Tuple{tuple("user:ann viewer payment:1"), tuple("user:bob viewer payment:1")}})
		for _, built := range []bool{false, true} {
			if !w.may("user:ann", "read", "payment:1", audit.Position{}).Allowed {
				t.Fatal("the facts are not there")
			}
			w.snaps.Compact(dbtest.Realm, func() {
				w.write(t, graph.Change{Remove: []graph.Tuple{tuple("user:ann viewer payment:1")}, Add: []graph.Tuple{tuple("user:d_ann viewer payment:1")}})
				d.put("d_ann")
				w.touch(t, "d_ann")
				if built {
					w.snaps.Reset()
				}
				if w.may("user:ann", "read", "payment:1", audit.Position{}).Allowed || !w.may("user:d_ann", "read", "payment:1", audit.Position{}).Allowed {
					t.Error("what was written while it is made compact does not count")
				}
			})
			if w.may("user:ann", "read", "payment:1", audit.Position{}).Allowed || !w.may("user:d_ann", "read", "payment:1", audit.Position{}).Allowed || !w.may("user:bob", "read", "payment:1", audit.Position{}).Allowed {
				t.Error("what was written meanwhile is gone")
			}
			w.write(t, graph.Change{Add: []graph.Tuple{tuple("user:ann viewer payment:1")}, Remove: []graph.Tuple{tuple("user:d_ann viewer payment:1")}})
		}
		before, _, err := w.snaps.At(ctx, dbtest.Realm, audit.Position{})
		if err != nil {
			t.Fatal(err)
		}
		w.touch(t, "nobody of this realm")
		after, _, err := w.snaps.At(ctx, dbtest.Realm, audit.Position{})
		if err != nil || after.Graph() != before.Graph() || after.Revision() <= before.Revision() {
			t.Errorf("an event of no concern: %v, the same graph %v", err, after.Graph() == before.Graph())
		}
	})
}

// A realm whose changes are always done by whoever asks first becomes compact all
// the same.
func TestWhereQuestionsAreFasterIsMadeCompact(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := asleep(t, e, 0, decide.Directory{})
		for _, who := range []string{"user:ann", "user:bob"} {
			at := w.write(t, graph.Change{Add: []graph.Tuple{tuple(who + " viewer payment:1")}})
			if !w.may(who, "read", "payment:1", at).Allowed {
				t.Fatal("the facts are not there")
			}
		}
		before, _, err := w.snaps.At(ctx, dbtest.Realm, audit.Position{})
		if err != nil {
			t.Fatal(err)
		}
		w.snaps.CarryOn()
		after, _, err := w.snaps.At(ctx, dbtest.Realm, audit.Position{})
		if err != nil || after.Graph() == before.Graph() || !w.may("user:bob", "read", "payment:1", audit.Position{}).Allowed {
			t.Errorf("nothing was made compact, %v", err)
		}
	})
}

// A realm without policies has facts, for whoever asks what policies would do.
func TestFactsDoNotWaitForPolicies(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := open(t, e, 0)
		set := w.set
		w.set = nil
		w.write(t, graph.Change{Add: []graph.Tuple{tuple("user:ann viewer payment:1")}})
		facts, err := w.snaps.Facts(ctx, dbtest.Realm)
		if err != nil {
			t.Fatal(err)
		}
		q := &policy.Question{Subject: entity("user:ann"), Action: "read", Resource: entity("payment:1"), At: w.DB.Now()}
		if a := policy.Decide(facts(set), q); !a.Allowed {
			t.Errorf("%+v", a)
		}
	})
}
