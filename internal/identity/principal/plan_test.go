package principal

import (
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
