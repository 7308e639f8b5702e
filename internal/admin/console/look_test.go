package console

import (
	"testing"

	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/web/look"
	"github.com/cardea-id/cardea/internal/web/look/looktest"
)

// Whatever stands on a page is escaped as html/template escapes it.
func TestPagesAreAsHTMLTemplateWritesThem(t *testing.T) {
	words, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	own, err := Assets()
	if err != nil {
		t.Fatal(err)
	}
	assets, err := look.Assets(own)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Words: words, Assets: assets})
	if err != nil {
		t.Fatal(err)
	}
	looktest.Check(t, s.look, words, map[string]func() any{
		"playground": func() any { return &playgroundPage{} },
		"kept":       func() any { return &playgroundPage{} },
		"roles":      func() any { return &rolesPage{} },
		"back":       func() any { return frame{} },
		"kept_role": func() any {
			return struct {
				*rolesPage
				Do, Here string
			}{rolesPage: &rolesPage{}}
		},
	})
}
