package terms_test

import (
	"context"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/terms"
	"github.com/cardea-id/cardea/internal/realm"
)

// The version in force is the latest that has come into effect; what is not in
// force is neither demanded nor accepted.
func TestWhatIsInForceIsDemanded(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ctx := context.Background()
		ada := e.Person(t, realm.Default, "ada@example.com")
		by := audit.Actor{Kind: "person", ID: ada.ID}
		lacks := func(want ...string) {
			t.Helper()
			got, err := e.Terms.Lacking(ctx, realm.Default, ada.ID)
			if err != nil || len(got) != len(want) {
				t.Fatalf("lacks %v, %v; want %v", got, err, want)
			}
			for i, v := range got {
				if v.ID != want[i] {
					t.Errorf("lacks %s %s", v.Document, v.Version)
				}
			}
		}
		make := func(n terms.New) string {
			t.Helper()
			v, err := e.Terms.Create(ctx, audit.System, realm.Default, n)
			if err != nil {
				t.Fatal(err)
			}
			return v.ID
		}
		lacks()
		privacy := make(terms.New{Document: "privacy", Version: "1", Title: "Privacy", Link: "https://example.com/privacy"})
		first := make(terms.New{Document: "terms", Version: "1", Title: "Terms", Text: "Be kind."})
		second := make(terms.New{Document: "terms", Version: "2", Title: "Terms", Text: "Be kinder.", Effective: e.DB.Now().Add(time.Hour)})
		lacks(privacy, first)
		if err := e.Terms.Accept(ctx, by, realm.Default, []string{first, second, "trm_nothing"}); err != nil {
			t.Fatal(err)
		}
		lacks(privacy)
		e.Clock.Advance(time.Hour)
		lacks(privacy, second)
		if err := e.Terms.Withdraw(ctx, audit.System, realm.Default, second); err != nil {
			t.Fatal(err)
		}
		lacks(privacy)
		if got, err := e.Terms.Lacking(ctx, apptest.Neighbour, ada.ID); err != nil || len(got) != 0 {
			t.Errorf("in another realm: %v, %v", got, err)
		}
		for what, bad := range map[string]terms.New{
			"a version twice":   {Document: "terms", Version: "1", Title: "Terms", Text: "x"},
			"no title":          {Document: "terms", Version: "3", Text: "x"},
			"text and link":     {Document: "terms", Version: "3", Title: "Terms", Text: "x", Link: "https://example.com"},
			"neither":           {Document: "terms", Version: "3", Title: "Terms"},
			"a plain link":      {Document: "terms", Version: "3", Title: "Terms", Link: "http://example.com"},
			"a script":          {Document: "terms", Version: "3", Title: "Terms", Link: "javascript:alert(1)"},
			"a document's name": {Document: "Terms of use", Version: "3", Title: "Terms", Text: "x"},
		} {
			if _, err := e.Terms.Create(ctx, audit.System, realm.Default, bad); !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Conflict) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}
