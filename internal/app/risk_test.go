package app_test

import (
	"context"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/risk"
	"github.com/cardea-id/cardea/internal/realm"
)

// Whatever is found is told in whole sentences, in the person's language, with
// what was done about it and the line "this wasn't me".
func TestPeopleAreToldWhatLooksWrong(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	ada := e.Person(t, realm.Default, "ada@example.com")
	args := map[string]string{"device": "Firefox on Linux", "country": "NZ", "from": "DE", "to": "NZ", "km": "18000", "days": "200", "n": "9", "old": "12", "new": "7", "hours": "2", "client": "cli_x"}
	for _, language := range []string{"en", "de"} {
		if _, err := e.People.Update(context.Background(), audit.System, realm.Default, ada.ID, 0, principal.Change{Locale: &language}); err != nil {
			t.Fatal(err)
		}
		for _, reason := range []string{"guessed", "new_device", "new_country", "impossible_travel", "dormant", "refresh_reuse", "key_change", "passkey_counter"} {
			n := risk.Notice{Principal: ada.ID, Finding: risk.Finding{Detector: "x", Reason: "risk." + reason, Args: args}, Locked: true, IP: "192.0.2.1",
				UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
			if err := e.DB.Update(context.Background(), realm.Default, func(tx *db.Tx) error { return e.Risk.Tell(tx, n) }); err != nil {
				t.Fatal(err)
			}
			m := e.Letter(t, "ada@example.com")
			for what, text := range map[string]string{"text": m.Text, "HTML": m.HTML} {
				if strings.Contains(text, "risk.") || strings.Contains(text, "{") && what == "text" || !strings.Contains(text, "192.0.2.1") {
					t.Errorf("%s, %s: %s", language, reason, text)
				}
			}
			want := map[string]string{"en": "New Zealand", "de": "Neuseeland"}[language]
			if reason == "new_country" && !strings.Contains(m.Text, want) {
				t.Errorf("the country has no name:\n%s", m.Text)
			}
			if want := map[string]string{"en": "from new devices", "de": "von neuen Geräten"}[language]; !strings.Contains(strings.Join(strings.Fields(m.Text), " "), want) {
				t.Errorf("it does not say what was done:\n%s", m.Text)
			}
		}
	}
}
