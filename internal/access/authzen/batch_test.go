package authzen_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/authzen"
	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/realm"
)

// Items that name nothing but a resource are judged together. Each gets the answer
// that it gets when it is asked by itself, and is written down the same.
func TestBatchesAnswerAsSingleQuestions(t *testing.T) {
	set, whole := compile(t, fixture), certification(t)
	written := func(e *journal.Entry) string {
		c := *e
		c.ID = ""
		return fmt.Sprintf("%+v", c)
	}
	var noted []string
	post := asking(t, authzen.Options{Now: func() time.Time { return time.UnixMilli(1_800_000_000_000) },
		Note: func(_ *realm.Realm, e *journal.Entry) { noted = append(noted, written(e)) },
		Authenticate: func(http.ResponseWriter, *http.Request, *realm.Realm) (authzen.Caller, error) {
			return authzen.Caller{Client: "pep"}, nil
		},
		Snapshot: func(context.Context, string, audit.Position, *policy.Question) (*policy.Snapshot, audit.Position, error) {
			return policy.NewSnapshot(set, whole, 7), audit.Position{Epoch: 1, Seq: 7}, nil
		}})
	parts := []string{active, stale, stored, `"resource":{"type":"record","id":"record-77"}`, `"resource":{"type":"robot","id":"x"}`, `"resource":{"type":"user","id":"alice"}`, `"resource":{"type":"record"}`,
		`"resource":{"type":"record","id":"record-1","properties":{"status":7}}`}
	var items []string
	for _, more := range []string{"", bob, boss, read, `"context":{"ip":"::1"}`} {
		for _, resource := range parts {
			items = append(items, strings.Trim(resource+","+more, ","))
		}
	}
	items = append(items, "", parts[0], parts[1])
	told := func(a map[string]any) string {
		delete(a["context"].(map[string]any), "id")
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, shared := range [][]string{{alice, read}, {alice, write, `"context":{"ip":"192.0.2.1"}`}, {bob, write}, {boss, write}, {bob, `"action":{"name":"paint"}`}, {`"subject":{"type":"robot","id":"r"}`, read}} {
		var single, log []string
		for _, item := range items {
			members := []string{item}
			for _, s := range shared {
				if name, _, _ := strings.Cut(s, ":"); !strings.Contains(item, name) {
					members = append(members, s)
				}
			}
			noted = nil
			one := post("/evaluation", object(strings.Trim(strings.Join(members, ","), ",")))
			if one.Code != http.StatusOK {
				single = append(single, "") // an error of one item, which a batch tells in its place
				continue
			}
			single = append(single, told(one.json()))
			log = append(log, noted[0])
		}
		for semantic, last := range map[string]string{"execute_all": "", "deny_on_first_deny": "false", "permit_on_first_permit": "true"} {
			noted = nil
			a := post("/evaluations", object(strings.Join(shared, ","), `"options":{"evaluations_semantic":"`+semantic+`"}`, `"evaluations":[{`+strings.Join(items, "},{")+`}]`))
			all, _ := a.json()["evaluations"].([]any)
			n := 0
			for i, got := range all {
				got := got.(map[string]any)
				decision := fmt.Sprint(got["decision"])
				switch text := told(got); {
				case single[i] == "" && decision != "false", single[i] != "" && text != single[i]:
					t.Fatalf("%s %v, item {%s}:\n got %s\nwant %s", semantic, shared, items[i], text, single[i])
				case single[i] != "":
					if w := noted[n]; w != log[n] {
						t.Fatalf("%s %v, item {%s} is written down as\n     %s\nwant %s", semantic, shared, items[i], w, log[n])
					}
					n++
				}
				if decision == last && i != len(all)-1 {
					t.Fatalf("%s %v goes on after item %d", semantic, shared, i)
				}
			}
			if n != len(noted) {
				t.Errorf("%s %v: %d decisions are written down, %d were made", semantic, shared, len(noted), n)
			}
			if ended := len(all) < len(items); ended && fmt.Sprint(all[len(all)-1].(map[string]any)["decision"]) != last || len(all) == 0 {
				t.Errorf("%s %v: %d of %d items are answered", semantic, shared, len(all), len(items))
			}
		}
	}
}
