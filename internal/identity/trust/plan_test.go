package trust

import (
	"context"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// Whom somebody is elsewhere is found without looking at everybody.
func TestThoseOfAPrincipalAreFoundByIt(t *testing.T) {
	dbtest.Narrow(t, func(tx *db.Tx) error {
		_, err := linksOf(tx, "usr_1")
		return err
	})
}

// The links of one issuer are listed without looking at those of the others.
func TestThoseOfAnIssuerAreListedByIt(t *testing.T) {
	d := dbtest.Open(t, db.SQLite).DB
	ctx, traffic := dbtest.Watch(context.Background())
	if err := d.View(ctx, dbtest.Realm, func(tx *db.Tx) error {
		_, err := listLinks(tx, "iss_1", "crd_1", 10)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if plan := traffic.Plan(t, d); !strings.Contains(plan, "(realm=? AND issuer=? AND credential>?)") || strings.Contains(plan, "TEMP") {
		t.Error(plan)
	}
}
