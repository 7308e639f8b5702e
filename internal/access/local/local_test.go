package local

import (
	"fmt"
	"testing"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// What waits to be handed in stays what was decided on, when the memory of the question
// is used again.
func TestNothingOfAQuestionIsHeld(t *testing.T) {
	inner := map[string]any{"b": 1}
	listed := map[string]any{"c": 2}
	list := []any{listed}
	of := policy.Properties{"inner": inner, "list": list, "text": "t"}
	got, want := copied(of), fmt.Sprint(of)
	list[0] = nil
	clear(inner)
	clear(listed)
	clear(of)
	if text := fmt.Sprint(got); text != want {
		t.Errorf("%s became %s", want, text)
	}
	if p, ok := copied(policy.Properties(nil)).(policy.Properties); !ok || p != nil {
		t.Errorf("nothing became %v", p)
	}
}
