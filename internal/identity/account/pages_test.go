package account

import (
	"testing"

	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/i18n/i18ntest"
)

func TestTemplatesUseKnownWords(t *testing.T) {
	words, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Words: words})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, kind := range shownFactors {
		keys = append(keys, "factors."+string(kind), "factors."+string(kind)+".what", "factors."+string(kind)+".add")
	}
	for _, entry := range (frame{}).Menu() {
		keys = append(keys, entry.Key)
	}
	i18ntest.Check(t, words, s.look.Pages().Templates(), keys...)
}
