package principal

import (
	"context"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// Changes of one person, group or service look at what is near them. A plan that
// begins with everybody costs more the more there are.
func TestWhoIsAboveAndBelowIsFoundByWhoAsks(t *testing.T) {
	dbtest.Narrow(t, func(tx *db.Tx) error {
		if err := bury(tx, "usr_x"); err != nil {
			return err
		}
		if _, _, err := ownedBelow(tx, "svc_x", "usr_x"); err != nil {
			return err
		}
		if _, err := ownedIDs(tx, "usr_x"); err != nil {
			return err
		}
		if _, _, err := containersAbove(tx, "grp_x", "grp_y"); err != nil {
			return err
		}
		_, err := groupsBelow(tx, "grp_x")
		return err
	})
}

// PostgreSQL goes from one container to the next also where it takes the tables for
// empty, because nobody has looked at them. By which index it finds what somebody
// owns it knows with its next look; that it goes by owners it must know before.
func TestContainersAreFoundInTablesNobodyLookedAt(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		for what, c := range map[string]struct {
			fn     func(tx *db.Tx) error
			narrow bool
		}{
			"owned":     {func(tx *db.Tx) error { _, _, err := ownedBelow(tx, "svc_x", "usr_x"); return err }, false},
			"owned ids": {func(tx *db.Tx) error { _, err := ownedIDs(tx, "usr_x"); return err }, false},
			"above":     {func(tx *db.Tx) error { _, _, err := containersAbove(tx, "grp_x", "grp_y"); return err }, true},
			"below":     {func(tx *db.Tx) error { _, err := groupsBelow(tx, "grp_x"); return err }, true},
		} {
			ctx, traffic := dbtest.Watch(context.Background())
			if err := e.DB.View(ctx, dbtest.Realm, c.fn); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			plan := traffic.Plan(t, e.DB)
			for step := range strings.Lines(plan) {
				if strings.Contains(step, "Join Filter:") || c.narrow && strings.Contains(step, "Index Cond:") && !strings.Contains(step, " AND ") {
					t.Errorf("%s: %s%s", what, step, plan)
				}
			}
		}
	})
}
