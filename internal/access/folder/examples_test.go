package folder

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every example has no problems, passes its tests, leaves no policy and no role
// untested, and is laid out as cardea policy fmt does it.
func TestTheExamplesHold(t *testing.T) {
	dirs, err := filepath.Glob("../../../examples/policies/*/" + SchemaFile)
	if err != nil || len(dirs) < 3 {
		t.Fatalf("%d examples, %v", len(dirs), err)
	}
	for _, schema := range dirs {
		dir := filepath.Dir(schema)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			files, problems := Open(os.DirFS(dir))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			f, problems := Read(files)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			r := f.Run()
			for _, x := range r.Failures {
				t.Errorf("%s:%d: %s: %s: %s\n\t%s\n\t%s", x.File, x.Line, x.Test, x.Question, x.Message, strings.Join(x.Reasons, "\n\t"), strings.Join(x.Path, "\n\t"))
			}
			if r.Questions == 0 {
				t.Error("it has no tests")
			}
			for _, u := range r.Unexercised {
				t.Errorf("%s:%d:%d: no test rests on %s %s", u.File, u.Line, u.Column, u.Kind, u.Name)
			}
			for _, file := range f.Files {
				out, problem := Layout(file)
				if problem != nil || out != string(file.Text) {
					t.Errorf("%s is not laid out: %v\n%s", file.Path, problem, out)
				}
			}
		})
	}
}
