package app

import (
	"context"
	"errors"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/identity/risk"
	"github.com/cardea-id/cardea/internal/job"
)

// tasks is the recurring work. None of it decides anything: what is expired or
// dead is so before it is swept.
func (a *App) tasks() []job.Task {
	return []job.Task{
		{Name: "status-pages", Every: 30 * time.Second, Run: job.Whole(a.Grants.Status.Flush)},
		{Name: "status-checkpoints", Every: 10 * time.Minute, Run: a.everyRealm(a.Grants.Status.MoveOn)},
		{Name: "key-rotation", Every: time.Hour, Run: a.everyRealm(func(ctx context.Context, name string) error {
			r, err := a.Realms.ByName(ctx, name)
			if err != nil {
				return err
			}
			return a.Ring.Tick(ctx, name, r.Settings.KeyRotation)
		})},
		{Name: "sweep", Every: 10 * time.Minute, Run: a.everyRealm(func(ctx context.Context, name string) error {
			return errors.Join(drained(ctx, name, a.Once.Collect), drained(ctx, name, a.Grants.Collect), drained(ctx, name, a.Sessions.Collect), drained(ctx, name, a.Passwords.Sweep),
				drained(ctx, name, a.Jobs.Collect), drained(ctx, name, a.Risk.Collect), drained(ctx, name, a.Letters.Collect), drained(ctx, name, a.collectApprovals), drained(ctx, name, a.Desk.Collect), drained(ctx, name, a.Facts.Collect), drained(ctx, name, a.Plane.Collect),
				a.unflag(ctx, name))
		})},
		{Name: "access-sources", Every: 30 * time.Second, Run: job.Whole(a.pullDue)},
		{Name: "policy-sources", Every: 5 * time.Second, Run: job.Whole(func(ctx context.Context) error { return a.Policies.Begin(ctx, a.live) })},
		{Name: "departures", Every: 10 * time.Minute, Run: a.everyRealm(func(ctx context.Context, name string) error {
			_, err := a.Desk.DeleteDue(ctx, name)
			return err
		})},
		{Name: "unused-registrations", Every: time.Hour, Run: a.everyRealm(func(ctx context.Context, name string) error {
			r, err := a.Realms.ByName(ctx, name)
			if err != nil {
				return err
			}
			return drained(ctx, name, func(ctx context.Context, _ string) (int64, error) { return a.Registered.Sweep(ctx, r) })
		})},
		{Name: "checkpoint", Every: 10 * time.Minute, Run: a.everyRealm(func(ctx context.Context, name string) error {
			_, err := a.Log.Checkpoint(ctx, name)
			return err
		})},
		{Name: "forget-decisions", Every: time.Hour, Run: a.everyRealm(func(ctx context.Context, name string) error {
			r, err := a.Realms.ByName(ctx, name)
			if err != nil {
				return err
			}
			return drained(ctx, name, func(ctx context.Context, name string) (int64, error) {
				return a.Journal.Collect(ctx, name, r.Settings.DecisionLog)
			})
		})},
		{Name: "forget-activity", Every: time.Hour, Run: a.everyRealm(a.Log.Forget)},
	}
}

// pullDue promises what is due to be pulled, in realms that have something to pull.
func (a *App) pullDue(ctx context.Context) error {
	due, err := a.Facts.Due(ctx)
	for _, name := range due {
		if a.live(ctx, name) {
			err = errors.Join(err, a.Facts.PullDue(ctx, name))
		}
	}
	return err
}

// live reports whether there is a realm of the name.
func (a *App) live(ctx context.Context, name string) bool {
	_, err := a.Realms.ByName(ctx, name)
	return err == nil
}

// unflag clears the flags of people whom nothing is held against any more, and who
// stay.
func (a *App) unflag(ctx context.Context, name string) error {
	return a.People.Unflag(ctx, name, func(tx *db.Tx, id string) (bool, error) {
		held, err := risk.HoldsTx(tx, id)
		if held || err != nil {
			return held, err
		}
		return life.LeavesTx(tx, id)
	})
}

func (a *App) collectApprovals(ctx context.Context, name string) (int64, error) {
	r, err := a.Realms.ByName(ctx, name)
	if err != nil {
		return 0, err
	}
	return a.Approvals.Collect(ctx, name, r.Settings)
}

// drained repeats a sweep, which deletes a bounded number of rows, until little
// is left to delete: what strangers can make us write must go as fast as it comes.
func drained(ctx context.Context, name string, sweep func(context.Context, string) (int64, error)) error {
	for ctx.Err() == nil {
		if n, err := sweep(ctx, name); err != nil || n < sweepEnough {
			return err
		}
	}
	return ctx.Err()
}

// sweepEnough is fewer rows than any sweep deletes at once when there are more.
const sweepEnough = 500

// everyRealm does something for one realm after the other.
func (a *App) everyRealm(do func(ctx context.Context, name string) error) func(context.Context, string) (string, error) {
	return func(ctx context.Context, after string) (string, error) { return a.Realms.Walk(ctx, after, do) }
}
