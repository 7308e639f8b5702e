// Package audittest runs a test on every database with a running event log.
package audittest

import (
	"context"
	"testing"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// By is an actor for tests.
var By = audit.Actor{Kind: "person", ID: "usr_tester"}

// Env is what a core's test works with. Register followers, then Start.
type Env struct {
	*dbtest.Env
	Log     *audit.Log
	started bool
}

// Run runs fn on SQLite, and on PostgreSQL where there is a server. The log is
// made but not started: build the cores, then call e.Start(t).
func Run(t *testing.T, fn func(t *testing.T, e *Env)) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) { fn(t, New(t, e)) })
}

// New makes a log on an open database.
func New(t testing.TB, e *dbtest.Env) *Env {
	return &Env{Env: e, Log: audit.New(e.DB, audit.Options{})}
}

// Start starts the log and closes it when the test ends.
func (e *Env) Start(t testing.TB) {
	t.Helper()
	if e.started {
		return
	}
	e.started = true
	if err := e.Log.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Log.Close)
}

// Node opens the same database as a further node, with a log of its own, which
// the caller starts with Start. PostgreSQL only: it skips the test on SQLite.
func (e *Env) Node(t testing.TB) *Env {
	t.Helper()
	if e.DB.Engine() == db.SQLite {
		t.Skip("SQLite serves one node")
	}
	other := *e.Env
	other.DB = e.Reopen(t)
	return &Env{Env: &other, Log: audit.New(other.DB, audit.Options{})}
}

// Events returns the actions of a realm's events, oldest first.
func (e *Env) Events(t testing.TB, realm string) (actions []string) {
	t.Helper()
	all, _, err := e.Log.Query(context.Background(), realm, audit.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for i := len(all) - 1; i >= 0; i-- {
		actions = append(actions, all[i].Action)
	}
	return actions
}
