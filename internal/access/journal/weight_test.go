package journal

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// What waits is bounded by its weight, so that may not be much less than it is.
func TestAnEntryWeighsWhatItHolds(t *testing.T) {
	for name, text := range map[string]string{
		"numbers": `{"list":[` + strings.Repeat("1,", 20_000) + `1]}`,
		"empty":   `{"list":[` + strings.Repeat("{},", 20_000) + `1]}`,
		"members": `{"list":[` + strings.Repeat(`{"a":true},`, 5_000) + `1]}`,
		"text":    `{"text":"` + strings.Repeat("x", 1<<18) + `"}`,
	} {
		var q policy.Question
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		if err := dec.Decode(&q.Context); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		held, weight := int(after.HeapAlloc)-int(before.HeapAlloc), Weight(&q, &policy.Answer{})
		if weight < held/2 || weight > 2*held {
			t.Errorf("%s: %d bytes weigh %d", name, held, weight)
		}
		runtime.KeepAlive(q)
	}
}
