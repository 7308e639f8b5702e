package life_test

import (
	"context"
	"testing"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

// Whoever sets a password by link ends the era in which others were signed in,
// once, whether or not there was a password before.
func TestALinkEndsTheEra(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx, old := context.Background(), e.Person(t, realm.Default, "ada@example.com")
		fresh, err := e.People.Create(ctx, audit.System, realm.Default, principal.New{Kind: principal.Person, Name: "grace"})
		if err != nil {
			t.Fatal(err)
		}
		for _, who := range []string{old.ID, fresh.ID} {
			before, err := e.People.Live(ctx, realm.Default, who)
			if err != nil {
				t.Fatal(err)
			}
			link, _, err := e.Desk.PasswordLink(ctx, audit.System, realm.Default, who)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Desk.SetPassword(ctx, audit.System, realm.Default, string(link), chosen); err != nil {
				t.Fatal(err)
			}
			if after, err := e.People.Live(ctx, realm.Default, who); err != nil || after.Era != before.Era+1 {
				t.Errorf("era %d, then %d, %v; want one more", before.Era, after.Era, err)
			}
		}
	})
}
