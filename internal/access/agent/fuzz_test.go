package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/fault"
)

var seen = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func plain(s string, most int) bool {
	return len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f })
}

// What an agent reports is JSON, names itself, and is short and printable in every
// part.
func FuzzReadStatus(f *testing.F) {
	for _, seed := range []string{
		`{"labels":{"id":"a","version":"1.2.3"},"bundles":{"cardea":{"name":"cardea","active_revision":"1.7","last_successful_activation":"2026-01-02T03:04:05Z"}}}`,
		`{"labels":{"id":"a\u0000\ud800"},"discovery":{"code":"bundle_error","message":"no \n such","errors":[{"a":[1]},"x",null]}}`,
		`{"labels":{"id":"a"},"bundles":{"x":null,"discovery":{}},"discovery":null}`,
		`{"labels":{"id":""}}`, `{"labels":{"id":7}}`, `{"bundles":[]}`, `[]`, `null`, `{"labels":{"id":"a"},"bundles":{"x":{"last_successful_activation":"yesterday"}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ReadStatus(text)
		if err != nil {
			return
		}
		if !json.Valid(text) || r.ID == "" || !plain(r.ID, 256) || !plain(r.Version, 64) || len(r.Bundles) > mostBundles {
			t.Fatalf("%q: %+v", text, r)
		}
		for _, b := range r.Bundles {
			if !plain(b.Name, 128) || !plain(b.Revision, 128) || !plain(b.Problem, maxSaid) {
				t.Fatalf("%q: %+v", text, b)
			}
		}
	})
}

// A decision log is a list of JSON; each of its decisions can be noted: its time is
// near, what it says of itself is short and printable, and its question is JSON.
func FuzzReadLog(f *testing.F) {
	for _, seed := range []string{
		`[{"decision_id":"1","labels":{"id":"a"},"path":"app/allow","input":{"subject":{"type":"user","id":"ann"},"action":{"name":"read","properties":{"soft":true}},"resource":{"type":"doc","id":"1","level":3},"context":{"ip":"192.0.2.1","path":"x"}},"result":true,"timestamp":"2026-01-02T03:04:05Z","bundles":{"cardea-facts":{"revision":"1.7"},"cardea-policy":{"revision":"3"}}}]`,
		`[{"query":"data.app.allow","input":{"subject":"ann","action":"read","other":[1,2.5e3]},"result":{"allow":true}},{"input":7,"result":{"decision":false},"erased":["/input/x"]}]`,
		`[{"path":"\u0000","input":null,"error":{"code":"x"},"timestamp":"0001-01-01T00:00:00Z"}]`,
		`[{"input":{"subject":{"type":1},"action":{"name":1},"context":[]}}]`, `[]`, `[{}`, `[{}]]`, `{}`, `[null]`, `[1]`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := readLog(bytes.NewReader(text), seen, "client")
		if err != nil {
			return
		}
		for _, e := range all {
			q := &e.Question
			if e.At.Before(seen.Add(-oldest)) || e.At.After(seen.Add(time.Minute)) || !q.At.Equal(e.At) {
				t.Fatalf("%q: at %s", text, e.At)
			}
			if !plain(e.Request, 256) || !plain(q.Action, 1024) || len(q.Subject.Type)+len(q.Subject.ID)+len(q.Resource.Type)+len(q.Resource.ID) > 4096 || journal.Weight(q, &e.Answer) > 100*maxDecision {
				t.Fatalf("%q: %+v", text, e)
			}
			for _, r := range e.Answer.Reasons {
				if !plain(r.Error, maxSaid) {
					t.Fatalf("%q: %+v", text, r)
				}
			}
			if _, err := json.Marshal([]any{q.SubjectProperties, q.ActionProperties, q.ResourceProperties, q.Context}); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
		}
	})
}

// What a decision log is bounded by is what it becomes here: lists of small numbers
// are thirty times as long.
func TestADecisionLogIsBoundedByWhatIsHeldOfIt(t *testing.T) {
	one := `{"path":"a/allow","input":{"list":[` + strings.Repeat("1,", 30_000) + `1]},"result":true},`
	log := func(n int) io.Reader { return strings.NewReader("[" + strings.Repeat(one, n) + "{}]") }
	if all, err := readLog(log(20), time.Now(), "client"); err != nil || len(all) != 21 {
		t.Errorf("%d decisions of a little: %v", len(all), err)
	}
	if _, err := readLog(log(100), time.Now(), "client"); !fault.Is(err, fault.TooLarge) {
		t.Errorf("of 6 MB that are 96 MB here: %v", err)
	}
}

// takes is how many bytes are allocated meanwhile.
func takes(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// What is read of an agent takes memory in proportion to its bytes, whatever it has
// many of, and what is kept of a long text is short.
func TestWhatAgentsSendTakesInProportion(t *testing.T) {
	many := func(begin, one, end string, size int) string {
		return begin + strings.Repeat(one, (size-len(begin)-len(end))/len(one)) + end
	}
	for name, text := range map[string]string{
		"errors":  many(`{"labels":{"id":"a"},"bundles":{"a":{"code":"x","errors":[`, `0,`, `0]}}}`, MaxStatus),
		"bundles": many(`{"labels":{"id":"a"},"bundles":{`, `"a":{},`, `"a":{}}}`, MaxStatus),
	} {
		if took := takes(func() {
			if _, err := ReadStatus([]byte(text)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}); took > 10*MaxStatus {
			t.Errorf("%s: a report of %d bytes takes %d", name, len(text), took)
		}
	}
	const size = 4 << 20
	for name, text := range map[string]string{
		"erased": many(`[{"decision_id":"d","result":{"allow":true},"erased":[`, `"",`, `""]}]`, size),
		"masked": many(`[{"decision_id":"d","result":{"allow":true},"masked":[`, `"",`, `""]}]`, size),
		"result": many(`[{"decision_id":"d","result":{"allow":true,"all":[`, `0,`, `0]}}]`, size),
		"input":  many(`[{"decision_id":"d","result":true,"input":[`, `0,`, `0]}]`, size),
		"error":  many(`[{"decision_id":"d","result":true,"error":[`, `0,`, `0]}]`, size),
	} {
		if took := takes(func() {
			all, err := readLog(strings.NewReader(text), seen, "client")
			if err != nil || len(all) != 1 || !all[0].Answer.Allowed || !all[0].Masked || all[0].Request != "d" || all[0].Question.Context["input"] != nil {
				t.Errorf("%s: %v, %v", name, all, err)
			}
		}); took > 8*size {
			t.Errorf("%s: a decision of %d bytes takes %d", name, len(text), took)
		}
	}
	long := strings.Repeat("x", MaxStatus/2)
	var kept []Report
	var noted []*journal.Entry
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 20 {
		r, err := ReadStatus([]byte(`{"labels":{"id":"` + long + `"},"bundles":{"a":{"code":"` + long + `"}}}`))
		all, err2 := readLog(strings.NewReader(`[{"decision_id":"`+long+`","error":"`+long+`"}]`), seen, "client")
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		kept, noted = append(kept, r), append(noted, all...)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if held := int(after.HeapAlloc) - int(before.HeapAlloc); held > 20*100<<10 {
		t.Errorf("%d reports and %d decisions hold %d bytes", len(kept), len(noted), held)
	}
	runtime.KeepAlive(kept)
	runtime.KeepAlive(noted)
}

// What counts of labels, bundles and a result is found among however many others.
func TestOfManyNamesThoseThatCountAreRead(t *testing.T) {
	var others strings.Builder
	for n := range 100_000 {
		fmt.Fprintf(&others, `"a%d":%%[1]s,`, n)
	}
	among := func(value, rest string) string {
		return "{" + strings.ReplaceAll(others.String(), "%[1]s", value) + rest + "}"
	}
	text := `[{"labels":` + among(`""`, `"id":"a"`) + `,"bundles":` + among(`{}`, `"`+BundlePolicy+`":{"revision":"3"}`) + `,"result":` + among(`0`, `"Allow":false,"allow":true`) + `}]`
	if took := takes(func() {
		all, err := readLog(strings.NewReader(text), seen, "client")
		if err != nil || len(all) != 1 || all[0].Question.Context["agent"] != "a" || all[0].Question.Context["policy_version"] != "3" || !all[0].Answer.Allowed {
			t.Errorf("%v, %v", all, err)
		}
	}); took > 20*len(text) {
		t.Errorf("a decision of %d bytes takes %d", len(text), took)
	}
}
