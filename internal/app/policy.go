package app

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/access/git"
	"github.com/cardea-id/cardea/internal/access/guard"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// policies makes the registry of policy folders.
func (a *App) policies(box *secret.Box) {
	a.Policies = version.New(version.Options{DB: a.DB, Log: a.Log, Box: box, Facts: a.factsOf, Operators: a.policyOperators, Decisions: a.pastDecisions, Directories: a.Settings.Policies.Directories, Logger: a.slog,
		Exchange: func(ctx context.Context, r git.Request) ([]byte, error) {
			return a.Fetch.Exchange(ctx, web.Exchanged(r))
		}})
}

// factsOf is what is known in a realm now, to be joined with policies of a plan.
func (a *App) factsOf(ctx context.Context, realm string) (func(*policy.Set) *policy.Snapshot, error) {
	return a.Snapshots.Facts(ctx, realm)
}

// slice is how much of the past is read at once, so that of more decisions than a
// plan can take those are left out that are older.
const slice = 6 * time.Hour

// pastDecisions gives the decisions of a realm in a time, the newest hours first.
func (a *App) pastDecisions(ctx context.Context, realm string, since, until time.Time, yield func(version.Recorded) error) error {
	for until.After(since) {
		from := until.Add(-slice)
		if from.Before(since) {
			from = since
		}
		for e, err := range a.Journal.Replay(ctx, realm, from, until) {
			if err != nil {
				return err
			}
			ours := e.AskedOurselves()
			if !ours && !e.Asked() {
				continue
			}
			q := e.Question
			q.At = e.At
			if err := yield(version.Recorded{ID: e.ID, Question: q, Allowed: e.Answer.Allowed, Admin: ours}); err != nil {
				return err
			}
		}
		until = from
	}
	return nil
}

// guard makes what asks the policies about Cardea itself.
func (a *App) guard() (err error) {
	a.Guard, err = guard.New(guard.Options{DB: a.DB, Log: a.Log, Policies: a.Policies.GuardTx, Applied: version.Applied, Snapshot: a.snapshotFor, Logger: a.slog})
	return err
}

// policyOperators are the operators of a realm who may change its policies.
func (a *App) policyOperators(ctx context.Context, realm string) (all []version.Operator, err error) {
	for after := ""; ; {
		page, next, err := a.Operators.List(ctx, realm, after, 500)
		if err != nil {
			return nil, err
		}
		for _, o := range page {
			if e, ok := replica.Principal(o.Principal); ok && o.Role.May(operator.PoliciesWrite) {
				all = append(all, version.Operator{Entity: e, Role: string(o.Role)})
			}
		}
		if after = next; after == "" || len(all) >= mostOperators {
			return all, nil
		}
	}
}

// mostOperators is how many a plan looks at.
const mostOperators = 2_000
