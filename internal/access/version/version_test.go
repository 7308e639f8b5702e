package version

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
)

var ctx = context.Background()

func TestFoldersAreAppliedAndTakenBack(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		if w.set(t, w.Registry) != nil {
			t.Error("a realm begins with policies")
		}
		if _, _, err := w.ByNumber(ctx, dbtest.Realm, 0); fault.Code(err) != "policy_none" {
			t.Errorf("without a policy: %v", err)
		}
		first := w.mustApply(t, example(t, "documents"))
		if again := w.mustApply(t, example(t, "documents")); again.Number != first.Number {
			t.Errorf("the same folder made version %d", again.Number)
		}
		second := w.mustApply(t, example(t, "payments"))
		if second.Number != 2 || w.set(t, w.Registry).Hash() != second.Hash || second.Hash == first.Hash {
			t.Errorf("%+v after %+v", second, first)
		}
		back, err := w.Rollback(ctx, audittest.By, dbtest.Realm, first.Number, "payments were too early")
		if err != nil || back.Number != 3 || back.Hash != first.Hash || back.Origin != "version 1" || back.Tests != first.Tests {
			t.Fatalf("%+v, %v", back, err)
		}
		if w.set(t, w.Registry).Hash() != first.Hash {
			t.Error("the old policies do not count again")
		}
		_, files, err := w.ByNumber(ctx, dbtest.Realm, 2)
		if want := example(t, "payments"); err != nil || contentOf(files) != contentOf(want) {
			t.Errorf("version 2 reads differently: %v", err)
		}
		all, next, err := w.List(ctx, dbtest.Realm, "", 2)
		if err != nil || len(all) != 2 || all[0].Number != 3 || next != "2" {
			t.Fatalf("%v, %q, %v", all, next, err)
		}
		if all, next, err = w.List(ctx, dbtest.Realm, next, 2); err != nil || len(all) != 1 || all[0].By.ID != audittest.By.ID || next != "" {
			t.Errorf("%v, %q, %v", all, next, err)
		}
		d, err := w.Diff(ctx, dbtest.Realm, 2, 0)
		if err != nil || len(d) == 0 || !strings.Contains(fmt.Sprint(d), "policy four-eyes, which forbids, is removed") {
			t.Errorf("%v, %v", d, err)
		}
		if got := w.events(t); got != "[policy.apply policy.apply policy.rollback]" {
			t.Error(got)
		}
		if v, err := w.Current(ctx, dbtest.Neighbour); v != nil || err != nil {
			t.Errorf("the neighbour has %v, %v", v, err)
		}
	})
}

// What has problems or fails its tests changes nothing, and says why.
func TestWhatDoesNotHoldIsNotApplied(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			files      folder.Files
			code, says string
		}{
			{example(t, "documents", `"secret"`, "secret"), "policy_invalid", "policies/classified.cedar:"},
			{example(t, "documents", "[share, delete]", "[share]"), "policy_tests_failed", "want allow, got deny"},
			{nil, "policy_invalid", "there is no schema"},
		} {
			_, err := w.Apply(ctx, audittest.By, dbtest.Realm, Change{Files: c.files})
			if fault.Code(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %s with %q", err, c.code, c.says)
			}
		}
		if v, err := w.Current(ctx, dbtest.Realm); v != nil || err != nil || len(w.Events(t, dbtest.Realm)) != 0 {
			t.Errorf("%+v, %v", v, err)
		}
		if _, err := w.Rollback(ctx, audittest.By, dbtest.Realm, 9, ""); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		if _, err := w.Apply(ctx, audittest.By, dbtest.Realm, Change{Files: example(t, "documents"), Message: "\x1b[2J"}); fault.Code(err) != "message_invalid" {
			t.Error(err)
		}
	})
}

// Only so many versions are kept, and of their files those that are still in one.
func TestOldVersionsAreForgotten(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		for i := range 3 {
			w.mustApply(t, example(t, "authzen", "administrators may", fmt.Sprint("number ", i, " may")))
		}
		err := w.Registry.DB.Update(ctx, dbtest.Realm, pruneBelow(3))
		if err != nil {
			t.Fatal(err)
		}
		all, _, err := w.List(ctx, dbtest.Realm, "", 10)
		if err != nil || len(all) != 1 || all[0].Number != 3 {
			t.Fatal(all, err)
		}
		if n := countFiles(t, w); n != all[0].Files {
			t.Errorf("%d files are kept of %d", n, all[0].Files)
		}
	})
}

