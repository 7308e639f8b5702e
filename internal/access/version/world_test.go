package version

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/secret"
)

// world is a registry with facts and past decisions that tests set.
type world struct {
	*Registry
	*audittest.Env
	facts *graph.Graph
	past  []Recorded
	root  string // below which directories may be followed
}

func everywhere(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	audittest.Run(t, func(t *testing.T, e *audittest.Env) { fn(t, newWorld(t, e)) })
}

func newWorld(t *testing.T, e *audittest.Env) *world {
	t.Helper()
	box, err := secret.NewBox(bytes.Repeat([]byte{3}, 32))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Env: e, facts: graph.Empty(), root: t.TempDir()}
	w.Registry = New(Options{DB: e.DB, Log: e.Log, Box: box, Directories: []string{w.root},
		Facts: func(context.Context, string) (func(*policy.Set) *policy.Snapshot, error) {
			return func(s *policy.Set) *policy.Snapshot { return policy.NewSnapshot(s, w.facts, 7) }, nil
		},
		Decisions: func(_ context.Context, _ string, since, until time.Time, yield func(Recorded) error) error {
			for _, d := range w.past {
				if d.Question.At.Before(since) || !d.Question.At.Before(until) {
					continue
				}
				if err := yield(d); err != nil {
					return err
				}
			}
			return nil
		}})
	e.Start(t)
	return w
}

// example is a folder of examples/policies, with replacements in its texts.
func example(t testing.TB, name string, replace ...string) folder.Files {
	t.Helper()
	files, problems := folder.Open(os.DirFS("../../../examples/policies/" + name))
	if len(problems) > 0 || len(files) == 0 {
		t.Fatal(len(files), problems)
	}
	for i := range files {
		files[i].Text = []byte(strings.NewReplacer(replace...).Replace(string(files[i].Text)))
	}
	return files
}

func (w *world) mustApply(t *testing.T, files folder.Files) *Version {
	t.Helper()
	v, err := w.Apply(context.Background(), audittest.By, dbtest.Realm, Change{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// set is the policies that a node decides by.
func (w *world) set(t *testing.T, r *Registry) (s *policy.Set) {
	t.Helper()
	err := r.DB.View(context.Background(), dbtest.Realm, func(tx *db.Tx) (err error) { s, err = r.SetTx(tx); return err })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) events(t *testing.T) string { return fmt.Sprint(w.Events(t, dbtest.Realm)) }
