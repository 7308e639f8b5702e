package credential

import (
	"testing"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// MF-01 where two read the same last step before either writes: whoever comes
// second moves nothing. Drop the comparison from the statement to see it fail.
func TestACounterAdvancesOnce(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		ada, err := principal.NewDirectory(e.DB, e.Log).Create(t.Context(), audittest.By, dbtest.Realm, principal.New{Kind: principal.Person, Name: "ada"})
		if err != nil {
			t.Fatal(err)
		}
		var c Credential
		err = e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
			c, err = create(tx, audittest.By, Credential{ID: id.New("crd", tx.Now), Principal: ada.ID, Type: TOTP, counter: 4}, "")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range []struct {
			step  int64
			moves bool
		}{{5, true}, {5, false}, {4, false}, {6, true}, {5, false}} {
			var moved bool
			err := e.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
				moved, err = advance(tx, c.ID, one.step)
				return err
			})
			if err != nil || moved != one.moves {
				t.Errorf("step %d moves the counter: %v, want %v (%v)", one.step, moved, one.moves, err)
			}
		}
	})
}
