package console

import (
	"testing"

	"github.com/cardea-id/cardea/internal/access/folder"
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
	i18ntest.Check(t, words, s.look.Pages().Templates())
	for _, l := range words.Locales() {
		for _, key := range []string{"console.playground", "console.roles", "console.back", "console.stepup", "console.gone", "console.form", "console.error.plan_changed", "console.error.policy_changed",
			"console.file.twice", "console.file.name", "console.plan.first", "console.answer.problems", "console.answer.refused", "console.answer.json", "console.answer.world",
			"console.path.none", "console.path.unneeded", "console.told.role", "console.told.member", "console.told.parent", "console.told.until", "console.roles.type", "console.roles.until.wrong",
			"console.roles.done.add", "console.roles.done.remove", "console.applied", "console.change.added", "console.change.removed", "console.change.changed"} {
			if !l.Has(key) {
				t.Errorf("%s lacks %q", l.Tag(), key)
			}
		}
	}
}

func TestTheFolderToBeginWithHolds(t *testing.T) {
	files, err := starter()
	if err != nil {
		t.Fatal(err)
	}
	f, problems := folder.Read(files)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if r := f.Run(); !r.OK() || r.Questions == 0 {
		t.Errorf("its tests: %+v", r.Failures)
	}
}

func TestFilesAreAddedByTheNamesThatAFolderHas(t *testing.T) {
	var d draft
	for name, ok := range map[string]bool{"policies/mine.cedar": true, "tests/a.yaml": true, "roles.yaml": true, "rego/x.rego": true, "mine.cedar": false, "": false, "policies/mine.txt": false} {
		before := len(d.Files)
		d.New = name
		if wrong := d.add(); (wrong == "") != ok || (len(d.Files) > before) != ok {
			t.Errorf("%q: %q, %d files", name, wrong, len(d.Files))
		}
	}
	d.New = "roles.yaml"
	if d.add() != "console.file.twice" {
		t.Error("a file is there twice")
	}
	d.drop("roles.yaml")
	if len(d.Files) != 3 {
		t.Errorf("%d files are left", len(d.Files))
	}
}
