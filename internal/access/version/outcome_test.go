package version

import (
	"strings"
	"testing"
)

// What a followed change does is not told as all of it where it is not.
func TestWhatIsNotAllIsNotToldAsAll(t *testing.T) {
	v := &Version{Number: 4}
	for _, r := range []Replay{{Partial: true}, {More: true}} {
		if text := v.outcome(&Plan{Replay: r}); !strings.Contains(text, "more than these") {
			t.Errorf("%+v: %s", r, text)
		}
	}
}
