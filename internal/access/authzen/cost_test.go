package authzen

import (
	"strings"
	"testing"
)

// What a batch shares is judged and written down once for each of its questions, so
// it counts that often; and a search judges the same text for each candidate.
func TestQuestionsCostTheirLength(t *testing.T) {
	batch := func(shared, items int) error {
		err := new(body).read(`{"subject":{"type":"user","id":"ada"},"action":{"name":"read"},"context":{"scopes":["` + strings.Repeat(`a","`, shared/4) + `"]},"evaluations":[` +
			strings.TrimSuffix(strings.Repeat(`{"resource":{"type":"doc","id":"1"}},`, items), ",") + `]}`)
		return err
	}
	for _, c := range []struct {
		shared, items int
		fits          bool
	}{{2000, 1000, true}, {100_000, 20, true}, {100_000, 1000, false}, {9000, 1000, false}} {
		if err := batch(c.shared, c.items); (err == nil) != c.fits || err != nil && !strings.Contains(err.Error(), "send several batches") {
			t.Errorf("%d bytes shared by %d: %v", c.shared, c.items, err)
		}
	}
	work := func(length int) int {
		b := &body{}
		err := b.read(`{"subject":{"type":"user","id":"ada"},"action":{"name":"read"},"resource":{"type":"doc","properties":{"x":"` + strings.Repeat("x", length) + `"}}}`)
		if err != nil {
			t.Fatal(err)
		}
		return (&request{body: b}).work()
	}
	if short, long := work(10), work(100_000); short != mostWork || long > 1000 || long < 1 {
		t.Errorf("candidates of a short question: %d, of a long one: %d", short, long)
	}
}
