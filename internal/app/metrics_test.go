package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/secret"
)

// Operators see how many jobs wait and how many were given up, of all realms, and
// how attempts end.
func TestMetricsTellOfJobs(t *testing.T) {
	e := dbtest.Open(t, db.SQLite)
	log := audit.New(e.DB, audit.Options{})
	if err := log.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	box, err := secret.NewBox(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	q := job.NewQueue(e.DB, "nod_a", box, slog.New(slog.DiscardHandler))
	q.Handle(job.Kind{Name: "test", Do: func(_ context.Context, j *job.Job) error {
		switch j.Target {
		case "shut":
			return job.Never(errors.New("shut"))
		case "slow":
			return errors.New("slow")
		}
		return nil
	}})
	m := newMeters(log, q, journal.New(nil, "", nil))
	q.Observe(m.attempted)
	for realm, targets := range map[string][]string{dbtest.Realm: {"shut", "slow", "open", "later"}, dbtest.Neighbour: {"shut", "open"}} {
		for _, target := range targets {
			p := job.Promise{Kind: "test", Target: target}
			if target == "later" {
				p.After = time.Hour
			}
			if err := e.DB.UpdateRC(t.Context(), realm, func(tx *db.Tx) error { _, err := q.AddTx(tx, p); return err }); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := q.RunDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	m.handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`cardea_jobs{state="waiting"} 2`, `cardea_jobs{state="dead"} 2`, `cardea_job_delay_seconds_count{kind="test"} 5`,
		`cardea_job_attempts_total{kind="test",result="done"} 2`, `cardea_job_attempts_total{kind="test",result="retry"} 1`, `cardea_job_attempts_total{kind="test",result="dead"} 2`,
	} {
		if !strings.Contains(rec.Body.String(), want+"\n") {
			t.Errorf("there is no line %s", want)
		}
	}
}