// Two who apply at once on the same base do not both succeed.
func TestApplyOnAnOldBaseIsRefused(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.mustApply(t, example(t, "documents"))
		none := int64(0)
		_, err := w.Apply(ctx, audittest.By, dbtest.Realm, Change{Files: example(t, "payments"), Base: &none})
		if fault.Code(err) != "policy_changed" {
			t.Error(err)
		}
	})
}

// When apply returns, every node decides by the new policies.
func TestAllNodesHaveTheNewPolicies(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		node := w.Node(t)
		told := make(chan string, 1)
		other := New(Options{DB: node.DB, Log: node.Log, Box: w.Box, Facts: w.Facts})
		node.Log.Follow("test", func(e audit.Record) {
			if Applied(e) {
				told <- fmt.Sprint(e.Data["hash"])
			}
		}, func() {})
		node.Start(t)
		v := w.mustApply(t, example(t, "documents"))
		select {
		case hash := <-told:
			if hash != v.Hash || w.set(t, other).Hash() != v.Hash {
				t.Errorf("the other node has %s, want %s", hash, v.Hash)
			}
		default:
			t.Error("the other node was not told when apply returned")
		}
	})
}

// After an upgrade a version may not compile any more. What it would judge is
// broken, and nothing else; a plan still says what a corrected folder does.
func TestAVersionThatDoesNotCompileAnyMore(t *testing.T) {
	own := func(action string) folder.File {
		return folder.File{Path: "cardea/own.cedar", Text: []byte(`@id("own") forbid (principal, action == Cardea::Action::"` + action + `", resource);`)}
	}
	for what, c := range map[string]struct {
		own      bool
		old, new string
		set      bool // can still be used
		guard    bool
	}{
		"an operation is gone":               {true, "suspend-user", "banish-user", true, false},
		"the language is stricter":           {false, `"secret"`, "secret", false, true},
		"stricter, and there are own":        {true, `"secret"`, "secret", false, false},
		"what is no text is not looked into": {true, `"secret"`, "\x01", false, false},
	} {
		everywhere(t, func(t *testing.T, w *world) {
			files := example(t, "documents")
			if c.own {
				files = append(files, own("suspend-user"))
			}
			w.mustApply(t, files)
			if why, err := w.Broken(ctx, dbtest.Realm); why != "" || err != nil {
				t.Fatalf("%s: before: %q %v", what, why, err)
			}
			upgraded(t, w, c.old, c.new)
			err := w.Registry.DB.View(ctx, dbtest.Realm, func(tx *db.Tx) error {
				set, err := w.SetTx(tx)
				if (set != nil) != c.set || (fault.Code(err) == policy.CodeBroken) == c.set {
					t.Errorf("%s: %v %v", what, set, err)
				}
				guard, broken, err := w.GuardTx(tx)
				if err != nil || (broken == nil) != c.guard || guard != nil {
					t.Errorf("%s: administration: %v %v %v", what, guard, broken, err)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if why, err := w.Broken(ctx, dbtest.Realm); !strings.HasPrefix(why, "version 1 of the policies does not compile any more: ") || err != nil {
				t.Errorf("%s: %q %v", what, why, err)
			}
			if why, err := w.Broken(ctx, dbtest.Neighbour); why != "" || err != nil {
				t.Errorf("%s: next door: %q %v", what, why, err)
			}
			corrected := example(t, "documents", "@id(", "// corrected\n@id(")
			if p, err := w.Plan(ctx, dbtest.Realm, corrected, 0); err != nil || len(p.Problems) > 0 {
				t.Errorf("%s: a plan: %v %v", what, p, err)
			}
			if v := w.mustApply(t, corrected); v.Number != 2 {
				t.Errorf("%s: %+v", what, v)
			}
			if why, err := w.Broken(ctx, dbtest.Realm); why != "" || err != nil {
				t.Errorf("%s: corrected: %q %v", what, why, err)
			}
		})
	}
}
