package credential

import (
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// A sign-in with a passkey looks at that passkey, among however many.
func TestAPasskeyIsFoundByItsHandle(t *testing.T) {
	dbtest.Narrow(t, func(tx *db.Tx) error {
		if k, err := passkeyByHandle(tx, "nobody's"); err == nil {
			t.Errorf("a passkey that is nobody's: %v", k)
		}
		return nil
	})
}
