package audit

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/id"
)

// inFull writes each record in full, as segments were written before.
func inFull(records []Activity) string {
	var b []byte
	for i := range records {
		b = records[i].append(b)
	}
	return string(b)
}

// drawn are records of few different values, so that many are alike, and of each kind
// that there is.
func drawn(t *rapid.T) (records []Activity) {
	text := func(name string) string {
		return rapid.SampledFrom([]string{"", "a", "b", "gnt_0198f2c4a1b3kq7m2x9d5tz8wr", "ü<>&\"\\\x00\n", "\xff", "\xfe"}).Draw(t, name)
	}
	for range rapid.IntRange(0, 20).Draw(t, "records") {
		a := Activity{Action: text("action"), Target: text("target"), Reason: text("reason"), Count: rapid.IntRange(-1, 2).Draw(t, "count"),
			Actor: Actor{Kind: text("kind"), ID: text("id"), Client: text("client"), Session: text("session"), IP: text("ip"), UserAgent: text("ua")}}
		a.At = time.UnixMilli(rapid.SampledFrom([]int64{0, 1, 1e12, 1e12 + 1, 4e12, -1}).Draw(t, "at")).UTC()
		if rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
			a.At = a.At.Add(time.Duration(rapid.IntRange(0, 2e6).Draw(t, "ns")))
		}
		if len(records) > 0 && rapid.Bool().Draw(t, "again") {
			a = rapid.SampledFrom(records).Draw(t, "which")
		}
		if rapid.Bool().Draw(t, "data") {
			a.Data = nil
			for range rapid.SampledFrom([]int{0, 1, 2, 3, mostChanged + 2}).Draw(t, "details") {
				a.Data = append(a.Data, text("name"), text("value"))
			}
			if rapid.IntRange(0, 9).Draw(t, "alone") == 0 {
				a.Data = append(a.Data, text("name"))
			}
		}
		records = append(records, a)
	}
	return records
}

// What a segment says is what its records in full would have said, in whichever of both
// forms each is.
func TestASegmentSaysWhatItsRecordsSaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := drawn(t)
		want, err := segment{body: inFull(records)}.decode()
		if err != nil {
			t.Fatal(err)
		}
		if len(want) != len(records) {
			t.Fatalf("%d records of %d", len(want), len(records))
		}
		for i, a := range records {
			got := want[len(want)-1-i]
			if !slices.ContainsFunc(append(slices.Clone(a.Data), a.Action, a.Target, a.Reason, a.Actor.Kind, a.Actor.ID, a.Actor.Client, a.Actor.Session, a.Actor.IP, a.Actor.UserAgent),
				func(s string) bool { return strings.ToValidUTF8(s, "") != s }) {
				if a.Data = a.Data[:len(a.Data)/2*2]; len(a.Data) == 0 {
					a.Data = nil
				}
				if !reflect.DeepEqual(got, a) {
					t.Fatalf("record %d is\n%+v, want\n%+v", i, got, a)
				}
			}
		}
		body := string(appendSegment(nil, records))
		got, err := segment{body: body}.decode()
		if err != nil {
			t.Fatalf("%v in\n%s", err, body)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v\nof\n%s", got, want, body)
		}
		// Lines in full may stand between the others.
		lines, full := strings.SplitAfter(body, "\n"), strings.SplitAfter(inFull(records), "\n")
		for i := range records {
			if rapid.Bool().Draw(t, "full") {
				lines[i] = full[i]
			}
		}
		if got, err = (segment{body: strings.Join(lines, "")}).decode(); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("mixed: %v, got  %+v\nwant %+v", err, got, want)
		}
	})
}

// The tokens of a moment are told by what they differ in, whoever else gets tokens
// between them; and the form is this one, for those who read the table.
func TestWhatIsTheSameIsWrittenOnce(t *testing.T) {
	const full = `{"at":"2026-01-02T03:04:05.678Z","action":"token.issue","actor":{"kind":"client","id":"cli_1","ip":"192.0.2.1","ua":"Go"},` +
		`"target":"gnt_1","data":{"jti":"one","client":"cli_1"}}` + "\n"
	const other = `[1,2,{"actor":{"id":"cli_2","ip":"192.0.2.2"},"target":"gnt_2","data":{"jti":"two","client":"cli_2"}}]` + "\n"
	const third, fourth = `[2,1001,{"data":{"jti":"three"}}]` + "\n", `[2,1,{"actor":{"ip":""},"reason":"x","count":3}]` + "\n"
	at := func(ms int64) time.Time {
		return time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC).Add(time.Duration(ms) * time.Millisecond)
	}
	records := []Activity{
		{At: at(0), Action: "token.issue", Actor: Actor{Kind: "client", ID: "cli_1", IP: "192.0.2.1", UserAgent: "Go"}, Target: "gnt_1", Data: Details{"jti", "one", "client", "cli_1"}},
		{At: at(2), Action: "token.issue", Actor: Actor{Kind: "client", ID: "cli_2", IP: "192.0.2.2", UserAgent: "Go"}, Target: "gnt_2", Data: Details{"jti", "two", "client", "cli_2"}},
		{At: at(1001), Action: "token.issue", Actor: Actor{Kind: "client", ID: "cli_1", IP: "192.0.2.1", UserAgent: "Go"}, Target: "gnt_1", Data: Details{"jti", "three", "client", "cli_1"}},
		{At: at(3), Action: "token.issue", Actor: Actor{Kind: "client", ID: "cli_2", UserAgent: "Go"}, Target: "gnt_2", Reason: "x", Count: 3, Data: Details{"jti", "two", "client", "cli_2"}},
	}
	if got := string(appendSegment(nil, records)); got != full+other+third+fourth {
		t.Errorf("got\n%s", got)
	}
	for clients, most := range map[int]int{1: 60, 50: 110, perSegment: 200} {
		if size := len(appendSegment(nil, issued(clients))) / perSegment; size > most {
			t.Errorf("a record of %d clients has %d bytes, want %d at most", clients, size, most)
		}
	}
}

