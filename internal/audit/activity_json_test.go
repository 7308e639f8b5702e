package audit

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What is written by hand is what encoding/json would write, and reads as what
// it was.
func TestActivityIsWrittenAsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string { return rapid.String().Draw(t, name) }
		a := Activity{At: time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "at")).UTC(), Action: text("action"),
			Actor:  Actor{Kind: text("kind"), ID: text("id"), Client: text("client"), Session: text("session"), IP: text("ip"), UserAgent: text("ua")},
			Target: text("target"), Reason: text("reason"), Count: rapid.Int().Draw(t, "count")}
		if rapid.Bool().Draw(t, "data") {
			a.Data = Details{"name", text("value")}
		}
		got := a.append(nil)
		want, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want)+"\n" {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
		var back Activity
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(back)
		if err != nil {
			t.Fatal(err)
		}
		if string(again) != string(want) {
			t.Fatalf("read back as %s, want %s", again, want)
		}
	})
}
