package journal

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// What entries share is written again as it was written before. It comes back the
// same, with what is masked masked, whatever lies between, in one segment and in the
// next.
func TestWhatEntriesShareComesBackWithEach(t *testing.T) {
	shared := policy.Properties{"ip": "192.0.2.1", "device": map[string]any{"serial": "S-1", "tags": []any{"a", true}}}
	other, status := policy.Properties{"ip": "::1"}, policy.Properties{"status": "active"}
	at := time.UnixMilli(1_800_000_000_000).UTC()
	var all []*Entry
	for n, c := range []struct{ subject, resource, context policy.Properties }{
		{nil, status, shared}, {nil, status, shared}, {nil, status, shared}, {nil, status, shared}, {status, status, shared}, {status, status, shared}, {status, status, shared},
		{nil, status, shared}, {nil, nil, shared}, {nil, shared, other}, {nil, status, shared}, {shared, status, status}, {shared, status, status}, {shared, status, status}, {nil, status, shared},
	} {
		all = append(all, &Entry{ID: fmt.Sprint("dec_", n), At: at, Kind: Evaluation, Client: "pep", Question: policy.Question{Subject: policy.Entity{Type: "user", ID: "ada"}, Action: "read",
			Resource: policy.Entity{Type: "doc", ID: fmt.Sprint(n / 2)}, SubjectProperties: c.subject, ResourceProperties: c.resource, Context: c.context, At: at}})
	}
	e := newEncoder()
	for _, masks := range []string{"", "context.ip context.device.serial", "subject.status", "", "context.ip"} {
		e.reset()
		again := 0
		for _, x := range all {
			before := e.said[3]
			e.entry(x, masks)
			if before.where != 0 && before == e.said[3] {
				again++
			}
		}
		if again == 0 {
			t.Error("nothing is written again")
		}
		d := &decoder{b: e.b}
		for _, x := range all {
			// As an encoder writes it that knows of no other entry.
			alone := newEncoder()
			alone.entry(x, masks)
			want, err := (&decoder{b: alone.b}).entry()
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.entry()
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("masked %q: %v\n got %+v\nwant %+v", masks, err, got, want)
			}
		}
		if d.more() {
			t.Error("more is there than was written")
		}
	}
}
