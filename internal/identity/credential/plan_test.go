package credential

import (
	"context"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// A sign-in with a passkey looks at that passkey, among however many.
func TestAPasskeyIsFoundByItsHandle(t *testing.T) {
	d := dbtest.Open(t, db.SQLite).DB
	ctx, traffic := dbtest.Watch(context.Background())
	err := d.Update(ctx, dbtest.Realm, func(tx *db.Tx) error {
		if k, err := passkeyByHandle(tx, "nobody's"); err == nil {
			t.Errorf("a passkey that is nobody's: %v", k)
		}
		return nil
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
