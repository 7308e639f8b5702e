package trust

import (
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
