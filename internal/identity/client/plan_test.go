package client

import (
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// Whether an application may call from a page is looked up by the page's origin.
func TestAnOriginIsFoundByItself(t *testing.T) {
	dbtest.Narrow(t, func(tx *db.Tx) error {
		_, err := originKnown(tx, "https://app.example")
		return err
	})
}
