package journal

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/id"
)

// What entries share is not written again. It comes back the
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
		for n, x := range all {
			before := len(e.b)
			e.entry(x, masks)
			if took := len(e.b) - before; n == 1 && took > 1+len(x.ID)+4 {
				t.Errorf("what says the same takes %d bytes", took)
			}
		}
		d := &decoder{v2: true, b: e.b}
		for _, x := range all {
			// As an encoder writes it that knows of no other entry.
			alone := newEncoder()
			alone.entry(x, masks)
			want, err := (&decoder{v2: true, b: alone.b}).entry()
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

// What an agent says that it left out is not known when it is read either, whatever the
// realm masks and whatever lies before.
func TestWhatWasMaskedBeforeStaysMasked(t *testing.T) {
	e := newEncoder()
	all := []bool{true, true, false, true, false, false}
	for _, masked := range all {
		e.entry(&Entry{Kind: Agent, Masked: masked, Question: policy.Question{Context: policy.Properties{"path": "p"}}}, "context.ip")
	}
	d := &decoder{v2: true, b: e.b}
	for n, masked := range all {
		if x, err := d.entry(); err != nil || x.Masked != masked {
			t.Errorf("%d: %+v %v", n, x, err)
		}
	}
}

// Segments of the version before are read.
func TestSegmentsOfVersion1(t *testing.T) {
	read := func(text string) *decoder {
		body, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		d, err := newDecoder(body)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := read("AYTPW07yQBjG8edlZko/PuA7qHhKjBuo6TQxLKd5oW9KsS1lpsVbLnRT3uhSjG7EmGjiKeHZwO/5bx+ebp8XdJbJPI3tVb6+rOPvw0A2XHbcFqsauvPioDhjaCecIcxW866SukXQlFxHMUDQLefeKAViaNCUEHhxBZdhH1D2YgpANdLA+M08tTDLtogszLItogQmr9vUwnjxqYW6lhkZJ+sohl6wX4wJfSecifMYOuFMnD9//TKiCTRzmWwf727uFSmNoJJqJg4md6uugW6Fq0FvR7HtKW2Ctx4LUGiU+gU9oN9hH8PR+M/ff//39sk4WUf2YEyTwxFNjrbv6vHJ6U4j+Wgkn43gq5H8bLwEAAD//w==")
	at := time.UnixMilli(1_800_000_000_000).UTC()
	user := policy.Entity{Type: "user", ID: "ada"}
	for n := range 3 {
		then := at.Add(time.Duration(n) * time.Millisecond)
		want := &Entry{ID: fmt.Sprintf("dec_01kgq5n%019d", n), At: then, Kind: Evaluation, Revision: "1.7", Masked: true,
			Question: policy.Question{Subject: user, Action: "read", Resource: policy.Entity{Type: "document", ID: fmt.Sprint("plan-", n)}, At: then,
				ResourceProperties: policy.Properties{"tags": []any{"a", nil, json.Number("7")}}, Context: policy.Properties{"serial": Hidden}},
			Answer: policy.Answer{Allowed: n < 2, Determining: []string{"readers"}, PolicyHash: "hash", Revision: 7, StepUp: &policy.StepUp{ACR: "aal2", MaxAge: time.Minute},
				Reasons: []policy.Reason{{Policy: "readers", Text: "readers read"}}, Path: []policy.Step{{Subject: user, Relation: "member", Object: policy.Entity{Type: "group", ID: "team"}, Expires: 5}}},
			Client: "pep", Principal: "svc_1", CallerToken: "jti-1", Request: fmt.Sprintf("req-%d", n), Token: "jti-2", Grant: "gnt_1", Session: "ses_1", Application: "web"}
		if got, err := d.entry(); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, got, want)
		}
	}
	if d.more() {
		t.Error("more is there than was written")
	}
	u := uses{}
	if err := u.decode(read("AQA3AMj/AAR1c2VyAANhZGEABm1lbWJlcgAFZ3JvdXAABHRlYW0ABHJlYWQACGRvY3VtZW50BILA4oXjaAEAAP//")); err != nil {
		t.Fatal(err)
	}
	want := []Use{{Subject: user, Relation: "member", Object: policy.Entity{Type: "group", ID: "team"}, Action: "read", Type: "document", Times: 2, Last: at.Add(time.Millisecond)}}
	if got := u.sorted(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

// The id of an entry comes back whatever it is.
func TestIDsComeBack(t *testing.T) {
	at := time.UnixMilli(1_800_000_000_000).UTC()
	e := newEncoder()
	ids := []string{id.New(Prefix, at), id.New(Prefix, at), id.New(Prefix, at.Add(time.Second)), "", "dec_", "dec_0", id.New("usr", at), "dec_zzzzzzzzzzzzzzzzzzzzzzzzzw", "dec_zzzzzzzzzzzzzzzzzzzzzzzzzz", "dec_" + strings.Repeat("u", 26)}
	for _, one := range ids {
		e.entry(&Entry{ID: one, At: at}, "")
	}
	d := &decoder{v2: true, b: e.b}
	for _, one := range ids {
		if got, err := d.entry(); err != nil || got.ID != one || !got.At.Equal(at) {
			t.Fatalf("%q: %+v %v", one, got, err)
		}
	}
}

// What waits to be written is bounded by the memory that it takes.
func TestALotIsAsLargeAsItSays(t *testing.T) {
	many := func(value func(n int) any) policy.Properties {
		list := make([]any, 20_000)
		for i := range list {
			list[i] = value(i)
		}
		return policy.Properties{"x": list}
	}
	for name, p := range map[string]policy.Properties{
		"the same number": many(func(int) any { return json.Number("1") }), "numbers": many(func(n int) any { return json.Number(fmt.Sprint(n)) }),
		"short texts": many(func(n int) any { return fmt.Sprint("text ", n) }), "a long text": {"x": strings.Repeat("x", 1<<20)}, "objects": many(func(n int) any { return map[string]any{fmt.Sprint(n): nil} }),
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		l := newLot()
		for n := range 20 {
			l.add(&Entry{ID: fmt.Sprint(n), Question: policy.Question{Context: p, ActionProperties: p}}, "")
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if took := int(after.HeapAlloc) - int(before.HeapAlloc); took > 2*l.size()+64<<10 {
			t.Errorf("%s: %d bytes pass for %d", name, took, l.size())
		}
		runtime.KeepAlive(p)
	}
}

// Whatever a segment holds, reading it ends, without more memory than it is long.
func FuzzSegment(f *testing.F) {
	at := time.UnixMilli(1_800_000_000_000).UTC()
	e := newEncoder()
	for range 3 {
		e.entry(&Entry{ID: id.New(Prefix, at), At: at, Question: policy.Question{Context: policy.Properties{"a": []any{"b", true, map[string]any{"c": nil}}}},
			Answer: policy.Answer{Determining: []string{"x"}, Path: []policy.Step{{Relation: "r"}}}}, "")
	}
	f.Add(append([]byte{byte(len(e.b))}, e.b...), true)
	f.Add(e.b, false)
	f.Fuzz(func(t *testing.T, b []byte, v2 bool) {
		d := &decoder{b: b}
		if v2 {
			d = &decoder{rest: b, v2: true}
		}
		for n := 0; d.more(); n++ {
			if _, err := d.entry(); err != nil {
				return
			}
			if n > len(b) {
				t.Fatal("it has more entries than bytes")
			}
		}
	})
}
