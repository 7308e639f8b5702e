package apptest

import (
	"context"
	"testing"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/realm"
)

// After a start, the first request for a realm that is in use waits for nothing.
func TestWhatFirstRequestsNeedIsReadBefore(t *testing.T) {
	e := Start(t, db.SQLite)
	hurried, stop := context.WithCancel(t.Context())
	stop()
	ask := func(name string, prepare bool) error {
		if _, err := e.Realms.Create(t.Context(), audit.System, realm.New{Name: name}); err != nil {
			t.Fatal(err)
		}
		if prepare {
			e.Prepare(t.Context())
		}
		_, err := e.Grants.Status.Dead(hurried, name, audit.Bit{List: "slt_none"})
		return err
	}
	if err := ask("ready", true); err != nil {
		t.Errorf("whoever cannot wait: %v", err)
	}
	if ask("cold", false) == nil {
		t.Error("a realm needs no reading, so this tests nothing")
	}
}
