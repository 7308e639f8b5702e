package verify

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func events(t testing.TB, text string, limit int64) (all []event, err error) {
	t.Helper()
	r := newEventReader(strings.NewReader(text), limit, func() {})
	for {
		ev, err := r.next()
		if err != nil {
			return all, err
		}
		all = append(all, ev)
	}
}

func TestServerSentEvents(t *testing.T) {
	all, err := events(t, ": comment\n\nevent: a\nid: 1\ndata: one\n\nretry: 5\nevent: b\r\ndata:two\r\ndata\r\ndata:  three\r\n\r\nevent: no data\n\nevent: c\ndata: unfinished", 1000)
	if !errors.Is(err, io.EOF) || len(all) != 2 {
		t.Fatalf("%d events, %v", len(all), err)
	}
	if e := all[0]; e.name != "a" || e.id != "1" || string(e.data) != "one" {
		t.Errorf("first: %+v", e)
	}
	if e := all[1]; e.name != "b" || e.id != "" || string(e.data) != "two\n\n three" {
		t.Errorf("second: %+v %q", e, e.data)
	}
	if _, err := events(t, "data: "+strings.Repeat("x", 20_000)+"\n\n", 10_000); !errors.Is(err, errEventSize) {
		t.Errorf("a large line: %v", err)
	}
	if _, err := events(t, strings.Repeat("data: x\n", 2000)+"\n", 10_000); !errors.Is(err, errEventSize) {
		t.Errorf("many lines: %v", err)
	}
	if all, _ := events(t, "data: "+strings.Repeat("x", 100_000)+"\n\n", 1<<20); len(all) != 1 || len(all[0].data) != 100_000 {
		t.Error("a line longer than the buffer is not read")
	}
}

func FuzzEvents(f *testing.F) {
	f.Add("event: a\nid: 1\ndata: one\n\n")
	f.Add(": x\r\ndata\n\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := events(t, text, 4096)
		if err == nil {
			t.Fatal("a stream without end")
		}
		for _, e := range all {
			if len(e.data) > 4096 || strings.ContainsAny(e.name+e.id, "\n") {
				t.Fatalf("event %+v", e)
			}
		}
	})
}
