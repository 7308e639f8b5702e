package account

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
		"activity":     func() any { return activityPage{} },
		"advice":       func() any { return advicePage{} },
		"applications": func() any { return appsPage{} },
		"devices":      func() any { return devicesPage{} },
		"factor":       func() any { return factorPage{} },
		"factors":      func() any { return factorsPage{} },
		"help":         func() any { return helpPage{} },
		"notme":        func() any { return notMePage{} },
		"overview":     func() any { return overviewPage{} },
		"password":     func() any { return passwordPage{} },
		"profile":      func() any { return profilePage{} },
		"home":         func() any { return struct{ *look.Page }{} },
	})
}