// What nobody wrote is an error, and not half of a record.
func TestWhatIsNoSegmentIsAnError(t *testing.T) {
	const first = `{"at":"2026-01-02T03:04:05.678Z","action":"a","actor":{"kind":"b"},"data":{"jti":"one"}}` + "\n"
	many := `{"at":"2026-01-02T03:04:05.678Z","data":{` + strings.Repeat(`"a":"",`, mostChanged) + `"a":""}}` + "\n"
	for body, right := range map[string]bool{
		"": true, first: true, first + `[1,0,{}]`: true, first + `[1,-1,{"data":{"jti":"two"}}] [2,0,{"data":null}]`: true, many + `[1,0,{}]`: true,
		`[1,0,{}]`: false, first + `[2,0,{}]`: false, first + `[0,0,{}]`: false, first + `[-1,0,{}]`: false, first + `[9223372036854775808,0,{}]`: false,
		first + `[]`: false, first + `[1,0]`: false, first + `[1,0,{},0]`: false, first + `[1,null,{}]`: false, first + `[1,0.5,{}]`: false, first + `[null,0,{}]`: false,
		first + `[1,0,null]`: false, first + `[1,0,[]]`: false, first + `[1,0,"x"]`: false, first + `["1",0,{}]`: false,
		first + `[1,9223372036854775807,{}]`: false, first + `[1,-9223372036854775808,{}]`: false, first + strings.Repeat("[1,8000000000000,{}]\n", 60): false,
		first + `[1,0,{"data":{"other":"x"}}]`: false, first + `[1,0,{"data":["jti","x"]}]`: false, first + `[1,0,{"data":{"jti":1}}]`: false, first + `[1,0,{"action":1}]`: false,
		many + `[1,0,{"data":{"a":"x"}}]`: false, first + `null`: false, first + `1`: false, first + `"x"`: false, first + `}`: false, first + `]` + first: false, first + `[1,0,{}`: false, first + "\x00": false,
	} {
		all, err := segment{body: body}.decode()
		if right != (err == nil) || err != nil && (all != nil || !errors.Is(err, errSegment)) {
			t.Errorf("%d records and %v from %.200s", len(all), err, strings.TrimPrefix(body, first))
		}
	}
}

// FuzzSegment: whatever is read is written so that it reads as the same.
func FuzzSegment(f *testing.F) {
	f.Add(string(appendSegment(nil, issued(2)[:5])))
	f.Add(inFull(issued(2)[:2]))
	f.Add(`{"at":"2026-01-02T03:04:05.678+02:00","data":{"a":"b","a":"c"}} [1,7,{"actor":{"id":"x"},"data":{"a":"d"}}]`)
	f.Add(`[1,0,{}]`)
	f.Fuzz(func(t *testing.T, body string) {
		all, err := segment{body: body}.decode()
		if err != nil {
			return
		}
		slices.Reverse(all)
		again, err := segment{body: string(appendSegment(nil, all))}.decode()
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(again)
		if got, want := inFull(again), inFull(all); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}

// The log holds the hash of a segment as it is stored, and what a version before wrote is
// read beside what this one writes.
func TestASegmentIsStoredAsItWasHashed(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		l := New(e.DB, Options{})
		all := issued(3)[:40]
		if err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			return insertSegment(tx, id.New("act", tx.Now.Add(-time.Hour)), "node", 20, inFull(all[:20]))
		}); err != nil {
			t.Fatal(err)
		}
		var want []Activity
		for i, a := range all {
			if i >= 20 {
				l.Activity(dbtest.Realm, a.Actor, a)
				a.At = e.DB.Now()
			}
			if want = append(want, a); i == 30 {
				e.Clock.Advance(2 * time.Millisecond)
			}
			if i == 35 || i == 39 { // the second is written into the memory of the first
				if err := l.FlushActivity(t.Context()); err != nil {
					t.Fatal(err)
				}
				e.Clock.Advance(time.Second)
			}
		}
		got, err := l.Activities(t.Context(), dbtest.Realm, ActivityFilter{Limit: 1000})
		if slices.Reverse(want); err != nil || !reflect.DeepEqual(got.Records, want) {
			t.Errorf("%v, got\n%+v, want\n%+v", err, got.Records, want)
		}
		if err := e.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			var all found
			err := all.read(tx, dbtest.Realm, "act_", "act_~", 9)
			if err != nil || len(all.segments) != 3 {
				t.Errorf("%d segments, %v", len(all.segments), err)
			}
			for _, s := range all.segments[:2] {
				event, err := db.One(tx, db.Scalar[string], `SELECT body FROM (SELECT realm, target, body FROM event_queue
					UNION ALL SELECT realm, target, body FROM events) AS all_events WHERE realm = $1 AND target = $2`, dbtest.Realm, s.id)
				if err != nil {
					return err
				}
				hash := sha256.Sum256([]byte(s.body))
				if r, err := decode(event); err != nil || r.Data["sha256"] != base64.RawURLEncoding.EncodeToString(hash[:]) {
					t.Errorf("the log says %v (%v) of a body with the hash %x", r.Data, err, hash)
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}
