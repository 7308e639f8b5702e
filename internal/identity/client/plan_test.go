package client

import (
	"context"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// Whether an application may call from a page is looked up by the page's origin.
func TestAnOriginIsFoundByItself(t *testing.T) {
	d := dbtest.Open(t, db.SQLite).DB
	ctx, traffic := dbtest.Watch(context.Background())
	err := d.Update(ctx, dbtest.Realm, func(tx *db.Tx) error {
		_, err := originKnown(tx, "https://app.example")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if traffic.Trips() == 0 {
		t.Fatal("nothing was sent")
	}
	for _, step := range traffic.Whole(t, d) {
		t.Error(step)
	}
}
