package edge_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/edge"
	"github.com/cardea-id/cardea/internal/access/local"
)

// keeping is an edge that hands no decisions in, so that they stay in its directory.
func keeping(t *testing.T) (e *edge.Edge, dir string) {
	w := begin(t)
	c := w.config()
	c.Dir, c.LogDecisions, c.Audience = t.TempDir(), true, ""
	e = w.joined(w.open(c))
	w.way.set(true)
	return e, c.Dir
}

const theirs = "what they made of the answer"

// ownContexts checks that the context of each decision in a directory is that of its
// question, which says nothing but its request.
func ownContexts(t *testing.T, dir string, want int) {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(dir, "decisions", "*.ndjson"))
	lines, wrong := 0, 0
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var d struct {
				Request  string
				Question struct {
					Context            struct{ N, Inner, List any }
					ResourceProperties map[string]any
				}
			}
			if err := json.Unmarshal([]byte(line), &d); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			c, n := d.Question.Context, d.Request
			lines++
			if got := fmt.Sprintf("%v %v %v %v", c.N, c.Inner, c.List, d.Question.ResourceProperties); got != fmt.Sprintf("%s map[n:%[1]s] [map[n:%[1]s]] map[n:%[1]s]", n) || strings.Contains(line, theirs) {
				if wrong++; wrong < 4 {
					t.Errorf("written down: %s", line)
				}
			}
		}
	}
	if wrong > 0 || lines != want {
		t.Errorf("%d of %d decisions are written down with what belongs to another; there were %d", wrong, lines, want)
	}
}

// Who asks may fill the same maps and lists again as soon as it is answered.
func TestAnEdgeHoldsNothingOfWhoAsks(t *testing.T) {
	t.Parallel()
	e, dir := keeping(t)
	inner, listed, resource := edge.Properties{}, map[string]any{}, edge.Properties{}
	list := []any{nil}
	q := refund(user("ann"), "p1")
	q.Context, q.ResourceProperties = edge.Properties{"inner": inner, "list": list}, resource
	const questions = 500
	for n := range questions {
		q.Request = strconv.Itoa(n)
		list[0] = listed
		for _, m := range []map[string]any{q.Context, inner, listed, resource} {
			m["n"] = q.Request
		}
		a := e.Decide(t.Context(), q)
		if a.Policies[0] != "frozen" || a.Reasons[0].Text == theirs {
			t.Fatalf("the answer is one that was changed: %+v", a)
		}
		a.Policies[0], a.Reasons[0].Text = theirs, theirs // nor does it hand out what is its own
		for _, m := range []map[string]any{q.Context, inner, listed, resource} {
			delete(m, "n")
		}
		list[0] = nil
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	ownContexts(t, dir, questions)
}

// The door of an edge reads each question into the memory of another before it.
func TestTheDoorOfAnEdgeNotesEachQuestionAsItCame(t *testing.T) {
	t.Parallel()
	e, dir := keeping(t)
	handler, err := local.Handler(local.Options{Edge: e, Base: "http://localhost", Detail: "reasons", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	const questions = 500
	for n := range questions {
		request := strconv.Itoa(n)
		r := httptest.NewRequest("POST", "http://localhost/access/v1/evaluation", strings.NewReader(fmt.Sprintf(`{"subject":{"type":"user","id":"ann"},"action":{"name":"refund"},
			"resource":{"type":"payment","id":"p1","properties":{"n":%q}},"context":{"n":%[1]q,"inner":{"n":%[1]q},"list":[{"n":%[1]q}]}}`, request)))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Request-ID", request)
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, r); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	ownContexts(t, dir, questions)
}
