package console

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/i18n/i18ntest"
	"github.com/cardea-id/cardea/internal/web"
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
	keys := []string{"console.playground", "console.roles", "console.back", "console.stepup", "console.gone", "console.form", "console.error.plan_changed", "console.error.policy_changed",
		"console.file.twice", "console.file.name", "console.plan.first", "console.answer.problems", "console.answer.refused", "console.answer.json", "console.answer.world",
		"console.path.none", "console.path.unneeded", "console.told.role", "console.told.member", "console.told.parent", "console.told.until", "console.roles.type", "console.roles.until.wrong",
		"console.roles.done.add", "console.roles.done.remove", "console.applied", "console.change.added", "console.change.removed", "console.change.changed"}
	for _, key := range fixed {
		keys = append(keys, key)
	}
	i18ntest.Check(t, words, s.look.Pages(), keys...)
}

// Each fixed sentence is one that the core says, word for word.
func TestSentencesOfTheCoreAreItsOwn(t *testing.T) {
	var text strings.Builder
	for _, dir := range []string{"policy", "folder"} {
		files, err := filepath.Glob("../../access/" + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text.Write(b)
		}
	}
	for sentence := range fixed {
		if !strings.Contains(text.String(), `"`+sentence+`"`) {
			t.Errorf("the core does not say %q", sentence)
		}
	}
}

// A list that is cut says how much more there is.
func TestEffectsThatAreNotShownAreCounted(t *testing.T) {
	words, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	names := fstest.MapFS{}
	for _, name := range []string{"mark.svg", "cardea.css", "cardea.js", "console.css", "console.js"} {
		names[name] = &fstest.MapFile{Data: []byte(" ")}
	}
	assets, err := web.NewAssets("/assets/", names)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Words: words, Assets: assets})
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]string{mostEffects: "", mostEffects + 7: "and 7 more"} {
		r := httptest.NewRequest("GET", "/console/playground", nil)
		r.Header.Set("Accept-Language", "en")
		rec := httptest.NewRecorder()
		p := &playgroundPage{frame: s.begin(rec, r, nil, "console.playground")}
		p.Planned = &planned{&version.Plan{Report: &folder.Report{}, Replay: version.Replay{Losses: make([]version.Effect, n)}}}
		p.CanPlan = true
		p.Report = &folder.Report{Failures: make([]folder.Failure, n)}
		if err := s.look.Render(rec, 200, "playground", p); err != nil {
			t.Fatal(err)
		}
		page := rec.Body.String()
		if strings.Count(page, `class="sentence"`) != mostEffects || strings.Contains(page, "more; the command") != (want != "") || !strings.Contains(page, want) {
			t.Errorf("%d effects: %d are shown", n, strings.Count(page, `class="sentence"`))
		}
		if strings.Count(page, "<b></b>: <span lang") != mostEffects || strings.Contains(page, "7 more questions") != (want != "") {
			t.Errorf("%d failures: %d are shown", n, strings.Count(page, "<b></b>: <span lang"))
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
