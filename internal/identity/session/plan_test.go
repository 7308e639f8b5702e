package session

import (
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/credential"
)

// What dies with somebody, or with a credential, is found without looking at
// everybody's sessions.
func TestWhatDiesIsFoundByItsOwner(t *testing.T) {
	c := credential.Credential{ID: "cred_1", Principal: "usr_1"}
	for what, fn := range map[string]func(tx *db.Tx) error{
		"of a principal":  func(tx *db.Tx) error { _, err := openOf(tx, c.Principal, "", chunk); return err },
		"of a credential": func(tx *db.Tx) error { _, err := openBornOf(tx, c, chunk); return err },
		"born of it":      func(tx *db.Tx) error { _, err := bornOf(tx, c); return err },
	} {
		t.Run(what, func(t *testing.T) { dbtest.Narrow(t, fn) })
	}
}
