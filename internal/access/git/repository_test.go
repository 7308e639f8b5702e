package git_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/git"
	"github.com/cardea-id/cardea/internal/access/git/gittest"
)

// A history with many versions of a file makes packs with deltas.
func TestARepositoryWithAHistoryIsRead(t *testing.T) {
	o := gittest.New(t)
	for i := range 12 {
		long := strings.Repeat(fmt.Sprintf("// line of version %d\n", i/6), 200) + fmt.Sprintf("// number %d\n", i)
		files, wrong := folder.Open(os.DirFS("../../../examples/policies/payments"))
		if len(wrong) > 0 || len(files) == 0 {
			t.Fatal(len(files), wrong)
		}
		for j := range files {
			if strings.HasSuffix(files[j].Path, ".cedar") {
				files[j].Text = append([]byte(long), files[j].Text...)
				files = append(files, folder.File{Path: "policies/copy.cedar", Text: append([]byte(long), "// a copy\n"...)})
			}
		}
		o.Commit("", files)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(o.Dir, "policies", "link.cedar")); err != nil {
		t.Fatal(err)
	}
	o.Git("add", "-A")
	o.Git("commit", "-q", "-m", "a link")
	o.Git("repack", "-q", "-a", "-d", "-f", "--depth=50", "--window=50")
	g := &git.Repository{Exchange: gittest.Exchange, URL: o.URL}
	commit, err := g.Head(t.Context(), "")
	if err != nil || commit != o.Git("rev-parse", "HEAD") || !g.Filters() {
		t.Fatal(commit, err)
	}
	files, problems, err := g.Files(t.Context(), commit, "")
	if err != nil || len(problems) != 1 || problems[0].File != "policies/link.cedar" {
		t.Fatal(problems, err)
	}
	want, wrong := folder.Open(os.DirFS(o.Dir))
	if len(wrong) != 1 || !reflect.DeepEqual(files, want) {
		t.Errorf("%d files, want %d, %v", len(files), len(want), wrong)
	}
	if _, _, err := g.Files(t.Context(), commit, "nowhere"); err == nil || !strings.Contains(err.Error(), `no folder "nowhere"`) {
		t.Error(err)
	}
}
