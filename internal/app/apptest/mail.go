package apptest

import (
	"context"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/identity/letter"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/mail"
)

// patience is how long a test waits for what the queue does at once.
const patience = 20 * time.Second

// Letter is the newest letter to an address, once everything that was promised
// before has been tried.
func (e *Env) Letter(t testing.TB, address string) mail.Message {
	t.Helper()
	e.Settle(t)
	all := e.Mail.To(address)
	if len(all) == 0 {
		t.Fatalf("no letter to %s; there are %d others", address, len(e.Mail.All()))
	}
	return all[0]
}

// Settle waits until every job that is due has been tried: letters, and what
// writes them.
func (e *Env) Settle(t testing.TB) {
	t.Helper()
	e.jobs(t, job.Filter{}, "letters are still to be tried", func(all []*job.Job) bool {
		for _, j := range all {
			if j.State == job.Waiting && (e.Jobs.Running(j) || !j.Due.After(e.DB.Now())) {
				return false
			}
		}
		return true
	})
}

// Tried is the newest letter's job, once it has been tried and is in a state.
func (e *Env) Tried(t testing.TB, s job.State) (last *job.Job) {
	t.Helper()
	e.jobs(t, job.Filter{Kind: letter.JobKind}, "no letter is "+string(s), func(all []*job.Job) bool {
		if len(all) == 0 || all[0].State != s || all[0].Attempts == 0 || e.Jobs.Running(all[0]) {
			return false
		}
		last = all[0]
		return true
	})
	return last
}

// jobs waits until jobs are as they should be.
func (e *Env) jobs(t testing.TB, which job.Filter, problem string, as func([]*job.Job) bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); ; {
		var all []*job.Job
		for _, realm := range []string{"default", Neighbour} {
			page, _, err := e.Jobs.List(context.Background(), realm, which, "", 500)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, page...)
		}
		if as(all) {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal(problem)
		}
	}
}
