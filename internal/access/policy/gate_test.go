package policy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	. "github.com/cardea-id/cardea/internal/access/policy"
)

// Whoever the gate refuses may do nothing, however the question is asked.
func TestTheGateStandsBeforeEveryQuestion(t *testing.T) {
	open := certification(t)
	shut := open.WithGate(func(_ *graph.Graph, subject Entity, _ time.Time) string {
		if subject == user("alice") {
			return "alice is suspended"
		}
		return ""
	})
	q := &Question{Subject: user("alice"), Action: "read", Resource: record("record-1"), At: at}
	if !Decide(open, q).Allowed {
		t.Fatal("without a gate alice may read")
	}
	if a := Decide(shut, q); a.Allowed || len(a.Reasons) != 1 || a.Reasons[0].Text != "alice is suspended" {
		t.Errorf("got %+v", a)
	}
	if a := Batch(shut, q, []Entity{record("record-1"), record("record-2")}); a[0].Allowed || a[1].Allowed {
		t.Errorf("batch: %+v", a)
	}
	if f, err := Resources(shut, q, Page{}); err != nil || len(f.Entities) > 0 {
		t.Errorf("resources: %+v %v", f, err)
	}
	if a, _, err := Actions(shut, q, Page{}); err != nil || len(a) > 0 {
		t.Errorf("actions: %v %v", a, err)
	}
	if r, err := Partial(shut, q, Rows{}); err != nil || r.When.Op != OpFalse || r.Reason != "alice is suspended" {
		t.Errorf("rows: %+v %v", r, err)
	}
	if r, err := Partial(open, q, Rows{}); err != nil || r.When.Op == OpFalse {
		t.Errorf("rows without a gate: %+v %v", r, err)
	}
	f, err := Subjects(shut, q, Page{})
	if err != nil || slices.Contains(f.Entities, user("alice")) || !slices.Contains(f.Entities, user("bob")) {
		t.Errorf("subjects: %+v %v", f, err)
	}
}
