package audit

import "testing"

// The memory of a segment serves the next one, holds nothing any more, and is
// given up when segments have become short.
func TestASegmentsMemoryIsUsedAgain(t *testing.T) {
	var a activity
	a.init()
	s := a.newSegment(100)
	for range 60 {
		s.records = append(s.records, Activity{Action: "token.issue"})
	}
	memory := s.records
	a.written(s)
	again := a.newSegment(75)
	if cap(again.records) != 100 || len(again.records) != 0 || &again.records[:1][0] != &memory[0] {
		t.Errorf("the next segment has %d of %d records", len(again.records), cap(again.records))
	}
	for i, r := range memory {
		if r.Action != "" {
			t.Fatalf("record %d still holds %q", i, r.Action)
		}
	}
	if other := a.newSegment(75); &other.records[:1][0] == &memory[0] {
		t.Error("two segments share memory")
	}
	again.records = append(again.records, Activity{})
	a.written(again)
	if a.spare != nil {
		t.Errorf("memory for %d records is kept for one", cap(a.spare))
	}
}
