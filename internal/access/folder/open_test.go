package folder

import (
	"strings"
	"testing"
	"testing/fstest"
)

// Who names the folder above, or another one, is told that and not of each file in it.
func TestWhatIsNoPolicyFolderIsToldSo(t *testing.T) {
	above := fstest.MapFS{"main.go": {}, "a/b/c/d/e/f/g.go": {}, "policies/schema.cedarschema": {}, "policies/policies/a.cedar": {}, "policies/roles.yaml": {}}
	if _, problems := Open(above); len(problems) != 1 || !strings.Contains(problems[0].Message, "no policy folder") {
		t.Errorf("%v", problems)
	}
}
