package api_test

import (
	"os"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/realm"
)

// BenchmarkGate is what the policies about administration add to a request: without
// policies of the realm's own, and with five.
func BenchmarkGate(b *testing.B) {
	e := apptest.Start(b, db.SQLite)
	ada := e.Person(b, realm.Default, "ada@example.com")
	q := &policy.Question{Subject: policy.Entity{Type: "user", ID: ada.ID}, Action: "suspend-user", Resource: policy.Entity{Type: "user", ID: "usr_other"}, At: e.Clock.Now(),
		Context: policy.Properties{"realm": realm.Default, "role": "admin", "client": "cardea-cli", "ip": "198.51.100.7", "acr": "aal2", "amr": []string{"pwd", "otp"}, "auth_time": e.Clock.Now().Add(-time.Minute)}}
	ask := func(b *testing.B) {
		for b.Loop() {
			if a, err := e.Guard.Judge(b.Context(), realm.Default, audit.Position{}, q); err != nil || !a.Allowed {
				b.Fatal(a, err)
			}
		}
	}
	b.Run("built-in", ask)
	files, problems := folder.Open(os.DirFS("../../../examples/policies/documents"))
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	files = append(files, folder.File{Path: "cardea/office.cedar", Text: []byte(officeRules)})
	if _, err := e.Policies.Apply(b.Context(), audit.System, realm.Default, version.Change{Files: files}); err != nil {
		b.Fatal(err)
	}
	b.Run("added", ask)
}
