package api_test

import (
	"context"
	"errors"
	"testing"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/realm"
)

// Operators see what waits and what was given up, of their own realm, and retry
// or discard it, with an event each.
func TestJobsAreManaged(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		works := make(chan bool, 10)
		e.Jobs.Handle(job.Kind{Name: "test", Do: func(context.Context, *job.Job) error {
			if <-works {
				return nil
			}
			return job.Never(errors.New("the shop is closed"))
		}})
		add := func(in string, n job.Promise) (id string) {
			t.Helper()
			if err := e.DB.UpdateRC(context.Background(), in, func(tx *db.Tx) (err error) {
				id, err = e.Jobs.AddTx(tx, n)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return id
		}
		until := func(id, state string) (j wire.Job) {
			t.Helper()
			for deadline := time.Now().Add(20 * time.Second); ; {
				if j = must[wire.Job](t, w.call(t, "viewer", "GET", "/jobs/"+id, nil)); j.State == state {
					return j
				}
				if time.Now().After(deadline) {
					t.Fatalf("it is %+v, want it %s", j, state)
				}
				<-time.After(5 * time.Millisecond)
			}
		}
		id := add(realm.Default, job.Promise{Kind: "test", Target: "shop", Subject: "ses_1", Payload: []byte("hidden")})
		if j := until(id, "running"); j.Node == "" || j.DueAt != nil {
			t.Errorf("%+v", j)
		}
		refused(t, "retry of what runs", w.call(t, "admin", "POST", "/jobs/"+id+"/retry", nil), 409, "job_running")
		works <- false
		if j := until(id, "dead"); j.LastError != "the shop is closed" || j.Attempts != 1 || j.EndedAt == nil || j.Target != "shop" || j.Subject != "ses_1" {
			t.Errorf("%+v", j)
		}
		later := add(realm.Default, job.Promise{Kind: "test", Target: "shop", After: time.Hour})
		add(apptest.Neighbour, job.Promise{Kind: "test", Target: "shop", After: time.Hour})
		for query, want := range map[string]int{"target=shop": 2, "subject=ses_1": 1, "kind=test&state=dead": 1, "state=waiting&target=shop": 1, "kind=other": 0} {
			if got := must[wire.Page[wire.Job]](t, w.call(t, "viewer", "GET", "/jobs?"+query, nil)); len(got.Items) != want {
				t.Errorf("%s: %+v, want %d", query, got.Items, want)
			}
		}
		refused(t, "an unknown state", w.call(t, "viewer", "GET", "/jobs?state=lost", nil), 422, "")
		refused(t, "a viewer", w.call(t, "viewer", "POST", "/jobs/"+id+"/retry", nil), 403, "not_permitted")
		refused(t, "the neighbour's operator", w.inRealm(t, apptest.Neighbour, "neighbour", "POST", "/jobs/"+id+"/discard", ""), 404, "job_unknown")
		works <- true
		must[wire.Job](t, w.call(t, "admin", "POST", "/jobs/"+id+"/retry", nil))
		until(id, "done")
		refused(t, "retry of what is done", w.call(t, "admin", "POST", "/jobs/"+id+"/retry", nil), 409, "job_ended")
		for range 2 {
			if j := must[wire.Job](t, w.call(t, "admin", "POST", "/jobs/"+later+"/discard", nil)); j.State != "discarded" {
				t.Errorf("%+v", j)
			}
		}
		counts := map[string]int{}
		for _, r := range e.Events(t, realm.Default) {
			if r.TargetType == "job" {
				counts[r.Action+" "+r.Actor.Kind]++
			}
		}
		if len(counts) != 3 || counts["job.fail system"] != 1 || counts["job.retry service"] != 1 || counts["job.discard service"] != 1 {
			t.Errorf("events %v", counts)
		}
	})
}
